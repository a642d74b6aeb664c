"""What a browser or a program keeps for the server, and brings back unchanged: data, when it ends, and a MAC.

The server remembers nothing of a sign-in that is under way, so that nobody fills its memory, it may be another process
that goes on, and a restart in between is not noticed.
"""

import binascii
import os
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec

from kvstack.server.identity.signed_json import TokenRefused, base64url, from_base64url

T = TypeVar("T", bound="Stamped")
_LONGEST: Final = 8192


class Stamped(msgspec.Struct, frozen=True, kw_only=True):
    """What all that is handed out has. id: drawn, so that no two are alike; ends: seconds since 1970."""

    id: str
    ends: float


class Stamps(Protocol):
    """What makes and checks MACs: `VaultService` does."""

    def stamped(self, purpose: str, content: bytes) -> bytes:
        """Return a MAC."""
        ...

    def is_stamped(self, purpose: str, content: bytes, mac: bytes) -> bool:
        """Check one."""
        ...


def handed_out(stamps: Stamps, value: Stamped) -> str:
    """Return a value as text, for a form or an address."""
    content = msgspec.json.encode(value)
    return f"{base64url(content)}.{base64url(stamps.stamped(type(value).__name__, content))}"


def brought_back(stamps: Stamps, text: str, kind: type[T], now: float) -> T | None:
    """Return what was handed out, None for what was not, or has ended."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    try:
        content, mac = (from_base64url(part) for part in text.encode().split(b"."))
    except (TokenRefused, ValueError, binascii.Error):
        return None
    if not stamps.is_stamped(kind.__name__, content, mac):
        return None
    found = msgspec.json.decode(content, type=kind)
    return found if now < found.ends else None


def drawn(random: Callable[[int], bytes] = os.urandom) -> str:
    """Return an id that nobody guesses."""
    return base64url(random(32))
