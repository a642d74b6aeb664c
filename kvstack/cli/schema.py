"""`kvstack schema`: the JSON Schema of a stack, for editors and other tools."""

import click

from kvstack.cli.output import answer


@click.command("schema")
@click.option("--included", is_flag=True, help="Of a file that a stack includes.")
def command(included: bool) -> int:
    """Print the JSON Schema of a kvstack.yaml."""
    from kvstack.declare.stack_schema import text

    answer(text(included=included))
    return 0
