"""Where the answer goes, and everything else: standard output carries the answer, standard error all the rest."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from kvstack.terms.diagnostic import Diagnostic

if TYPE_CHECKING:
    import click

NARROWEST = 40


def answer(text: str) -> None:
    """Print the answer."""
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")


def answer_json(document: Any) -> None:
    """Print the answer as one JSON document."""
    from kvstack.render.json import json_text

    answer(json_text(document))


def say(text: str) -> None:
    """Tell whoever watches something that is not the answer."""
    sys.stdout.flush()
    sys.stderr.write(text if text.endswith("\n") else text + "\n")


def report(diagnostics: Iterable[Diagnostic], *, as_json: bool, exit_code: int) -> int:
    """Tell what is wrong: for people on standard error, or as one JSON document on standard output. Returns the exit
    code."""
    from kvstack.render.diagnostics import diagnostics_document, diagnostics_terminal

    found = tuple(diagnostics)
    if as_json:
        answer_json(diagnostics_document(found))
    else:
        say(diagnostics_terminal(found, width=width(sys.stderr), colour=coloured(sys.stderr)))
    return finish(exit_code)


def warn(diagnostics: Iterable[Diagnostic]) -> None:
    """Tell warnings to whoever watches."""
    found = tuple(diagnostics)
    if found:
        from kvstack.render.diagnostics import diagnostics_terminal

        say(diagnostics_terminal(found, width=width(sys.stderr), colour=coloured(sys.stderr)))


def show_help(context: "click.Context") -> NoReturn:
    """Show how a verb is used, to somebody who gave it nothing to do: help, and an exit code that says so."""
    say(context.get_help())
    context.exit(1)


def finish(exit_code: int) -> int:
    """Write out what is buffered, while it can still be told when that fails. Returns the exit code."""
    sys.stdout.flush()
    return exit_code


def coloured(stream: Any) -> bool:
    """Tell whether a stream wants colour: a terminal does, unless NO_COLOR says otherwise."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(stream: Any) -> int:
    """Return how wide text may be: the terminal's columns, or 100 where there is none to ask."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = int(text) if (text := os.environ.get("COLUMNS", "")).isdigit() else 100
    return max(NARROWEST, columns)
