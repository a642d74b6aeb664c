"""`kvstack lint`: what is allowed in the declaration, and yet worth a warning; rules and policies."""

from datetime import UTC, datetime
from pathlib import Path

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json
from kvstack.cli.plan_options import allow_file, as_json, policies


@click.command("lint")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@policies
@as_json()
@allow_file
@pass_context
def command(context: Context, strict: bool, policies: Path | None, as_json: bool, allow_files: bool) -> int:
    """Look at the declaration alone: kvstack's warnings, the stack's own rules, and policies. Touches nothing."""
    from kvstack.apply.linted import linted

    declaration = context.declaration(allow_files=allow_files)
    found = (*declaration.warnings, *linted(declaration, now=datetime.now(UTC), policies=policies))
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    if as_json:
        from kvstack.render.diagnostics import diagnostics_document

        answer_json(diagnostics_document(found))
    else:
        import sys

        from kvstack.cli.output import coloured, width
        from kvstack.render.diagnostics import diagnostics_terminal
        from kvstack.render.words import counted

        answer(diagnostics_terminal(found, width=width(sys.stdout), colour=coloured(sys.stdout)))
        warnings = len(found) - errors
        parts = [counted(errors, "error")] if errors else []
        parts += [counted(warnings, "warning")] if warnings else []
        answer(f"{' and '.join(parts)}." if parts else f"Nothing to warn of in {declaration.desired.owner}.")
    return 1 if errors or (strict and found) else 0
