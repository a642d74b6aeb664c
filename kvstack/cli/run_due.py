"""`kvstack run-due`: what time has made due, done now, or shown for another time."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, say, warn
from kvstack.cli.table import counted, table
from kvstack.cli.words import moment, text
from kvstack.terms.diagnostic import Diagnostic, KvstackError

if TYPE_CHECKING:
    from kvstack.vault.delivery_policy import DeliveryReport
    from kvstack.vault.due import Due, DueReport

# Retention's end has to lie in the calendar, too.
_LAST_YEAR = 9000


@click.command("run-due")
@click.option("--at", metavar="TIME", type=moment, help="Show what would be due then; in a simulated vault, go there.")
@click.option("--confirm-clock", "reason", metavar="REASON", type=text, help="Believe the clock after a step; audited.")
@as_json
@pass_context
def command(context: Context, at: datetime | None, reason: str | None, as_json: bool) -> int:
    """Do what time has made due: rotations, renewals, the end of old versions, purges past retention.

    What cannot be done now (the HSM is away) does not stop the rest: it is told, the next run does it (exit code 1).
    With --at of another time nothing is done, unless the vault was made by `init --simulated-clock`: its clock is set
    to that time first. After a step of the clock nothing is done until it is confirmed with a reason (exit code 1).
    """
    require_operator(context, "run-due")
    if at is not None and at.year > _LAST_YEAR:
        raise KvstackError(f"`--at` lies beyond the year {_LAST_YEAR}")
    with opened(context) as vault:
        simulated = vault.unlocked.settings.simulated_clock
        if at is not None and not simulated:
            if reason is not None:
                raise KvstackError("`--confirm-clock` believes the clock as it is now", "Leave `--at` out.")
            return _shown(vault.service.due(vault.caller, at=at), at, as_json=as_json)
        if at is not None:
            _move_clock(vault, at)
            say(f"the simulated clock is set to {at:%Y-%m-%d %H:%M:%S} UTC")
        return _done(vault, reason, as_json=as_json)


def _move_clock(vault: OpenVault, moment: datetime) -> None:
    """Set a simulated clock; who did it is audited."""
    from kvstack.vault.audit import AuditRecord
    from kvstack.vault.clock import SimulatedClock

    unlocked = vault.unlocked
    with unlocked.store.transaction() as tx:
        before = unlocked.clock.now()
        SimulatedClock(unlocked.store).set(moment)
        record = AuditRecord(
            time=before,
            operation="SimulatedClockSet",
            resource=vault.service.top.path,
            caller=vault.caller.id,
            caller_name=vault.caller.name,
            details={"now": moment.isoformat()},
        )
        unlocked.audit.append(tx, record)


def _shown(due: "tuple[Due, ...]", at: datetime, *, as_json: bool) -> int:
    if as_json:
        answer_json(
            {
                "at": at,
                "done_now": False,
                "due": [_document(one) for one in due],
                "done": [],
                "held_back": [],
                "failed": [],
            }
        )
    else:
        answer(_table(due, f"Nothing would be due at {at:%Y-%m-%d %H:%M} UTC."))
        say("Nothing was done: this is what would be.")
    return 0


def _done(vault: OpenVault, reason: str | None, *, as_json: bool) -> int:
    from kvstack.cli.events import delivery_document, delivery_troubles, delivery_words
    from kvstack.vault.caller import SYSTEM
    from kvstack.vault.delivery_policy import DeliveryReport

    if reason is not None:
        vault.service.confirm_clock(vault.caller, reason)
    now = vault.unlocked.clock.now()
    # By the vault itself, as the scheduler of a server does it: nobody needs, or gets, a right to purge for that.
    report = vault.service.run_due(SYSTEM)
    events, undelivered = _delivered(vault)
    problems = (*_held_back(report), *_failed(report), *undelivered)
    if as_json:
        failed = [one.due for one in report.failed]
        answer_json(
            {
                "at": now,
                "done_now": True,
                "due": [_document(one) for one in (*report.done, *report.held_back, *failed)],
                "done": [_document(one) for one in report.done],
                "held_back": [_document(one) for one in report.held_back],
                "reason": report.reason,
                "failed": [
                    {**_document(one.due), "summary": one.diagnostic.summary, "detail": one.diagnostic.detail}
                    for one in report.failed
                ],
                "events": delivery_document(events),
            }
        )
    else:
        nothing = "Nothing was done." if problems else "Nothing is due."
        answer(_table(report.done, nothing))
        if events != DeliveryReport():
            say(delivery_words(events))
        warn((*problems, *delivery_troubles(events)))
    return 1 if problems else 0


def _delivered(vault: OpenVault) -> "tuple[DeliveryReport, tuple[Diagnostic, ...]]":
    """Hand over the events that wait, those of what was just done included. A receiver that takes nothing is no failure
    of this run: it is tried again by the next one."""
    from kvstack.vault.caller import SYSTEM
    from kvstack.vault.delivery_policy import DeliveryReport

    try:
        return vault.service.deliver_events(SYSTEM), ()
    except KvstackError as error:
        return DeliveryReport(), error.diagnostics


def _held_back(report: "DueReport") -> tuple[Diagnostic, ...]:
    if not report.held_back:
        return ()
    word = "purge" if all(one.action == "purge" for one in report.held_back) else "thing"
    things = ", ".join(_words(one) for one in report.held_back[:5]) + (" and more" if len(report.held_back) > 5 else "")
    return (
        Diagnostic(
            summary=f"{counted(len(report.held_back), word)} held back: {report.reason}",
            detail=f"Due: {things}. When the clock is right, run `kvstack run-due --confirm-clock REASON`.",
        ),
    )


def _failed(report: "DueReport") -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(
            summary=f"{one.due.action} of {_words(one.due)}: {one.diagnostic.summary}",
            detail=" ".join((one.diagnostic.detail, "The next run tries again.")).strip(),
        )
        for one in report.failed
    )


def _table(due: "tuple[Due, ...]", empty: str) -> str:
    return table(
        ("ACTION", "KIND", "THING", "DUE SINCE"),
        [(one.action, one.kind, _thing(one), one.since) for one in due],
        empty=empty,
    )


def _words(due: "Due") -> str:
    return f"{due.kind} {_thing(due)}"


def _thing(due: "Due") -> str:
    return f"{due.vault}/{due.name}" if due.name else due.vault


def _document(due: "Due") -> dict[str, Any]:
    return {field: getattr(due, field) for field in due.__struct_fields__}
