"""Options that several planning verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kvstack.terms.address import Address

F = TypeVar("F", bound=Callable[..., Any])


def targets(function: F) -> F:
    """Add `--target`."""
    return click.option(
        "--target",
        "targets",
        metavar="ADDRESS",
        multiple=True,
        callback=lambda _context, _option, given: tuple(Address(address) for address in given),
        help="Only this address and what it depends on; may stand several times.",
    )(function)


def allow_file(function: F) -> F:
    """Add `--allow-file`."""
    return click.option(
        "--allow-file", "allow_files", is_flag=True, help="Let secrets come from files outside the stack's folder."
    )(function)


def policies(function: F) -> F:
    """Add `--policies`."""
    return click.option(
        "--policies",
        "policies",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Check with the Python policies in this folder, which is not the stack's.",
    )(function)


def as_json(words: str = "One JSON document instead of text.") -> Callable[[F], F]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help=words)
