"""`kvstack import`: take over a thing that is there already."""

import threading

import click
import msgspec

from kvstack.apply.workspace import Workspace
from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json
from kvstack.cli.plan_options import as_json
from kvstack.cli.workspace import locked, workspace
from kvstack.plan.change import Change
from kvstack.render.events import Outcome
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import InvalidInput, KvstackError
from kvstack.terms.near import meant


@click.command("import")
@click.argument("address", metavar="ADDRESS|VAULT")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--all", "whole", is_flag=True, help="VAULT and everything in it, written as a declaration.")
@click.option("--file", metavar="FILE", help="With --all: the new file, of those the stack includes.")
@as_json("What was done, as one JSON document.")
@pass_context
def command(context: Context, address: str, id_: str | None, whole: bool, file: str | None, as_json: bool) -> int:
    """Make a thing that is there this stack's: it is tagged and recorded, nothing else of it changes.

    ADDRESS has to be declared. ID is the thing's id or name, where you want it checked. What differs from the
    declaration is in the next plan. With --all the declaration of a whole vault or Managed HSM is written first, never
    over a file that is there: the plan is empty afterwards.
    """
    if whole:
        if id_ is not None:
            raise KvstackError("`--all` takes a vault's name, and nothing else")
        from kvstack.cli.import_all import import_all

        return import_all(context, address, file, as_json=as_json)
    if file is not None:
        raise KvstackError("`--file` goes with `--all`")
    with workspace(context) as opened, locked(opened.store, "import"):
        outcome = _imported(opened, Address(address), id_)
        if as_json:
            from kvstack.render.json import outcome_document

            answer_json(outcome_document(outcome, stack=opened.desired.stack, environment=opened.desired.environment))
            return 1 if outcome.failed else 0
    if outcome.failed:
        raise InvalidInput(outcome.failed[0].diagnostics)
    answer(f"Imported {address}. `kvstack plan` shows what of it differs from the declaration.")
    return 0


def _imported(opened: Workspace, address: Address, id_: str | None) -> Outcome:
    if address not in opened.desired.nodes:
        raise KvstackError(
            f"nothing is declared at `{address}`{meant(address, opened.desired.nodes)}",
            "Declare the thing first: an import takes over what a declaration names.",
        )
    opened.desired = msgspec.structs.replace(opened.desired, imports=frozenset({address}))
    state = opened.state()
    made = opened.plan(state=state, targets=(address,))
    change = next((change for change in made.changes if change.address == address), None)
    _require_importable(change, address, id_)
    assert change is not None  # noqa: S101  # that is what was required
    adopted = msgspec.structs.replace(
        change, changed=change.changed & {"owner"}, new_version=False, attributes=(), depends_on=()
    )
    return opened.apply(
        msgspec.structs.replace(made, changes=(adopted,), bookkeeping=(), principals=()),
        state,
        tell=lambda _event: None,
        stop=threading.Event(),
    )


def _require_importable(change: Change | None, address: Address, id_: str | None) -> None:
    match change:
        case Change(action=Action.IMPORT | Action.RECOVER, actual=actual) if actual is not None:
            if id_ is not None and id_.lower() not in (actual.id.lower(), actual.resource.name.lower()):
                raise KvstackError(
                    f"what is declared at `{address}` is `{actual.id}`, not `{id_}`",
                    "Write the real name as `name:` in the declaration.",
                )
        case Change(action=Action.CREATE):
            raise KvstackError(
                f"there is nothing to import at `{address}`", "`kvstack apply` makes it.", address=address
            )
        case Change(action=Action.REFUSE, reasons=reasons):
            raise KvstackError(reasons[0], " ".join(reasons[1:]), address=address)
        case _:
            raise KvstackError(f"`{address}` is this stack's already", "There is nothing to import.", address=address)
