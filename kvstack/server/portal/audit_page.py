"""The page on the audit: the newest records, all of them to the operator, to anybody else his own."""

from typing import Final

from kvstack.server.answer import Answer
from kvstack.server.portal.frame import Around
from kvstack.server.portal.html import Content, element
from kvstack.server.portal.parts import address, chip, moment, number_of, onward, prose, table
from kvstack.server.portal.visit import Visit
from kvstack.terms.scope import scope, written_scope
from kvstack.vault.audit_record import AuditRecord

SIZE: Final = 50


def audit_page(visit: Visit) -> Answer:
    """What was done, the newest first. That it was looked at is in it, too."""
    before = number_of(visit.request, "before", 0)
    found = visit.service.recent_audit(visit.caller, before=before or None, size=SIZE)
    heads = ("When", "What was done", "On what", *(("Who",) if found.whole else ()), "From", "By", "How it ended")
    rows = [
        (
            moment(one.time, seconds=True),
            element("code", one.operation, class_="whole"),
            element("bdi", _short(one.resource)),
            *((element("bdi", one.caller_name or one.caller),) if found.whole else ()),
            element("span", one.address or "this machine", class_="whole"),
            element("bdi", _program(one), class_="whole"),
            _ended(one),
        )
        for _, one in found.records
    ]
    words = (
        "Everybody's records: you are the operator of this vault."
        if found.whole
        else "What you did yourself. Other people's records are the operator's to read."
    )
    return visit.page(
        "Audit",
        element("p", words, class_="hint"),
        table("The newest first", heads, rows, empty="There are no records here."),
        onward(
            address("audit") if before else None,
            address("audit", query=f"before={found.before}") if found.before is not None else None,
        ),
        around=Around(section="audit"),
    )


def _ended(one: AuditRecord) -> Content:
    if one.result == "Success":
        return chip("Done", "good")
    return chip(one.result, "bad"), " ", prose(one.description)


def _program(one: AuditRecord) -> str:
    """Return which program asked, as far as its name goes: what it adds about itself is long, and says little."""
    return one.client.partition(" ")[0][:40] or "kvstack"


def _short(path: str) -> str:
    try:
        return written_scope(scope(path))
    except ValueError:
        return path
