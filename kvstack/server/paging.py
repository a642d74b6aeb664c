"""One page of a list, and where the next begins: after the last thing that was shown, whatever came or went since."""

import base64
import bisect
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from kvstack.server.answer import Refusal, bad_parameter

T = TypeVar("T")


class Part(msgspec.Struct, Generic[T], frozen=True):
    """One page. after: the key the next one begins after, None where this is the last."""

    things: Sequence[T]
    after: str | None


def part(things: Sequence[T], key: Callable[[T], str], after: str | None, size: int) -> Part[T]:
    """Return a page. key: what the list is in the order of; after: the key of the last thing shown before."""
    start = 0 if after is None else bisect.bisect_right(things, after, key=key)
    shown = things[start : start + size]
    if start + size >= len(things):
        return Part(shown, None)
    return Part(shown, key(shown[-1]))


def token_of(after: str) -> str:
    """Return what a link to the page after this key has as `$skiptoken`."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def page_size(query: Mapping[str, str], name: str, most: int, default: int) -> int:
    """Return how many things a page has. name: of the parameter that tells. Raises Refusal."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= most or len(text) > 4:
        raise bad_parameter(f"`{name}` is a number from 1 to {most}.")
    return int(text)


def page_start(query: Mapping[str, str]) -> str | None:
    """Return what the page begins after, None for the first one. Raises Refusal."""
    token = query.get("$skiptoken")
    if token is None:
        return None
    try:
        return base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True).decode()
    except (ValueError, UnicodeError):
        raise not_ours() from None


def not_ours() -> Refusal:
    """Return the refusal of a place in a list that the list did not give."""
    return bad_parameter("`$skiptoken` is not one of this list's.")
