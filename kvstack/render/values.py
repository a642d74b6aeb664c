"""One value as text, so that no value can pass for another, for nothing, or for what stands around it."""

import re
from typing import Any

from kvstack.plan.change import KnownAfterApply, Sensitive
from kvstack.render.escape import plain
from kvstack.render.layout import KEEP

UNSET = "(unset)"
_BARE = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.:@+=-]*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_WORDS = frozenset({"true", "false", "null", "none", "unset"})
_FINGERPRINT_SHOWN = 8


def value(data: Any) -> str:
    """Return plain data, Sensitive or KnownAfterApply as text. Raises TypeError for all else: it may be a secret."""
    match data:
        case str():
            return _string(data)
        case None:
            return UNSET
        case bool():
            return "true" if data else "false"
        case int() | float():
            return str(data)
        case list() | tuple():
            return f"[{', '.join(map(value, data))}]"
        case dict():
            return "{" + ", ".join(f"{name(key)}: {value(item)}" for key, item in data.items()) + "}"
        case Sensitive(None):
            return "(sensitive)"
        case Sensitive(str(fingerprint)):
            return f"(sensitive{KEEP}{plain(fingerprint[:_FINGERPRINT_SHOWN])})"
        case KnownAfterApply(note):
            return f"({plain(note)})"
        case _:
            raise TypeError(f"a plan holds no {type(data).__name__}")


def pair(before: Any, after: Any) -> tuple[str, str]:
    """Return two values as text; two fingerprints that begin alike are shown whole."""
    match before, after:
        case Sensitive(str(was)), Sensitive(str(becomes)) if (
            was != becomes and was[:_FINGERPRINT_SHOWN] == becomes[:_FINGERPRINT_SHOWN]
        ):
            return f"(sensitive{KEEP}{plain(was)})", f"(sensitive{KEEP}{plain(becomes)})"
        case _:
            return value(before), value(after)


def name(text: str) -> str:
    """Return the name of an attribute or an entry, quoted where it could be read as more than a name."""
    return text if _BARE.fullmatch(text) else quoted(text)


def address(text: str) -> str:
    """Return an address, quoted where it holds what could be read as the end of it."""
    return text if _BARE.fullmatch(text) else _address(text)


def quoted(text: str) -> str:
    """Return text between quotation marks, with those in it escaped."""
    return '"' + plain(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _string(text: str) -> str:
    bare = _BARE.fullmatch(text) and not _NUMBER.fullmatch(text) and text.lower() not in _WORDS
    return text if bare else quoted(text)


def _address(text: str) -> str:
    shown = plain(text)
    return quoted(text) if not text or any(letter in shown for letter in ' "') else shown
