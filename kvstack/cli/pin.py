"""Where a server's PIN comes from: a file, a descriptor, a prompt; its environment where nothing else is named."""

import os
import sys
from collections.abc import Mapping

import click

from kvstack.cli.context import Context
from kvstack.terms.diagnostic import KvstackError

_LONGEST = 1024


def pin_environment(context: Context, descriptor: int | None) -> Mapping[str, str]:
    """Return the environment to unlock a vault by, with its PIN where that is named there. descriptor: to read it from.

    A PIN is taken out of this process's own environment: what it starts does not get it. Raises KvstackError.
    """
    from kvstack.vault.layout import layout, read_configuration

    paths = layout(context.directory)
    configuration = read_configuration(paths)
    variable = ""
    if configuration.kek == "pkcs11":
        from kvstack.hsm.configuration import read_configuration as read_hsm

        variable = read_hsm(paths.root / configuration.file).pin_source.environment
    if not variable:
        if descriptor is not None:
            raise KvstackError("`--pin-fd`: this vault's PIN is in a file, or it needs none", "Leave `--pin-fd` out.")
        return os.environ
    found = os.environ.pop(variable, "")
    if descriptor is not None:
        found = _read(descriptor)
    elif not found and sys.stdin is not None and sys.stdin.isatty():
        found = click.prompt("The HSM's PIN (not shown)", hide_input=True, err=True)
    return {**os.environ, variable: found}


def _read(descriptor: int) -> str:
    try:
        with open(descriptor, "rb") as file:
            read = file.read(_LONGEST)
        return read.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError):
        raise KvstackError(
            f"`--pin-fd {descriptor}`: no PIN can be read from it",
            "Open it before: `kvstack serve --pin-fd 3 3< FILE`.",
        ) from None
