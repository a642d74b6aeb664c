"""What is handed out while somebody signs in, and comes back: what a page is for, a code for a program, a device's.

Source: RFC 6749, 4.1.2; RFC 8628, 3.2 and 6.1; RFC 8252, 7.3.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from kvstack.server.identity.stamps import Stamped, Stamps

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# No vowels, so that no words come out, and nothing that is taken for something else.
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_DRAWN: Final = 8


class Asked(Stamped, frozen=True, kw_only=True):
    """What a page was shown for. browser: the digest of the cookie that was set with it; client_id: empty where a
    device is to be let in."""

    browser: str
    client_id: str = ""
    redirect_uri: str = ""
    form_post: bool = False
    state: str = ""
    nonce: str = ""
    challenge: str = ""
    audience: str = ""


class Code(Stamped, frozen=True, kw_only=True):
    """An authorization code: who signed in, to which program, and what for."""

    principal_id: str
    credential: str
    life: int
    client_id: str
    redirect_uri: str
    challenge: str
    audience: str
    nonce: str


class DeviceCode(Stamped, frozen=True, kw_only=True):
    """What a device waits with. device: the digest of the code it shows."""

    device: str
    client_id: str
    audience: str


def loopback_origin(redirect_uri: str) -> str | None:
    """Return the origin of an address on this very machine, None for any other. RFC 8252, 7.3."""
    if not redirect_uri.isascii() or not redirect_uri.isprintable() or any(one in redirect_uri for one in " \\;,'\"<>"):
        return None
    try:
        place = urlsplit(redirect_uri)
        port = place.port
    except ValueError:
        return None
    if place.scheme != "http" or place.hostname not in _LOOPBACK or place.username is not None or place.fragment:
        return None
    host = f"[{place.hostname}]" if ":" in place.hostname else place.hostname
    return f"http://{host}:{port}" if port is not None else f"http://{host}"


def user_code(stamps: Stamps, random: Callable[[int], bytes]) -> str:
    """Return a code that a device shows."""
    # 256 is no multiple of 20: what is beyond the last one is drawn again.
    drawn_letters = ""
    while len(drawn_letters) < _DRAWN:
        drawn_letters += "".join(_LETTERS[one % 20] for one in random(_DRAWN) if one < 240)
    return drawn_letters[:_DRAWN] + _check(stamps, drawn_letters[:_DRAWN])


def _check(stamps: Stamps, letters: str) -> str:
    """Return two letters that only this server adds: somebody who mistypes is told so."""
    mac = stamps.stamped("user code", letters.encode())
    return "".join(_LETTERS[one % 20] for one in mac[:2])


def is_user_code(stamps: Stamps, code: str) -> bool:
    """Tell whether a device may show this code."""
    return len(code) == _DRAWN + 2 and hmac.compare_digest(_check(stamps, code[:_DRAWN]), code[_DRAWN:])


def plain_code(text: str) -> str:
    """Return a code as somebody typed it, without what only helps the eye."""
    letters = "".join(one for one in text[:40].upper() if one not in "- ")
    return letters if letters.isascii() else ""


def digest(text: str) -> str:
    """Return SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
