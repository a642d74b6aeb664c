"""Answers for people: aligned columns, and names with what they stand for. Everything shown is escaped here."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from kvstack.render.escape import plain

Cell = str | int | bool | datetime | None


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, empty: str) -> str:
    """Return rows under their headings, one space-filled column each. empty: what is said where there are none."""
    body = [[shown(cell) for cell in row] for row in rows]
    if not body:
        return empty
    lines = [list(headings), *body]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def facts(pairs: Iterable[tuple[str, Cell]]) -> str:
    """Return names and what they stand for, one a line; those that stand for nothing are left out."""
    there = [(name, shown(cell)) for name, cell in pairs if cell not in (None, "")]
    width = max(len(name) for name, _ in there)
    return "\n".join(f"{name:{width}}  {cell}" for name, cell in there)


def shown(cell: Cell) -> str:
    """Return one value as it is shown."""
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%SZ}"
        case _:
            return plain(str(cell))


def counted(count: int, one: str) -> str:
    """Return `1 thing`, `2 things`."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def tag_words(tags: Iterable[tuple[str, str]]) -> str:
    """Return tags in one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(tags))


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(letter) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
