"""`kvstack schema`: the JSON Schema of a stack, for editors and other tools."""

import click

from kvstack.cli.output import answer


@click.command("schema")
def command() -> int:
    """Print the JSON Schema of a kvstack.yaml."""
    from kvstack.declare.stack_schema import text

    answer(text())
    return 0
