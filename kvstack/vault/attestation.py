"""Whether an attestation token says that a key may be released, and to whom: a signed JSON Web Token, checked.

What is allowed is listed; everything else is refused, with one error each. The vault calls nobody: an authority's keys
were given to it beforehand. Source: RFC 7515, 7518, 7519; Azure Key Vault, environment assertion.
"""

import binascii
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.hsm.public_half import verified
from kvstack.terms.algorithm import ALGORITHMS, Algorithm
from kvstack.terms.release_policy import ReleaseRules, unambiguous_json, unmet
from kvstack.vault.errors import Forbidden

LONGEST = 64 << 10
ALLOWED = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
# Two machines' clocks are never quite the same: a token may seem to be issued, or to become valid, this much later.
LEEWAY = 60
# Where the environment's own keys stand, and what has to be in it.
RUNTIME = "x-ms-runtime"
_RSA_BITS = (2048, 8192)


class AuthorityKey(msgspec.Struct, frozen=True):
    """A key an authority signs with. kid: as its tokens name it, empty where they name none; algorithm: the only one it
    is for, empty for all that fit it."""

    kid: str
    public: PublicKey
    algorithm: str = ""


class Attested(msgspec.Struct, frozen=True):
    """An environment the key may be released to. recipient: its own key; kid: how it calls that; issuer: who attested
    it."""

    issuer: str
    recipient: PublicKey
    kid: str

    @property
    def thumbprint(self) -> str:
        """SHA-256 of the recipient's key in hexadecimal, to find it again in the audit."""
        return hashlib.sha256(self.recipient.n).hexdigest()


def attested(
    token: str,
    rules: ReleaseRules,
    authority_keys: Callable[[str], Sequence[AuthorityKey] | None],
    now: datetime,
) -> Attested:
    """Return the environment a token attests. authority_keys: the keys of an authority, None for one nobody trusts.
    Raises Forbidden."""
    if len(token) > LONGEST:
        raise _refused(f"it has more than {LONGEST} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise _refused("it is no compact JWS: three parts with dots between them")
    header, claims = _object(parts[0], "header"), _object(parts[1], "payload")
    algorithm = _algorithm(header)
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise _refused("it does not say who issued it (`iss`)")
    keys = authority_keys(issuer)
    if keys is None:
        raise _refused(
            f"nobody trusts its authority `{issuer[:200]}`", "`kvstack key authority trust` gives the vault its keys."
        )
    key = _signing_key(keys, header, algorithm)
    digest = hashlib.new((algorithm.digest or "").replace("-", ""), f"{parts[0]}.{parts[1]}".encode("ascii")).digest()
    if not verified(key.public, algorithm, digest, _bytes(parts[2], "signature")):
        raise _refused("its signature is not its authority's")
    _require_time(claims, now)
    reason = unmet(rules, issuer, claims)
    if reason is not None:
        raise Forbidden(f"the key's release policy is not met: {reason}", inner="AttestationRefused")
    recipient, kid = _recipient(claims)
    return Attested(issuer, recipient, kid)


def _algorithm(header: dict[str, Any]) -> Algorithm:
    name = header.get("alg")
    if name not in ALLOWED:
        raise _refused(f"its algorithm is none of {', '.join(ALLOWED)}")
    if "crit" in header:
        raise _refused("it asks for an extension (`crit`), and none is known")
    return ALGORITHMS[name]


def _signing_key(keys: Sequence[AuthorityKey], header: dict[str, Any], algorithm: Algorithm) -> AuthorityKey:
    """Return the one key the token can be signed with."""
    named = [key for key in keys if "kid" not in header or key.kid == header["kid"]]
    if not named:
        raise _refused(
            "its authority has no such key (`kid`)",
            "Where the authority changed its keys, give them to the vault with `kvstack key authority trust`.",
        )
    found = [key for key in named if _fits(key, algorithm)]
    if len(found) != 1:
        what = "no key of its authority is for its algorithm" if not found else "it does not say by which key (`kid`)"
        raise _refused(what)
    return found[0]


def _fits(key: AuthorityKey, algorithm: Algorithm) -> bool:
    if key.algorithm and key.algorithm != algorithm.name:
        return False
    # A curve fits one algorithm only, so that a short hash never stands in for a long one.
    return key.public.curve == algorithm.curve


def _require_time(claims: dict[str, Any], now: datetime) -> None:
    second = now.timestamp()
    if second >= _number(claims, "exp"):
        raise _refused("it has expired (`exp`)")
    for name, words in (("nbf", "it is not valid yet"), ("iat", "it was issued in the future")):
        if name in claims and second + LEEWAY < _number(claims, name):
            raise _refused(f"{words} (`{name}`)")


def _number(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"`{name}` is no time: a number of seconds")
    return value


def _recipient(claims: dict[str, Any]) -> tuple[PublicKey, str]:
    """Return the first key of the environment that things can be encrypted to, and what it is called."""
    runtime = claims.get(RUNTIME)
    keys = runtime.get("keys") if isinstance(runtime, dict) else None
    if not isinstance(keys, list):
        raise _refused(f"it has no key to release to (`{RUNTIME}.keys`)")
    for key in keys:
        if isinstance(key, dict) and _for_encryption(key):
            kid = key.get("kid", "")
            return _rsa(key), kid if isinstance(kid, str) else ""
    raise _refused(f"no key in `{RUNTIME}.keys` is an RSA key for encryption (`use` enc, or `key_ops` with encrypt)")


def _for_encryption(key: dict[str, Any]) -> bool:
    operations = key.get("key_ops")
    encrypts = key.get("use") == "enc" or (isinstance(operations, list) and "encrypt" in operations)
    return encrypts and key.get("kty") == "RSA"


def _rsa(key: dict[str, Any]) -> PublicKey:
    if any(name in key for name in ("d", "p", "q")):
        raise _refused("the key to release to is a private key: it belongs to nobody but its environment")
    n, e = (_member(key, name) for name in ("n", "e"))
    bits = int.from_bytes(n, "big").bit_length()
    if not _RSA_BITS[0] <= bits <= _RSA_BITS[1] or not n[-1] & 1:
        raise _refused(f"the key to release to is no RSA key of {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
    if len(e) > 4 or not e or not e[-1] & 1 or int.from_bytes(e, "big") < 3:
        raise _refused("the key to release to has no RSA exponent")
    return PublicKey(n=n, e=e)


def _member(key: dict[str, Any], name: str) -> bytes:
    value = key.get(name)
    if not isinstance(value, str):
        raise _refused("the key to release to is no whole RSA key")
    return _bytes(value, "key to release to").lstrip(b"\0")


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        found = unambiguous_json(_bytes(part, what))
    except ValueError as error:
        raise _refused(f"{what}: {error}") from None
    if not isinstance(found, dict):
        raise _refused(f"its {what} is no JSON object")
    return found


def _bytes(part: str, what: str) -> bytes:
    """Return what base64url without padding stands for. RFC 7515, 2. Only the one spelling an encoder writes."""
    try:
        if set("=+/") & set(part):
            raise ValueError
        padded = part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)
        found = binascii.a2b_base64(padded, strict_mode=True)
        if binascii.b2a_base64(found, newline=False).decode().rstrip("=") != padded.rstrip("="):
            raise ValueError
    except (ValueError, UnicodeEncodeError):
        raise _refused(f"its {what} is not base64url without padding") from None
    return found


def _refused(reason: str, mend: str = "") -> Forbidden:
    return Forbidden(f"the attestation is refused: {reason}", mend, inner="AttestationRefused")
