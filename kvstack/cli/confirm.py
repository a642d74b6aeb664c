"""Asking before something is done that nobody can undo."""

import sys

import click

from kvstack.terms.diagnostic import KvstackError


def confirm(what: str, *, yes: bool) -> None:
    """Go on only where the answer is `yes`. what: what will be done; yes: the answer given on the command line. Raises
    KvstackError otherwise."""
    if yes:
        return
    # Standard input can be closed altogether: it is None then.
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        raise KvstackError(
            "nothing was done: this cannot be undone, and there is nobody to ask",
            "Run it with `--yes` to do it unasked.",
        )
    typed = click.prompt(f"{what} Only `yes` is taken for it", default="", show_default=False, err=True)
    if typed.strip() != "yes":
        raise KvstackError("nothing was done")
