"""The page on what time is going to make due: rotations, renewals, expiries, purges, rights that end."""

from typing import Final

from kvstack.server.answer import Answer
from kvstack.server.portal.frame import Around
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import chip, link, moment, pages, sliced, table
from kvstack.server.portal.visit import Visit
from kvstack.vault.coming import Coming

SIZE: Final = 100
_WORDS: Final = {
    "purge": "is purged",
    "rotate": "is rotated",
    "settle-rotation": "ends its rotation",
    "renew": "is renewed",
    "disable-previous": "loses older versions",
    "near-expiry": "expires soon: people are told",
    "expired": "expires",
    "tell-contacts": "contacts are told",
    "unread": "cannot be read",
    "ends": "ends",
}


def calendar_page(visit: Visit) -> Answer:
    """What happens within a year, in order."""
    found = visit.service.calendar(visit.caller)
    part = sliced(visit.request, len(found.coming), SIZE)
    rows = [
        (moment(one.at), _thing(one), one.kind.replace("_", " "), _WORDS.get(one.action, one.action), _trouble(one))
        for one in found.coming[part.start : part.end]
    ]
    return visit.page(
        "Calendar",
        element("p", "What happens by itself, if nobody changes anything.", class_="hint"),
        table(
            f"From now until {found.until:%Y-%m-%d}",
            ("When", "Thing", "Kind", "What happens", "Trouble"),
            rows,
            empty=f"Nothing happens until {found.until:%Y-%m-%d}.",
        ),
        pages(part, "calendar"),
        around=Around(section="calendar"),
    )


def _thing(one: Coming) -> Content:
    words = element("bdi", "/".join(part for part in (one.vault, one.name) if part))
    match one.kind:
        case "key" | "secret" | "certificate" if one.action != "purge":
            return link(words, "vaults", one.vault, f"{one.kind}s", one.name)
        case _:
            return words


def _trouble(one: Coming) -> Content:
    found: list[Content] = [] if one.done else [chip("Cannot be done", "bad")]
    for conflict in one.conflicts:
        found += [" " if found else None, conflict.words]
    return found or None
