"""What pages are made of: tables, pairs, dates, tags, and chips that say in a word how a thing is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar

import msgspec

from kvstack.server.answer import bad_parameter
from kvstack.server.portal.html import Content, Html, element
from kvstack.server.request import Request
from kvstack.vault.records import Certificate, CertificateVersion, Key, KeyVersion, Secret, SecretVersion, Vault

T = TypeVar("T")
Tone = Literal["bad", "warn", "good", "calm"]
Dated = Key | Secret | Certificate | KeyVersion | SecretVersion | CertificateVersion
SOON: Final = timedelta(days=30)
# A sign beside the word: nobody has to tell the colours apart, and no screen reader reads it out.
_SIGNS: Final[Mapping[Tone, str]] = {"bad": "✕", "warn": "!", "good": "✓", "calm": "•"}


def chip(words: str, tone: Tone) -> Html:
    """Return a chip."""
    return element("span", element("span", _SIGNS[tone], aria_hidden="true"), words, class_=f"chip {tone}")


def chips(*found: Html) -> Content:
    """Return chips in a row, nothing for none."""
    return element("span", *_between(found), class_="chips") if found else None


def _between(found: Sequence[Html]) -> list[Content]:
    """Return chips with a blank between each two, as text that is copied or read out has it."""
    return [part for one in found for part in (" ", one)]


def state_chips(one: Dated, now: datetime) -> Content:
    """Return how a thing, or a version of one, is."""
    found = []
    if not one.enabled:
        found.append(chip("Disabled", "bad"))
    if one.expires is not None and one.expires <= now:
        found.append(chip("Expired", "bad"))
    elif one.expires is not None and one.expires <= now + SOON:
        found.append(chip("Expires soon", "warn"))
    if one.not_before is not None and one.not_before > now:
        found.append(chip("Not valid yet", "warn"))
    if not found:
        found.append(chip("Enabled", "good"))
    if getattr(one, "managed", False):
        found.append(chip("Of a certificate", "calm"))
    if getattr(one, "pending", False):
        found.append(chip("Request pending", "warn"))
    return chips(*found)


def vault_chips(vault: Vault) -> Content:
    """Return how a vault is."""
    found = [chip("Deleted", "bad")] if vault.deletion is not None else []
    if vault.pool is not None:
        found.append(chip("Managed HSM", "calm"))
    if vault.pool is not None and vault.pool.activated is None:
        found.append(chip("Not activated", "warn"))
    if vault.purge_protection:
        found.append(chip("Purge-protected", "good"))
    if vault.lock is not None:
        found.append(chip("Locked", "calm"))
    if vault.network.default_action == "deny":
        found.append(chip("Some networks only", "calm"))
    return chips(*found)


def moment(at: datetime | None, otherwise: str = "", *, seconds: bool = False) -> Content:
    """Return a time, to the minute, or to the second. otherwise: what is shown for none."""
    if at is None:
        return otherwise
    there = at.astimezone(UTC)
    return element(
        "time",
        f"{there:%Y-%m-%d %H:%M:%S}" if seconds else f"{there:%Y-%m-%d %H:%M}",
        datetime=f"{there:%Y-%m-%dT%H:%M:%SZ}",
    )


def tags(found: Mapping[str, str]) -> Content:
    """Return tags, by name."""
    return [
        element("span", element("b", element("bdi", name), ":"), " ", element("bdi", value), class_="tag")
        for name, value in sorted(found.items())
    ]


def link(words: Content, *path: str, query: str = "") -> Html:
    """Return a link to a page of this host. path: in its parts."""
    return element("a", words, href=address(*path, query=query))


def address(*path: str, query: str = "") -> str:
    """Return the address of a page. path: in its parts, below the portal's own."""
    from urllib.parse import quote

    written = "/".join(("/portal", *(quote(part, safe="") for part in path)))
    return f"{written}?{query}" if query else written


class Column(msgspec.Struct, frozen=True):
    """One column. hidden: whether its heading is for screen readers only; pick: whether it holds boxes to tick."""

    name: str
    hidden: bool = False
    pick: bool = False


def table(caption: str, columns: Sequence[Column | str], rows: Sequence[Sequence[Content]], *, empty: str) -> Html:
    """Return a table whose first column that is no box names its row. empty: what is told where there are no rows.

    A narrow screen shows each row as a card: what that does to a table's meaning, the roles put right."""
    if not rows:
        return element("div", element("p", empty, class_="empty"), class_="card")
    known = [one if isinstance(one, Column) else Column(one) for one in columns]
    named = next(at for at, one in enumerate(known) if not one.pick)
    heads = [
        element(
            "th",
            element("span", one.name, class_="unseen") if one.hidden or one.pick else one.name,
            scope="col",
            role="columnheader",
        )
        for one in known
    ]
    body = [
        element(
            "tr",
            [
                element("th", cell, scope="row", role="rowheader", data_label=column.name)
                if at == named
                else element(
                    "td",
                    cell,
                    role="cell",
                    class_="pick" if column.pick else None,
                    data_label=None if column.hidden and not column.pick else column.name,
                )
                for at, (column, cell) in enumerate(zip(known, row, strict=True))
            ],
            role="row",
        )
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", heads, role="row"), role="rowgroup"),
            element("tbody", body, role="rowgroup"),
            role="table",
        ),
        class_="card",
    )


def pairs(found: Sequence[tuple[str, Content]]) -> Html:
    """Return what is known of one thing, name by name."""
    return element("dl", [(element("dt", name), element("dd", value)) for name, value in found], class_="card")


def told(tone: Tone, *words: Content, alert: bool = False) -> Html:
    """Return what somebody has to know. alert: whether a screen reader says it at once."""
    role = "alert" if alert else "status"
    return element("div", [element("p", one) for one in words], class_=f"told {tone}", role=role)


def prose(words: str) -> Content:
    """Return what the vault says, as a sentence: what it quotes in backticks as such."""
    found: list[Content] = [
        element("code", part) if quoted % 2 else part for quoted, part in enumerate(words.split("`")) if part
    ]
    if found and type(found[0]) is str:
        found[0] = found[0][:1].upper() + found[0][1:]
    return found


class Slice(msgspec.Struct, frozen=True):
    """Some of a list that is had in whole. number: of the page, from 1; last: of how many."""

    start: int
    end: int
    number: int
    last: int


def sliced(request: Request, count: int, size: int) -> Slice:
    """Return what of a list is on the page that is asked for. Raises Refusal."""
    number = number_of(request, "page", 1)
    last = max(1, -(-count // size))
    number = min(max(number, 1), last)
    return Slice((number - 1) * size, min(number * size, count), number, last)


def number_of(request: Request, name: str, otherwise: int) -> int:
    """Return a number of the query. Raises Refusal."""
    text = request.query.get(name, "")
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise bad_parameter(f"`{name}` is a number.")
    return int(text)


def pages(part: Slice, *path: str, more: str = "") -> Content:
    """Return the way to the other pages of a list. more: what else the query has."""
    if part.last == 1:
        return None
    end = f"&{more}" if more else ""
    found: list[Content] = []
    if part.number > 1:
        found.append(
            element("a", "Previous page", rel="prev", href=address(*path, query=f"page={part.number - 1}{end}"))
        )
    found.append(element("span", f"Page {part.number} of {part.last}"))
    if part.number < part.last:
        found.append(element("a", "Next page", rel="next", href=address(*path, query=f"page={part.number + 1}{end}")))
    return element("nav", found, class_="pager", aria_label="Pages")


def onward(first: str | None, following: str | None) -> Content:
    """Return the way through a list that is read forwards. first, following: addresses, None where there is none."""
    if first is None and following is None:
        return None
    return element(
        "nav",
        element("a", "First page", href=first) if first else None,
        element("a", "Next page", rel="next", href=following) if following else None,
        class_="pager",
        aria_label="Pages",
    )
