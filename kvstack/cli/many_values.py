"""A command whose options take several values one after the other, as `az` has: `--secret-permissions get list`."""

from collections.abc import Collection, Sequence

import click


class ManyValues(click.Command):
    """Lets each option that may stand several times take all words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        options = {name for one in self.params if isinstance(one, click.Option) and one.multiple for name in one.opts}
        return super().parse_args(ctx, spread(args, options))


def spread(arguments: Sequence[str], options: Collection[str]) -> list[str]:
    """Return arguments with an option before each of its values. options: those that take several."""
    found: list[str] = []
    option = ""
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[place:]]
        if argument.startswith("-"):
            option = name if (name := argument.partition("=")[0]) in options else ""
            found.append(argument)
        elif option and found[-1] != option:
            found += [option, argument]
        else:
            found.append(argument)
    return found
