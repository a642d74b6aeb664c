"""`kvstack env`: what a shell needs so that Azure's clients find the server."""

import shlex

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.words import text


@click.command("env")
@click.option("--vault", metavar="NAME", type=text, help="Name a vault's address, too: AZURE_KEYVAULT_URL.")
@as_json
@pass_context
def command(context: Context, vault: str | None, as_json: bool) -> int:
    """Print the environment of a shell whose programs are to use the server that runs here: eval "$(kvstack env)".

    The proxy leads to this server only: where there is one, programs of the shell reach nothing else over HTTPS.
    """
    from kvstack.server.environment import client_environment
    from kvstack.server.running import read_running
    from kvstack.server.trust import trust_files
    from kvstack.vault.layout import layout

    root = layout(context.directory.absolute()).root
    found = client_environment(read_running(root), trust_files(root).authority, vault)
    if as_json:
        answer_json(found)
    else:
        answer("".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items()))
    return 0
