"""The embedded vault, open for a verb of the data plane, with everything one has to be told about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.cli.context import Context, OpenVault
from kvstack.cli.output import say, warn
from kvstack.terms.diagnostic import KvstackError


@contextmanager
def opened(context: Context) -> Iterator[OpenVault]:
    """Open the folder's vault as whoever acts."""
    with context.vault() as vault:
        warn(vault.unlocked.warnings)
        if vault.unlocked.settings.simulated_clock:
            now = vault.unlocked.clock.now()
            say(f"note: the clock of this vault is simulated, it stands at {now:%Y-%m-%d %H:%M} UTC")
        yield vault


def require_operator(context: Context, verb: str) -> None:
    """Refuse `--as` where a verb is only for whoever owns the vault's files. Raises KvstackError."""
    if context.principal is not None:
        raise KvstackError(f"`{verb}` is for the vault's operator alone", "Run it without `--as`.")
