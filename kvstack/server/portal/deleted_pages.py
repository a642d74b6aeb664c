"""Manage deleted: what is soft-deleted, to pick from; recovered at once, purged once somebody said that he means it."""

from typing import Final

from kvstack.server.answer import Answer
from kvstack.server.portal.deleting import counted, listed, outcome
from kvstack.server.portal.frame import Around, form
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import Column, address, chip, moment, pages, prose, sliced, table, told
from kvstack.server.portal.vault_pages import around
from kvstack.server.portal.visit import Visit
from kvstack.vault.deleted_things import DeletedThing, deleted_in, deleted_things, purged, recovered

SIZE: Final = 100
_KIND: Final = {
    "vault": "Vault",
    "managed-hsm": "Managed HSM",
    "key": "Key",
    "secret": "Secret",
    "certificate": "Certificate",
}


def deleted_page(visit: Visit, vault: str = "") -> Answer:
    """What is deleted in all vaults he may list, or in one he names."""
    things, unseen = _found(visit, vault)
    part = sliced(visit.request, len(things), SIZE)
    shown = things[part.start : part.end]
    names = visit.names() if shown else {}
    rows = [
        (
            element("input", type="checkbox", name="pick", value=one.written, aria_label=f"Pick {one.written}"),
            element("bdi", one.written),
            _KIND[one.kind],
            moment(one.deleted),
            element("bdi", names.get(one.by, one.by)),
            moment(one.purge_due),
            chip("Purge-protected", "good") if one.protected else None,
        )
        for one in shown
    ]
    heads = (
        Column("Pick", pick=True),
        "Thing",
        "Kind",
        "Deleted",
        "By",
        "Purged by time",
        Column("Protection", hidden=True),
    )
    where = f"Deleted in {vault}" if vault else "Deleted in the vaults you may list"
    content = table(where, heads, rows, empty="Nothing is deleted that you could recover.")
    here = _path(vault)
    deeds = element(
        "div",
        element("button", "Recover what is picked", name="deed", value="recover"),
        element("button", "Purge what is picked …", name="deed", value="purge", class_="quiet"),
        class_="deeds",
    )
    return visit.page(
        "Manage deleted",
        element("p", "A vault comes back with all that is in it, without its role assignments.", class_="hint"),
        told("warn", *unseen) if unseen else None,
        form(visit.who, address(*here), content, deeds) if rows else content,
        pages(part, *here),
        around=_around(visit, vault),
    )


def deed_page(visit: Visit, vault: str = "") -> Answer:
    """Recover what was picked, or purge it, and tell of each whether it was done."""
    things, _ = _found(visit, vault)
    by_name = {one.written: one for one in things}
    wanted = list(dict.fromkeys(visit.form.get("pick", [])))
    picked = [by_name[name] for name in wanted if name in by_name]
    gone = [name for name in wanted if name not in by_name]
    back = element("p", element("a", "Back to what is deleted", href=address(*_path(vault))))
    missing = told("bad", "Not deleted any more, or not to be seen by you:", listed(gone), alert=True) if gone else None
    place = _around(visit, vault)
    if not picked:
        return visit.page("Nothing was picked", missing, back, around=place, status=400)
    match visit.sent("deed"):
        case "recover":
            done = recovered(visit.service, visit.caller, picked)
            words = [(one.written, error) for one, error in done]
            return visit.page("Recovered", missing, outcome("Recovered", words), back, around=place)
        case "purge" if visit.sent("sure") == "yes":
            done = purged(visit.service, visit.caller, picked)
            words = [(one.written, error) for one, error in done]
            return visit.page("Purged", missing, outcome("Purged, for good", words), back, around=place)
        case "purge":
            return visit.page(
                f"Purge {counted(len(picked), 'thing')}, for good?",
                missing,
                element("p", "Nobody can bring back what is purged, from here or from anywhere else but a backup."),
                _sure(visit, picked, vault),
                around=place,
            )
        case _:
            return visit.page("Nothing was done", back, around=place, status=400)


def _sure(visit: Visit, picked: list[DeletedThing], vault: str) -> Content:
    return form(
        visit.who,
        address(*_path(vault)),
        [element("input", type="hidden", name="pick", value=one.written) for one in picked],
        element("input", type="hidden", name="sure", value="yes"),
        listed(one.written for one in picked),
        element(
            "div",
            element("button", f"Purge {counted(len(picked), 'thing')}", name="deed", value="purge", class_="danger"),
            element("a", "Back to what is deleted", href=address(*_path(vault))),
            class_="deeds",
        ),
    )


def _found(visit: Visit, vault: str) -> tuple[list[DeletedThing], list[Content]]:
    """Return what is deleted, and what he may not look into."""
    if vault:
        return deleted_in(visit.service, visit.caller, vault), []
    things, unseen = deleted_things(visit.service, visit.caller, in_parts=True)
    return things, [prose(f"{one.summary}: {one.detail}") for one in unseen]


def _path(vault: str) -> tuple[str, ...]:
    return ("vaults", vault, "deleted") if vault else ("deleted",)


def _around(visit: Visit, vault: str) -> Around:
    if not vault:
        return Around(section="deleted")
    return around(vault, "deleted", managed_hsm=bool(visit.service.is_managed_hsm(vault)))
