"""Errors and warnings: what is wrong, where, and how to mend it."""

from collections.abc import Iterable, Iterator
from typing import Any

from kvstack.render import values
from kvstack.render.escape import encodable, plain
from kvstack.render.layout import BOLD, BOLD_RED, BOLD_YELLOW, DIM, PLAIN, Line, fitted
from kvstack.terms.diagnostic import Diagnostic


def diagnostics_terminal(diagnostics: Iterable[Diagnostic], *, width: int, colour: bool) -> str:
    """Return diagnostics as a terminal shows them, in the order given."""
    return fitted((line for diagnostic in diagnostics for line in lines(diagnostic)), width=width, colour=colour)


def diagnostics_document(diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """Return what `--json` prints instead of an answer (design section 9)."""
    return {"diagnostics": [_encodable(diagnostic.document()) for diagnostic in diagnostics]}


def lines(diagnostic: Diagnostic, *, indent: int = 0) -> Iterator[Line]:
    """Yield one diagnostic: `error: kvstack.yaml:14:9: what is wrong`, and below how to mend it."""
    style = BOLD_RED if diagnostic.severity == "error" else BOLD_YELLOW
    where = (
        f"{plain(str(diagnostic.place))}: "
        if diagnostic.place is not None
        else f"{values.address(diagnostic.address)}: "
        if diagnostic.address is not None
        else ""
    )
    code = f" {plain(diagnostic.code)}" if diagnostic.code is not None else ""
    yield Line(
        ((style, f"{diagnostic.severity}{code}:"), (PLAIN, f" {where}"), (BOLD, plain(diagnostic.summary))),
        indent,
        indent + 4,
    )
    # Four columns in, where no symbol of a change can stand.
    if diagnostic.place is not None and diagnostic.address is not None:
        yield Line(((DIM, f"in {values.address(diagnostic.address)}"),), indent + 4, indent + 6)
    if diagnostic.detail:
        yield Line(((PLAIN, plain(diagnostic.detail)),), indent + 4, indent + 4)


def _encodable(document: dict[str, Any]) -> dict[str, Any]:
    return {key: encodable(data) if isinstance(data, str) else data for key, data in document.items()}
