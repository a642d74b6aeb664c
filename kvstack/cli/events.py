"""`kvstack events`: what happened, and whether those who want to know were told."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.table import counted, table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import Diagnostic, KvstackError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kvstack.vault.delivery_policy import DeliveryReport
    from kvstack.vault.outbox import Delivery, State, Subscription

_of = click.option("--subscription", metavar="NAME", type=text, help="Only those of one subscription.")


@verbs("What happened to things, and whether those who want to know were told.")
def command() -> None:
    """Hold the verbs."""


@command.command("list", help="List events: those that wait, those given up, and what was delivered in the last week.")
@_of
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]), help="Only those in this state.")
@as_json
@pass_context
def list_(context: Context, subscription: str | None, state: "State | None", as_json: bool) -> int:
    """List events."""
    return _listed(context, subscription, state, as_json=as_json)


@command.command(help="List the events that were given up, and why.")
@_of
@as_json
@pass_context
def dead(context: Context, subscription: str | None, as_json: bool) -> int:
    """List the events that were given up."""
    return _listed(context, subscription, "dead", as_json=as_json)


@command.command(help="Send events that were given up again, from the next delivery on.")
@click.argument("event", metavar="[ID]", type=text, required=False)
@_of
@click.option("--all", "everything", is_flag=True, help="All that the subscription, or anybody, has not got.")
@as_json
@pass_context
def replay(context: Context, event: str | None, subscription: str | None, everything: bool, as_json: bool) -> int:
    """Send events that were given up again."""
    if (event is None) != everything:
        raise KvstackError("either an event's id or `--all`", "`kvstack events dead` lists them.")
    with opened(context) as vault:
        found = vault.service.replay_events(vault.caller, subscription=subscription, identifier=event)
    if as_json:
        answer_json({"events": [*map(_document, found)]})
    else:
        answer(f"{counted(len(found), 'event')} will be sent again by `kvstack events deliver` or `kvstack run-due`")
    return 0


@command.command(help="Hand over what waits, as `kvstack run-due` does, too.")
@as_json
@pass_context
def deliver(context: Context, as_json: bool) -> int:
    """Hand over what waits. Exit code 1 where somebody did not take something."""
    from kvstack.vault.caller import SYSTEM

    require_operator(context, "events deliver")
    with opened(context) as vault:
        report = vault.service.deliver_events(SYSTEM)
    if as_json:
        answer_json(delivery_document(report))
    else:
        answer(delivery_words(report))
        warn(delivery_troubles(report))
    return 1 if report.troubles else 0


@command.command(help="List who is told of events, and of what the audit shows.")
@as_json
@pass_context
def subscriptions(context: Context, as_json: bool) -> int:
    """List who is told of events."""
    with opened(context) as vault:
        found = vault.service.list_subscriptions(vault.caller)
    if as_json:
        answer_json({"subscriptions": [*map(_subscription_document, found)]})
    else:
        rows = [(one.name, " ".join(one.wanted.types) or "all", one.wanted.vault or "all", one.target) for one in found]
        answer(table(("NAME", "TYPES", "VAULT", "WHERE TO"), rows, empty="Nobody is told of events."))
    return 0


def delivery_words(report: "DeliveryReport") -> str:
    """Return what became of the events, in one line."""
    if report.busy:
        return "events: another process is delivering them"
    return f"events: {report.delivered} delivered, {report.waiting} waiting, {report.dead} given up"


def delivery_document(report: "DeliveryReport") -> dict[str, Any]:
    """Return what became of the events, for a program."""
    return {
        "delivered": report.delivered,
        "waiting": report.waiting,
        "dead": report.dead,
        "busy": report.busy,
        "troubles": [{"subscription": one.subscription, "why": one.why} for one in report.troubles],
    }


def delivery_troubles(report: "DeliveryReport") -> "tuple[Diagnostic, ...]":
    """Return what was not taken, as warnings."""
    return tuple(
        Diagnostic(
            severity="warning",
            summary=f"the subscription `{one.subscription}` did not take an event: it {one.why}",
            detail="It is tried again for 24 hours; `kvstack events list` shows what waits.",
        )
        for one in report.troubles
    )


def _listed(context: Context, subscription: str | None, state: "State | None", *, as_json: bool) -> int:
    with opened(context) as vault:
        found = vault.service.list_events(vault.caller, subscription=subscription, state=state)
    if as_json:
        answer_json({"events": [*map(_document, found)]})
    else:
        answer(_table(found, "No events."))
    return 0


def _table(found: "Iterable[Delivery]", empty: str) -> str:
    rows = [(one.created, one.type, one.subject, one.subscription, _state(one), one.id) for one in found]
    return table(("TIME", "TYPE", "SUBJECT", "SUBSCRIPTION", "STATE", "ID"), rows, empty=empty)


def _state(delivery: "Delivery") -> str:
    if delivery.state == "delivered" or not delivery.failure:
        return delivery.state
    return f"{delivery.state}: {delivery.failure} ({counted(delivery.attempts, 'try').replace('trys', 'tries')})"


def _document(delivery: "Delivery") -> dict[str, Any]:
    from msgspec.json import decode

    return {
        "subscription": delivery.subscription,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_try": delivery.next_try,
        "failure": delivery.failure,
        "event": decode(delivery.event),
    }


def _subscription_document(one: "Subscription") -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "name": one.name,
        "types": list(one.wanted.types),
        "subject": {"prefix": one.wanted.prefix, "suffix": one.wanted.suffix},
        "vault": one.wanted.vault,
        "webhook": one.webhook,
        "command": list(one.command),
        "mail": list(one.mail),
        "secret": f"{one.secret_vault}/secrets/{one.secret}" if one.secret else "",
        "alert": None if one.alert is None else to_builtins(one.alert),
        "stack": one.stack,
        "created": one.created,
        "updated": one.updated,
    }
