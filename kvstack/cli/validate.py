"""`kvstack validate`: the declaration alone; touches nothing."""

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.plan_options import allow_file, as_json


@click.command("validate")
@as_json()
@allow_file
@pass_context
def command(context: Context, as_json: bool, allow_files: bool) -> int:
    """Check the declaration: everything a vault would refuse later is told now, all of it at once."""
    declaration = context.declaration(allow_files=allow_files)
    if as_json:
        from kvstack.render.diagnostics import diagnostics_document

        answer_json(diagnostics_document(declaration.warnings))
        return 0
    warn(declaration.warnings)
    count = len(declaration.desired.nodes)
    things = "1 thing" if count == 1 else f"{count:,} things"
    answer(f"The declaration is valid: {things} in the stack {declaration.desired.owner}.")
    return 0
