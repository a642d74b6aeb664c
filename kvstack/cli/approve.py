"""`kvstack approve`: somebody else than its maker lets a saved plan do what waits for an approval."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kvstack.cli.approval_documents import approval_document
from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import directory
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, coloured, say, width
from kvstack.cli.thing import thing
from kvstack.cli.words import lasting, text
from kvstack.terms.approval import LASTS
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.plan.change import Plan


@click.command("approve")
@click.argument("plan", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--reason", metavar="TEXT", type=text, default="", help="Why, for the audit.")
@click.option(
    "--for", "lasts", metavar="DURATION", type=lasting, default=None, help="For how long; 24 hours, 7 days at most."
)
@click.option("--key", metavar="VAULT/NAME", type=text, help="Sign with this P-256 key; by default with one's own.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@pass_context
def command(
    context: Context, plan: Path, reason: str, lasts: timedelta | None, key: str | None, yes: bool, as_json: bool
) -> int:
    """Approve what a saved plan does and a vault holds up, as the principal of `--as`. Nobody approves his own plan."""
    from msgspec.structs import replace

    from kvstack.apply.approval import shown
    from kvstack.apply.saved import opened as read
    from kvstack.apply.saved import plan_of

    file = read(plan)
    made = plan_of(file.saved)
    if not made.needs_approval:
        raise KvstackError(f"{plan} does nothing that waits for an approval", f"`kvstack apply {plan}` does it.")
    named = thing(context, key, "keys") if key is not None else None
    with opened(context) as vault:
        backend = f"embedded/{vault.unlocked.settings.subscription_id}"
        if file.saved.backend != backend:
            raise KvstackError(
                f"{plan} was made for other vaults", f"It is for `{file.saved.backend}`, these are `{backend}`."
            )
        if not as_json:
            there = vault.service.approvals_of(vault.caller, file.digest)
            _show(replace(made, approvals=shown(there)), plan)
        if not yes:
            _ask(as_json=as_json)
        given = vault.service.approve_plan(
            vault.caller,
            file.digest,
            [need.deed for need in made.needs_approval],
            made_by=file.saved.made_by,
            stack=made.stack if made.environment is None else f"{made.stack} ({made.environment})",
            reason=reason,
            lasts=LASTS if lasts is None else lasts,
            key=(named.vault, named.name) if named is not None else None,
        )
        found = vault.service.get_approval(vault.caller, given.id)
        known = directory(vault)
    if as_json:
        answer_json(approval_document(found, known))
        return 0
    count = len(found.deeds)
    steps = "1 step" if count == 1 else f"{count} steps"
    answer(f"approved {steps} of {plan} until {given.expires:%Y-%m-%d %H:%M} UTC ({given.id})")
    _say_what_is_missing(made, {row.deed.text for row in found.deeds})
    return 0


def _show(made: "Plan", plan: Path) -> None:
    """Show what is going to be approved: the changes that wait, and how many others wait with them."""
    import msgspec

    from kvstack.render.terminal import terminal

    waiting = {need.address for need in made.needs_approval}
    changes = tuple(change for change in made.changes if change.address in waiting)
    others = len(made.changes) - len(changes)
    made = msgspec.structs.replace(made, changes=changes, drift=(), diagnostics=(), unread=(), compared_at_apply=())
    answer(terminal(made, width=width(sys.stdout), colour=coloured(sys.stdout)))
    if others:
        answer(f"{others} more {'change is' if others == 1 else 'changes are'} in this plan: `kvstack show {plan}`.")
    sys.stdout.flush()


def _ask(*, as_json: bool) -> None:
    from kvstack.cli.workspace import interactive

    # With --json the plan was not shown: nobody can say yes to it.
    if as_json or not interactive():
        raise KvstackError(
            "nothing was approved: there is nobody to ask", "Look at the plan, then run it with `--yes`."
        )
    typed = click.prompt("Approve this? Only `yes` is taken for it", default="", show_default=False, err=True)
    if typed.strip() != "yes":
        raise KvstackError("nothing was approved")


def _say_what_is_missing(made: "Plan", covered: set[str]) -> None:
    left = {need.deed.text: need for need in made.needs_approval if need.deed.text not in covered}
    if left:
        who = " and ".join(sorted({" or ".join(need.names) for need in left.values()}))
        say(f"{len(left)} of its steps are for others to approve: {who}.")
