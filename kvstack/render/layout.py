"""Lines made of coloured pieces, fitted into a terminal's width without losing a character of them."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import msgspec

# Styles are SGR parameters of ECMA-48.
PLAIN, BOLD, DIM = "", "1", "2"
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "31", "32", "33", "34", "35", "36"
BOLD_RED, BOLD_YELLOW = "1;31", "1;33"

NARROWEST = 20
# A space at which no line is broken, where that can be helped: between a symbol and what it stands for. Data never
# holds this character: escaping takes it out.
KEEP = "\x1f"
_RESET = "\x1b[0m"

Span = tuple[str, str]  # style, text


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line before it is fitted. spans: styled pieces of text that is already escaped; indent: columns before it;
    hang: columns before what has to go on in further lines."""

    spans: tuple[Span, ...] = ()
    indent: int = 0
    hang: int = 0


def text_line(text: str, indent: int = 0, style: str = PLAIN) -> Line:
    """Return a line of one piece. It goes on where no change can begin, so that data in it cannot look like one."""
    return Line(((style, text),), indent, indent + 4)


def fitted(lines: Iterable[Line], *, width: int, colour: bool) -> str:
    """Return the lines as text, each ended by a line feed, none wider than `width` columns (20 at least)."""
    width = max(width, NARROWEST)
    found: list[str] = []
    for line in lines:
        text = "".join([text for _, text in line.spans])
        if line.indent + columns(text) <= width:
            found.append(" " * line.indent + (_coloured(line.spans) if colour else text))
        else:
            _wrap(line, width, colour, found)
    found.append("")
    return "\n".join(found).replace(KEEP, " ")


def unfitted(line: Line) -> str:
    """Return a line as one, however long it is, without colour."""
    return " " * line.indent + "".join([text for _, text in line.spans]).replace(KEEP, " ")


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return text of at most `width` columns; what was cut off is marked."""
    if columns(text) <= width:
        return text
    shown, taken = [], 1
    for character in text:
        taken += _columns(character)
        if taken > width:
            break
        shown.append(character)
    return "".join(shown) + "…"


@lru_cache(maxsize=4096)
def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _wrap(line: Line, width: int, colour: bool, found: list[str]) -> None:
    """Break a line at spaces, or within a word that is wider than the terminal."""
    letters = [(style, letter) for style, text in line.spans for letter in text]
    # Half of a narrow terminal is left for text, however deep it stands.
    indent = min(line.indent, width // 2)
    hang = line.hang if line.hang <= width // 2 else min(indent + 4, width // 2)
    start = next((at for at, (_, letter) in enumerate(letters) if letter != " "), 0)
    if start:  # it stands below what it belongs to, in a column there is no room for
        indent = hang
    while start < len(letters):
        end, room = start, width - indent
        while end < len(letters) and room >= _columns(letters[end][1]):
            room -= _columns(letters[end][1])
            end += 1
        rest = end
        if end < len(letters):
            end, rest = _break(letters, start, end)
        while end > start and letters[end - 1][1] == " ":
            end -= 1
        part = letters[start:end]
        found.append(" " * indent + (_coloured(part) if colour else "".join([letter for _, letter in part])))
        start, indent = rest, hang
        while start < len(letters) and letters[start][1] == " ":
            start += 1


def _break(letters: list[Span], start: int, end: int) -> tuple[int, int]:
    """Return where a line ends and where the next begins, when letters[start:end] is all that fits."""
    for space in (" ", KEEP):
        for at in range(end, start, -1):
            # A symbol alone on its line, or nothing at all, is worse than a broken word.
            if letters[at][1] == space and at - start > 2 and any(letter != " " for _, letter in letters[start:at]):
                return at, at + 1
    return end, end


def _coloured(spans: Iterable[Span]) -> str:
    shown: list[str] = []
    current = PLAIN
    for style, text in spans:
        if style != current:
            if current:
                shown.append(_RESET)
            if style:
                shown.append(f"\x1b[{style}m")
            current = style
        shown.append(text)
    if current:
        shown.append(_RESET)
    return "".join(shown)
