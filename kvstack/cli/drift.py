"""`kvstack drift`: what moved since the last apply, and who moved it."""

import sys

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, coloured, width
from kvstack.cli.plan import CHANGES, INCOMPLETE
from kvstack.cli.plan_options import as_json
from kvstack.cli.workspace import workspace


@click.command("drift")
@as_json()
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown for an issue or a comment.")
@pass_context
def command(context: Context, as_json: bool, as_markdown: bool) -> int:
    """Tell what moved since the last apply. Exits with 2 where something did, 3 where something could not be read."""
    with workspace(context) as opened:
        made = opened.plan(refresh_only=True)
        if made.drift:
            opened.tell("DriftFound")
    if as_json:
        from kvstack.render.json import drift_document

        answer_json(drift_document(made))
    elif as_markdown:
        from kvstack.render.markdown import drift_markdown

        answer(drift_markdown(made))
    else:
        from kvstack.render.terminal import drift_terminal

        answer(drift_terminal(made, width=width(sys.stdout), colour=coloured(sys.stdout)))
    if not made.complete:
        return INCOMPLETE
    return CHANGES if made.drift else 0
