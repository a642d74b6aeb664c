"""`kvstack deleted`: what is soft-deleted anywhere, brought back or ended; on a terminal, to pick from."""

from collections.abc import Iterable
from typing import Any

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.table import counted, table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import InvalidInput, KvstackError
from kvstack.vault.deleted_things import KINDS, DeletedThing, deleted_things, meant, purged, recovered

_only_vault = click.option("--vault", metavar="VAULT", type=text, help="Only this one and what is in it.")
_only_kind = click.option("--kind", type=click.Choice(KINDS), help="Only these.")
_named = click.argument("names", metavar="[NAME]...", type=text, nargs=-1)
_all = click.option("--all", "everything", is_flag=True, help="All that `deleted list` shows, with --vault and --kind.")


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    help="Soft-deleted things in all vaults: pick some on a terminal and recover them; elsewhere they are listed.",
)
@click.pass_context
def command(context: click.Context) -> int:
    """Pick, where there is somebody to, and no verb."""
    if context.invoked_subcommand is not None:
        return 0
    from kvstack.cli.picker import on_a_terminal

    options = context.find_object(Context)
    assert options is not None  # noqa: S101  # the command above has made it
    return _pick(options) if on_a_terminal() else _list(options, None, None, as_json=False)


@command.command("list")
@_only_vault
@_only_kind
@as_json
@pass_context
def list_(context: Context, vault: str | None, kind: str | None, as_json: bool) -> int:
    """List what is soft-deleted, until when it can be recovered, and who deleted it."""
    return _list(context, vault, kind, as_json=as_json)


@command.command()
@_named
@_all
@_only_vault
@_only_kind
@as_json
@pass_context
def recover(
    context: Context, names: tuple[str, ...], everything: bool, vault: str | None, kind: str | None, as_json: bool
) -> int:
    """Bring things back: NAME is VAULT or VAULT/keys/NAME. A vault comes before what is in it."""
    with opened(context) as there:
        chosen = _chosen(there, names, everything, vault, kind)
        return _tell("recovered", recovered(there.service, there.caller, chosen), as_json=as_json)


@command.command()
@_named
@_all
@_only_vault
@_only_kind
@answer_yes
@as_json
@pass_context
def purge(
    context: Context,
    names: tuple[str, ...],
    everything: bool,
    vault: str | None,
    kind: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Destroy things for good; asks first."""
    with opened(context) as there:
        chosen = _chosen(there, names, everything, vault, kind)
        if chosen:
            confirm(f"Destroy {counted(len(chosen), 'deleted thing')}, for good?", yes=yes)
        return _tell("purged", purged(there.service, there.caller, chosen), as_json=as_json)


def _list(context: Context, vault: str | None, kind: str | None, *, as_json: bool) -> int:
    with opened(context) as there:
        found, unseen = deleted_things(there.service, there.caller)
        names = _names(there)
    warn(unseen)
    found = _filtered(found, vault, kind)
    if as_json:
        answer_json({"deleted": [{**_document(one), "by_name": names.get(one.by, one.by)} for one in found]})
        return 0
    rows = [
        (one.kind, one.written, one.deleted, one.purge_due, names.get(one.by, one.by), "yes" if one.protected else "")
        for one in found
    ]
    answer(table(("KIND", "NAME", "DELETED", "PURGE DUE", "BY", "PROTECTED"), rows, empty="Nothing is soft-deleted."))
    return 0


def _pick(context: Context) -> int:
    from kvstack.cli.picker import picked

    with opened(context) as there:
        found, unseen = deleted_things(there.service, there.caller)
        warn(unseen)
        if not found:
            answer("Nothing is soft-deleted.")
            return 0
        names = _names(there)
        chosen = picked(found, lambda who: names.get(who, who))
        if not chosen:
            answer("Nothing was recovered.")
            return 0
        return _tell("recovered", recovered(there.service, there.caller, chosen), as_json=False)


def _names(there: OpenVault) -> dict[str, str]:
    from kvstack.cli.directory import directory

    known = directory(there)
    return {identifier: known.name(identifier) for identifier in known.principals}


def _chosen(
    there: OpenVault, names: tuple[str, ...], everything: bool, vault: str | None, kind: str | None
) -> list[DeletedThing]:
    found, unseen = deleted_things(there.service, there.caller)
    warn(unseen)
    if everything == bool(names):
        raise KvstackError("name what is meant, or say `--all`", "`kvstack deleted list` shows what there is.")
    if names and (vault or kind):
        raise KvstackError("`--vault` and `--kind` go with `--all`", "A name says both.")
    return _filtered(found, vault, kind) if everything else meant(found, names)


def _filtered(things: list[DeletedThing], vault: str | None, kind: str | None) -> list[DeletedThing]:
    return [
        one
        for one in things
        if (vault is None or one.vault.lower() == vault.lower()) and (kind is None or one.kind == kind)
    ]


def _tell(did: str, outcomes: Iterable[tuple[DeletedThing, KvstackError | None]], *, as_json: bool) -> int:
    """Tell what was done as it is done, and everything that was not at the end. Returns the exit code."""
    from kvstack.render.escape import plain

    done: list[dict[str, Any]] = []
    failed: list[KvstackError] = []
    for one, error in outcomes:
        if error is not None:
            failed.append(error)
            continue
        done.append(_document(one))
        if not as_json:
            answer(plain(f"{did} {one.kind} {one.written}"))
    diagnostics = tuple(diagnostic for error in failed for diagnostic in error.diagnostics)
    if as_json:
        answer_json({did: done, "diagnostics": [one.document() for one in diagnostics]})
        return 1 if failed else 0
    if failed:
        raise InvalidInput(diagnostics)
    if not done:
        answer("Nothing is soft-deleted.")
    return 0


def _document(one: DeletedThing) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "vault": one.vault,
        "name": one.name,
        "written": one.written,
        "deleted": one.deleted,
        "purge_due": one.purge_due,
        "by": one.by,
        "protected": one.protected,
    }
