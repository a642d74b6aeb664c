"""`kvstack destroy`: plan the end of everything declared, then do it."""

import click

from kvstack.cli.apply import applied
from kvstack.cli.context import Context, pass_context
from kvstack.cli.plan_options import as_json, targets
from kvstack.terms.address import Address


@click.command("destroy")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json("What was done, as one JSON document.")
@targets
@pass_context
def command(context: Context, yes: bool, as_json: bool, targets: tuple[Address, ...]) -> int:
    """Delete everything this stack has made. What has soft delete can be recovered until its retention ends."""
    return applied(context, yes=yes, as_json=as_json, targets=targets, destroy=True, verb="destroy")
