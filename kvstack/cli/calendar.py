"""`kvstack calendar`: what time is going to make due, in order, and what is wrong with it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import counted, table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.coming import Coming


def _day(value: str) -> datetime:
    """Return a moment; a day alone is meant to its end. Raises click.BadParameter."""
    from kvstack.cli.words import moment

    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(hour=23, minute=59, second=59, tzinfo=UTC)
    except ValueError:
        return moment(value)


@click.command("calendar")
@click.option("--until", metavar="DAY", type=_day, help="A day, or a time; a year from now by default.")
@click.option("--vault", "vaults", metavar="VAULT", type=text, multiple=True, help="Only of this one; several times.")
@click.option("--all", "everything", is_flag=True, help="All the vault holds, not only the stack's things.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print it as Markdown.")
@click.option("--ics", "as_ics", is_flag=True, help="Print it as iCalendar (RFC 5545), for a calendar to read.")
@as_json
@pass_context
def command(
    context: Context,
    until: datetime | None,
    vaults: tuple[str, ...],
    everything: bool,
    as_markdown: bool,
    as_ics: bool,
    as_json: bool,
) -> int:
    """Show what time is going to make due, as `run-due` will do it if it is run then and nobody changes anything.

    Of the stack's things where there is a stack here, else of all. Conflicts are marked: what expires and is not
    followed, what would outlive its certificate authority, what nobody is told of.
    """
    if as_json + as_markdown + as_ics > 1:
        raise KvstackError("`--json`, `--markdown` and `--ics` are three ways to print it: choose one")
    if everything and vaults:
        raise KvstackError("`--all` and `--vault` contradict each other", "Leave one of them out.")
    mine = None if everything or vaults else _declared(context)
    with opened(context) as vault:
        found = vault.service.calendar(vault.caller, until)
    named = {name.lower() for name in vaults}
    coming = [
        one for one in found.coming if (mine is None or _of(one) & mine) and (not named or one.vault.lower() in named)
    ]
    if as_json:
        from kvstack.render.calendar_document import calendar_document

        answer_json(calendar_document(found.now, found.until, coming))
    elif as_markdown:
        from kvstack.render.calendar import markdown

        answer(markdown(_rows(coming), found.until))
    elif as_ics:
        from kvstack.render.calendar import icalendar

        answer(icalendar([_entry(one) for one in coming], found.now))
    else:
        nothing = f"Nothing happens until {found.until:%Y-%m-%d}."
        answer(table(("WHEN", "ACTION", "KIND", "THING", "CONFLICT"), _rows(coming), empty=nothing))
        marked = sum(bool(one.conflicts) for one in coming)
        if marked:
            say(f"{marked} of {counted(len(coming), 'entry').replace('entrys', 'entries')} with a conflict.")
    return 0


def _declared(context: Context) -> frozenset[tuple[str, str, str]] | None:
    """Return (kind, vault, name) of what the stack here declares; None where there is no stack."""
    if not (context.directory / "kvstack.yaml").is_file():
        return None
    nodes = context.declaration().desired.nodes.values()
    things = {(one.resource.kind, one.vault.lower(), one.resource.name.lower()) for one in nodes}
    # Rights in a vault of the stack concern it, whoever gave them.
    vaults = {one.vault or one.resource.name for one in nodes if one.resource.kind in ("vault", "managed_hsm")}
    return frozenset({*things, *(("", vault.lower(), "") for vault in vaults)})


def _of(one: "Coming") -> frozenset[tuple[str, str, str]]:
    """Return under which names a stack may declare it."""
    vault = one.vault.lower()
    # What was deleted is not declared any more, and its end concerns the stack that has its vault.
    if one.kind in ("key", "secret", "certificate") and one.action != "purge":
        return frozenset({(one.kind, vault, one.name.lower())})
    return frozenset({("", vault, "")})


def _rows(coming: "list[Coming]") -> list[tuple[datetime, str, str, str, str]]:
    return [(one.at, _action(one), one.kind, _thing(one), _conflicts(one)) for one in coming]


def _action(one: "Coming") -> str:
    return one.action if one.done else f"{one.action} (fails)"


def _thing(one: "Coming") -> str:
    return "/".join(part for part in (one.vault, one.name) if part)


def _conflicts(one: "Coming") -> str:
    return "; ".join(conflict.words for conflict in one.conflicts)


def _entry(one: "Coming") -> tuple[datetime, str, str, str]:
    """Return when, what stays the same of it whenever it is printed, its title, and the rest."""
    where = f"{one.kind} {_thing(one)}"
    return one.at, f"{one.action} {where}", f"{_action(one)}: {where}", _conflicts(one)
