"""The four options that say which actions a role allows, or a denial forbids."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kvstack.cli.words import text

F = TypeVar("F", bound=Callable[..., Any])


def action_patterns(verb: str) -> Callable[[F], F]:
    """Add `--action` and its like. verb: what is done with what they match, `allowed` or `denied`."""
    options = (
        ("--not-data-action", f"What is not {verb} of that."),
        ("--data-action", f"What is {verb} on the data in vaults."),
        ("--not-action", f"What is not {verb} of that."),
        ("--action", f"What is {verb} on vaults themselves; `*` is anything. May be repeated, as all of these."),
    )

    def added(function: F) -> F:
        for name, words in options:
            function = click.option(name, metavar="PATTERN", type=text, multiple=True, help=words)(function)
        return function

    return added
