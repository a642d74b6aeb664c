"""JSON Web Tokens of whatever issuer: taken apart, and checked against a key that was chosen by somebody else.

What a token names is never more than compared: neither its algorithm nor its key is taken from it.
Source: RFC 7515, 7519, 8725.
"""

import binascii
import hashlib
import math
from collections.abc import Collection
from typing import Any, Final, TypeVar

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.hsm.public_half import verified
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.release_policy import unambiguous_json

T = TypeVar("T")
LONGEST: Final = 16 << 10
# Two machines' clocks are never quite the same.
LEEWAY: Final = 60


class TokenRefused(Exception):
    """A token nobody accepts. The words are for who sent it: they repeat nothing of it."""


class UnknownKey(TokenRefused):
    """A token names a key that is not among those that are known."""


class Header(msgspec.Struct, frozen=True):
    """What a token says of its signature. sha1, sha256: of the certificate it is by, base64url, empty for none."""

    alg: str
    kid: str = ""
    sha1: str = msgspec.field(name="x5t", default="")
    sha256: str = msgspec.field(name="x5t#S256", default="")
    crit: Any = None


class SignedJson(msgspec.Struct, frozen=True):
    """A token that nobody has checked. signed: the bytes its signature is over."""

    header: Header
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "SignedJson(****)"

    def text(self, claim: str) -> str:
        """Return a claim that is text, empty where there is none such."""
        found = self.claims.get(claim)
        return found if isinstance(found, str) else ""

    @property
    def audiences(self) -> tuple[str, ...]:
        """What the token is for: `aud` is one text or several."""
        found = self.claims.get("aud")
        if isinstance(found, str):
            return (found,)
        return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else ()


def taken_apart(token: bytes) -> SignedJson:
    """Return the parts of a token. Raises TokenRefused."""
    if len(token) > LONGEST:
        raise TokenRefused("the token is too long")
    parts = token.split(b".")
    if len(parts) != 3:
        raise TokenRefused("this is no JSON Web Token: three parts with dots between them")
    header = part_of(parts[0], Header)
    if header.crit is not None:
        raise TokenRefused("the token asks for an extension, and none is known")
    return SignedJson(header, part_of(parts[1], dict[str, Any]), parts[0] + b"." + parts[1], from_base64url(parts[2]))


def require_signed(token: SignedJson, public: PublicKey, allowed: Collection[str], only: str = "") -> None:
    """Refuse a token that this key did not sign. allowed: algorithms; only: the one the key is for, empty for all that
    fit it. Raises TokenRefused."""
    name = token.header.alg
    if name not in allowed or (only and only != name):
        raise TokenRefused("the token is not signed by an algorithm that is allowed here")
    algorithm = ALGORITHMS[name]
    # A curve fits one algorithm, an RSA key none of a curve's: a public key is never taken for anything else.
    if algorithm.curve != public.curve or (algorithm.family == "RSA") != bool(public.n):
        raise TokenRefused("the token is not signed by an algorithm of its key")
    digest = hashlib.new((algorithm.digest or "").replace("-", ""), token.signed).digest()
    if not verified(public, algorithm, digest, token.signature):
        raise TokenRefused("the signature of the token is not right")


def require_time(token: SignedJson, now: float, longest: float) -> float:
    """Refuse a token outside its time, and one that lives too long. longest: seconds. Returns when it ends, in seconds
    since 1970. Raises TokenRefused."""
    ends, begins, issued = (_second(token, name) for name in ("exp", "nbf", "iat"))
    if ends is None:
        raise TokenRefused("the token does not say when it ends")
    if now >= ends + LEEWAY:
        raise TokenRefused("the token has expired")
    if any(moment is not None and now + LEEWAY < moment for moment in (begins, issued)):
        raise TokenRefused("the token is not valid yet")
    if ends > now + longest + LEEWAY:
        raise TokenRefused("the token lives longer than one does here")
    return ends


def _second(token: SignedJson, name: str) -> float | None:
    """Return a claim that is a time, None where the token has none."""
    found = token.claims.get(name)
    if found is None and name not in token.claims:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise TokenRefused("a time in the token is none")
    return found


def part_of(part: bytes, kind: type[T]) -> T:
    """Return a part of a token as one of these. Raises TokenRefused."""
    try:
        return msgspec.convert(unambiguous_json(from_base64url(part)), kind)
    except (ValueError, RecursionError):
        raise TokenRefused("a part of the token is not what a token has there") from None


def from_base64url(part: bytes) -> bytes:
    """Return what base64url without padding stands for, only in the one spelling an encoder writes. Raises
    TokenRefused."""
    try:
        if any(sign in part for sign in (b"=", b"+", b"/")):
            raise ValueError
        padded = part.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(part) % 4)
        found = binascii.a2b_base64(padded, strict_mode=True)
    except ValueError:
        raise TokenRefused("a part of the token is not base64url without padding") from None
    if base64url(found).encode() != part:
        raise TokenRefused("a part of the token is not base64url without padding")
    return found


def base64url(value: bytes) -> str:
    """Return bytes as base64url without padding."""
    return binascii.b2a_base64(value, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
