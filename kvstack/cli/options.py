"""The options that several verbs share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click
from msgspec import UNSET, UnsetType

from kvstack.cli.words import moment, moment_or_none, text

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
answer_yes = click.option("--yes", is_flag=True, help="Do not ask.")
version = click.option("--version", metavar="VERSION", type=text, help="A version; the newest by default.")


def new_attributes(function: F) -> F:
    """Add the attributes a new version is made with."""
    for option in reversed(
        (
            click.option("--expires", metavar="TIME", type=moment, help="Until when it is meant to be used."),
            click.option("--not-before", metavar="TIME", type=moment, help="From when on it is meant to be used."),
            click.option(
                "--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="May stand several times."
            ),
            click.option("--disabled", is_flag=True, help="Make it unusable until it is enabled."),
        )
    ):
        function = option(function)
    return function


def changed_attributes(function: F) -> F:
    """Add the attributes of a version that can be changed."""
    for option in reversed(
        (
            click.option("--enabled/--disabled", "enabled", default=None, help="Whether it can be used."),
            click.option(
                "--expires", metavar="TIME", type=moment_or_none, help="Until when it is meant to be used; or `none`."
            ),
            click.option(
                "--not-before",
                metavar="TIME",
                type=moment_or_none,
                help="From when on it is meant to be used; or `none`.",
            ),
            click.option(
                "--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="Set one tag; the others stay."
            ),
            click.option("--untag", metavar="NAME", type=text, multiple=True, help="Take one tag away."),
        )
    ):
        function = option(function)
    return function


def given(value: datetime | str | None) -> datetime | UnsetType | None:
    """Return a date as the vault's update takes it: UNSET where none was given, None for `none`."""
    match value:
        case None:
            return UNSET
        case datetime():
            return value
        case _:
            return None
