"""The embedded vault, open for a verb of the data plane, with everything one has to be told about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.cli.context import Context, OpenVault
from kvstack.cli.output import warn
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.unlock import simulated_clock_note


@contextmanager
def opened(context: Context) -> Iterator[OpenVault]:
    """Open the folder's vault as whoever acts."""
    with context.vault() as vault:
        warn((*vault.unlocked.warnings, *simulated_clock_note(vault.unlocked)))
        yield vault


def require_operator(context: Context, verb: str) -> None:
    """Refuse `--as` where a verb is only for whoever owns the vault's files. Raises KvstackError."""
    if context.principal is not None:
        raise KvstackError(f"`{verb}` is for the vault's operator alone", "Run it without `--as`.")
