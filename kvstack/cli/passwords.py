"""Passwords of files: from the environment, from a file, or asked for; never an argument."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue

F = TypeVar("F", bound=Callable[..., Any])


def password_options(function: F) -> F:
    """Add where a file's password comes from."""
    for option in (
        click.option("--password-file", metavar="FILE", type=text, help="The file its password is in."),
        click.option("--password-env", metavar="NAME", type=text, help="The environment variable its password is in."),
    ):
        function = option(function)
    return function


def password_value(
    variable: str | None, file: str | None, *, what: str, asked: bool, needed: bool = False
) -> SecretValue | None:
    """Return the password, None for none. asked: on a terminal it is asked for where no source is named; needed: going
    without one is an error. Raises KvstackError."""
    found = _named(variable, file, f"It has to hold {what}.")
    if found is None:
        found = _typed(what) if asked and _at_a_terminal() else b""
    if needed and not found:
        raise KvstackError(f"{what} is needed", "Name its source with `--password-env` or `--password-file`.")
    return SecretValue(found) if found or variable or file else None


def password(variable: str | None, file: str | None, *, encrypted: bool, what: str) -> bytes | None:
    """Return the password of a key's file, None where there is none. encrypted: whether it is worth asking on a
    terminal; what: whose it is. Raises KvstackError."""
    found = _named(variable, file, f"{what}'s password is there.")
    if found is not None or not encrypted or not _at_a_terminal():
        return found
    typed: str = click.prompt(f"{what}'s password (not shown)", hide_input=True, err=True)
    return typed.encode()


def _named(variable: str | None, file: str | None, detail: str) -> bytes | None:
    """Return what the named source holds, None where none is named. detail: how to mend one that is not there."""
    match variable, file:
        case str(), str():
            raise KvstackError("the password is in the environment or in a file, not in both")
        case str(), None:
            if variable not in os.environ:
                raise KvstackError(f"the environment variable {variable} is not set", detail)
            return os.fsencode(os.environ[variable])
        case None, str():
            return Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        case _:
            return None


def _at_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _typed(what: str) -> bytes:
    prompt = f"{what[:1].upper()}{what[1:]} (not shown)"
    typed: str = click.prompt(prompt, hide_input=True, err=True, default="", show_default=False)
    return typed.encode()
