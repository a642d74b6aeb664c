"""`kvstack serve`: the vault over HTTPS, for the clients of Azure Key Vault."""

from functools import partial
from pathlib import Path

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.opened import require_operator
from kvstack.cli.output import warn
from kvstack.cli.words import text


@click.command("serve")
@click.option("--address", metavar="IP", type=text, help="Where to listen; 127.0.0.1 by default.")
@click.option("--port", metavar="NUMBER", type=int, help="8443 by default; 0 for one that is free.")
@click.option("--domain", metavar="NAME", type=text, help="A vault is NAME.vault.DOMAIN; `localhost`.")
@click.option(
    "--proxy-port",
    metavar="NUMBER",
    type=int,
    help="Run a CONNECT proxy to these names, where they do not resolve; 0 for a port that is free.",
)
@click.option(
    "--imds",
    metavar="IDENTITY=ADDRESS:PORT",
    type=text,
    multiple=True,
    help="Whoever reaches this loopback address is this managed identity; may stand several times.",
)
@click.option(
    "--backups",
    metavar="URI=FOLDER",
    type=text,
    multiple=True,
    help="The folder that stands for a storage container, for backups of Managed HSMs; may stand several times.",
)
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A certificate of yours, PEM, with its chain after it; without it the server makes its own.",
)
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="The certificate's key, PEM.")
@click.option("--workers", metavar="NUMBER", type=int, help="Processes that answer, each with the vault open; 1.")
@click.option(
    "--throttle", is_flag=True, help="Refuse more requests in a time than Azure takes of one vault, by 429, as it does."
)
@click.option("--due-every", metavar="SECONDS", type=float, help="Look at what is due at least so often; 30.")
@click.option(
    "--pin-fd", metavar="NUMBER", type=int, help="Read the HSM's PIN from this file descriptor, up to its end."
)
@pass_context
def command(
    context: Context,
    address: str | None,
    port: int | None,
    domain: str | None,
    proxy_port: int | None,
    imds: tuple[str, ...],
    backups: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    workers: int | None,
    throttle: bool,
    due_every: float | None,
    pin_fd: int | None,
) -> int:
    """Serve the vault over HTTPS, as Azure Key Vault is served, and do what time makes due.

    Runs until it is interrupted or terminated; requests that were begun are answered then. The first start makes a
    certificate authority, `kvstack trust show` shows it. What no option says is read from `.kvstack/server.json`; on
    SIGHUP that file, the one on identity and the certificate are read anew. One server runs on a vault; commands work
    beside it.
    """
    import gc
    import os

    from kvstack.server.log import Log
    from kvstack.server.options import ServerOptions, server_configuration
    from kvstack.server.running import serve
    from kvstack.vault.layout import layout
    from kvstack.vault.unlock import simulated_clock_note, unlock

    require_operator(context, "serve")
    given = ServerOptions(
        address=address,
        port=port,
        domain=domain,
        proxy_port=proxy_port,
        imds=imds or None,
        backups=backups or None,
        certificate=str(certificate) if certificate is not None else None,
        key=str(key) if key is not None else None,
        workers=workers,
        throttle=throttle or None,
        due_every=due_every,
    )
    paths = layout(context.directory.absolute())
    server_configuration(given, paths)  # what is wrong in it is told before a PIN is asked for
    from kvstack.cli.pin import pin_environment

    isolated, environment = context.isolated(), pin_environment(context, pin_fd)
    unlocked = unlock(context.directory, isolated=isolated, environ=environment)
    try:
        warn((*unlocked.warnings, *simulated_clock_note(unlocked)))
        # A server lives long, unlike every other verb. What is there by now stays to the end.
        gc.enable()
        gc.freeze()
        # Workers get the environment as it is, and what is not in it over a socket.
        pin = {name: value for name, value in environment.items() if os.environ.get(name) != value}
        serve(unlocked, partial(server_configuration, given, paths), Log(), isolated=isolated, pin=pin)
    finally:
        unlocked.close()
    return 0
