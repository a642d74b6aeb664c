"""`kvstack plan`: what would change."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, coloured, say, width
from kvstack.cli.plan_options import allow_file, as_json, policies, targets
from kvstack.cli.workspace import workspace
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.apply.workspace import Workspace
    from kvstack.plan.change import Plan

CHANGES, INCOMPLETE = 2, 3


@click.command("plan")
@click.option(
    "--out",
    "out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan for `kvstack apply FILE`.",
)
@as_json()
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown for a pull-request comment.")
@click.option("--destroy", is_flag=True, help="Plan the end of everything declared and recorded.")
@click.option("--refresh-only", is_flag=True, help="Only tell what moved; applied, it is recorded as it is.")
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 2 where there are changes, 3 where something could not be read.",
)
@targets
@policies
@allow_file
@pass_context
def command(
    context: Context,
    out: Path | None,
    as_json: bool,
    as_markdown: bool,
    destroy: bool,
    refresh_only: bool,
    detailed_exitcode: bool,
    targets: tuple[Address, ...],
    policies: Path | None,
    allow_files: bool,
) -> int:
    """Show what would change, why, and what of it cannot be undone. Changes nothing."""
    if as_json and as_markdown:
        raise KvstackError("--json and --markdown exclude each other")
    with workspace(context, allow_files=allow_files) as opened:
        made = opened.plan(
            targets=targets,
            destroy=destroy,
            refresh_only=refresh_only,
            with_digest=out is not None,
            policies=policies,
        )
        made = with_approvals(opened, made) if out is not None and made.needs_approval else made
    if out is not None and is_refused(made):
        say("The plan is not saved: it holds what cannot be done.")
    elif out is not None:
        from kvstack.apply.saved import save

        save(made, out, **opened.maker)
        say(f"The plan is saved: `kvstack apply {out}` does exactly that.")
        if made.needs_approval:
            say(f"It needs an approval first: `kvstack approve {out}`.")
    show(made, as_json=as_json, as_markdown=as_markdown)
    if out is None and made.needs_approval:
        from kvstack.apply.approval import how

        say(f"It needs an approval. {how(destroy=made.destroy)}")
    return exit_code(made, detailed=detailed_exitcode)


def with_approvals(opened: "Workspace", made: "Plan") -> "Plan":
    """Return a plan with the approvals it has already: one that was made before, and is the same to the byte."""
    import msgspec

    from kvstack.apply import approval, saved

    digest = saved.digest(msgspec.json.encode(saved.of(made, **opened.maker)))
    return msgspec.structs.replace(made, approvals=approval.shown(approval.given(opened.backend, digest)))


def show(made: "Plan", *, as_json: bool = False, as_markdown: bool = False) -> None:
    """Print a plan as the answer."""
    if as_json:
        from kvstack.render.json import document

        answer_json(document(made))
    elif as_markdown:
        from kvstack.render.markdown import markdown

        answer(markdown(made))
    else:
        from kvstack.render.terminal import terminal

        answer(terminal(made, width=width(sys.stdout), colour=coloured(sys.stdout)))


def is_refused(made: "Plan") -> bool:
    """Tell whether a plan cannot be applied."""
    return made.refused or any(diagnostic.severity == "error" for diagnostic in made.diagnostics)


def exit_code(made: "Plan", *, detailed: bool) -> int:
    """Return design section 9's exit code of a plan."""
    if is_refused(made):
        return 1
    if not detailed:
        return 0
    if not made.complete:
        return INCOMPLETE
    return 0 if made.empty else CHANGES
