"""Data as text that can neither move a cursor, reorder or hide a line, add one, nor become markup."""

import re
import unicodedata
from functools import lru_cache

# Letters that are drawn as nothing, or as a blank: their categories say letter, mark or symbol.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_UNCOMMON = re.compile(r"[^ -~]")
# Controls, formats (bidi overrides, zero-width), surrogates, private use, unassigned; separators of lines, paragraphs,
# words: a no-break space looks like the space between two columns.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 4  # on one letter: no script needs more, and a pile of them reaches into the lines around


def plain(text: str) -> str:
    r"""Return text with all that is not plainly visible written as `\x1b`, `\u202e` or `\U000e0001`."""
    if text.isascii():
        return text if text.isprintable() else _UNCOMMON.sub(lambda found: _escaped(found[0]), text)
    shown, marks = [], _MOST_MARKS  # a mark at the very beginning would sit on what stands before the data
    for character in text:
        if _is_unsafe(character):
            shown.append(_escaped(character))
            marks = _MOST_MARKS
        elif unicodedata.category(character) in _MARKS:
            shown.append(character if marks < _MOST_MARKS else _escaped(character))
            marks += 1
        else:
            shown.append(character)
            marks = 0
    return "".join(shown)


def in_json(encoded: str) -> str:
    r"""Return JSON that means the same, with what `plain` would escape written as `\u202e`."""
    if encoded.isascii() and "\x7f" not in encoded:
        return encoded
    return _UNCOMMON.sub(lambda found: _json_escaped(found[0]), encoded)


def encodable(text: str) -> str:
    r"""Return text that UTF-8 can carry: half a surrogate pair (a byte of a broken argument) is written as `\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode()


def code_span(text: str) -> str:
    """Return data as a Markdown code span, in which nothing is markup, a mention or a link."""
    shown = _unmarked(plain(text)) or " "
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    # A code span loses one space at either side, and a backtick beside the fence would join it.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def in_fence(line: str) -> str:
    """Return one line as it may stand in a fenced code block of Markdown.

    A fence already makes everything literal. What could open a tag or close the fence is escaped all the same: comments
    also reach people as mail, and through renderers that are less strict.
    """
    return _unmarked(line) if "<" in line or "```" in line else line


def _unmarked(text: str) -> str:
    return _FENCE.sub(lambda run: "\\x60" * len(run[0]), _TAG.sub(r"\\x3c", text))


_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FENCE = re.compile("`{3,}")


@lru_cache(maxsize=4096)
def _is_unsafe(character: str) -> bool:
    return character != " " and (unicodedata.category(character) in _UNSAFE_CATEGORIES or character in _BLANK)


def _escaped(character: str) -> str:
    match ord(character):
        case 0x0A:
            return "\\n"
        case 0x0D:
            return "\\r"
        case 0x09:
            return "\\t"
        case code if code <= 0xFF:
            return f"\\x{code:02x}"
        case code if code <= 0xFFFF:
            return f"\\u{code:04x}"
        case code:
            return f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    # Line feeds are JSON's own layout: in a string they are escaped already.
    if character == "\n" or not _is_unsafe(character):
        return character
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
