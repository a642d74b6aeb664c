"""A password of a file: in the environment, in a file of its own, or typed; never an argument."""

import os
import sys
from pathlib import Path

import click

from kvstack.terms.diagnostic import KvstackError


def password(variable: str | None, file: str | None, *, encrypted: bool, what: str) -> bytes | None:
    """Return the password, None where there is none. encrypted: whether it is worth asking on a terminal; what: whose
    it is. Raises KvstackError."""
    match variable, file:
        case str(), str():
            raise KvstackError("the password is in the environment or in a file, not in both")
        case str(), None:
            if variable not in os.environ:
                raise KvstackError(f"the environment variable {variable} is not set", f"{what}'s password is there.")
            return os.fsencode(os.environ[variable])
        case None, str():
            return Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        case _:
            if not encrypted or sys.stdin is None or not sys.stdin.isatty():
                return None
            typed: str = click.prompt(f"{what}'s password (not shown)", hide_input=True, err=True)
            return typed.encode()
