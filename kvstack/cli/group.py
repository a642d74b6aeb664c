"""A verb that has verbs of its own: `secret set`, `key sign`."""

from collections.abc import Callable
from typing import Any

import click

from kvstack.cli.output import show_help
from kvstack.terms.near import meant


class Verbs(click.Group):
    """Lists its verbs in the order they are written in, and suggests one for a misspelt name."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return list(self.commands)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that is meant, and what is left for it."""
        name = str(args[0])
        if name not in self.commands and not name.startswith("-"):
            context.fail(f"`{context.command_path}` has no verb `{name}`{meant(name, self.commands)}")
        return super().resolve_command(context, args)


def verbs(help: str) -> Callable[[Callable[..., Any]], Verbs]:  # noqa: A002  # click's own word
    """Make a function the group of its verbs."""

    def group(function: Callable[..., Any]) -> Verbs:
        @click.group(cls=Verbs, help=help, name=function.__name__, no_args_is_help=False, invoke_without_command=True)
        @click.pass_context
        def shown(context: click.Context) -> None:
            if context.invoked_subcommand is None:
                show_help(context)

        return shown

    return group
