"""Tokens: made, signed, and checked in full. JSON Web Tokens, signed with ES256 by a key of the vault and nothing else.

Source: RFC 7515, 7518, 7519, 8725.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.hsm.public_half import verified
from kvstack.server.identity.signed_json import (
    LEEWAY,
    LONGEST,
    TokenRefused,
    UnknownKey,
    base64url,
    from_base64url,
    part_of,
)
from kvstack.server.names import without_port
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.principal import is_guid

ALGORITHM: Final = ALGORITHMS["ES256"]


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. aud: what it is for; oid: the principal's object id; appid: the client's; app_displayname: its
    name; exp, nbf, iat: seconds since 1970; tid: the tenant; credential: what the token was given for, as the vault
    names it; amr: how somebody signed in, `mfa` where by more than one factor."""

    aud: str
    iss: str
    iat: int
    nbf: int
    exp: int
    oid: str
    sub: str
    tid: str
    appid: str = ""
    app_displayname: str = ""
    idtyp: str = "app"
    appidacr: str = "1"
    credential: str = ""
    amr: tuple[str, ...] = ()
    upn: str = ""
    scp: str = ""
    uti: str = ""
    ver: str = "1.0"


class IdClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a program is told of who signed in to it. aud: the program's client id: no vault takes this for a token."""

    aud: str
    iss: str
    iat: int
    nbf: int
    exp: int
    oid: str
    sub: str
    tid: str
    name: str
    preferred_username: str
    amr: tuple[str, ...] = ()
    nonce: str = ""
    ver: str = "2.0"


class Expected(msgspec.Struct, frozen=True):
    """What a token has to say. issuer: without a port, which a token has of the way its client came."""

    issuer: str
    tenant: str
    audience: str


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str
    typ: str = ""
    crit: Any = None


def signed_token(claims: Claims | IdClaims, kid: str, sign: Callable[[bytes], bytes]) -> str:
    """Return a token. kid: the key's id; sign: signs a SHA-256 digest, r and s side by side."""
    header = msgspec.json.encode({"typ": "JWT", "alg": ALGORITHM.name, "kid": kid})
    content = f"{base64url(header)}.{base64url(msgspec.json.encode(claims))}"
    return f"{content}.{base64url(sign(hashlib.sha256(content.encode()).digest()))}"


def checked_claims(token: bytes, keys: Mapping[str, PublicKey], expected: Expected, now: float) -> Claims:
    """Return what a token says, once everything about it was found right. keys: by id; now: seconds since 1970. Raises
    TokenRefused."""
    if len(token) > LONGEST:
        raise TokenRefused("the token is too long")
    parts = token.split(b".")
    if len(parts) != 3:
        raise TokenRefused("this is no JSON Web Token: three parts with dots between them")
    header = part_of(parts[0], _Header)
    # The algorithm is the key's, not the token's: what the token names is only compared (RFC 8725, 3.1).
    if header.alg != ALGORITHM.name or header.crit is not None:
        raise TokenRefused("the token is not signed as tokens of this vault are")
    key = keys.get(header.kid)
    if key is None:
        raise UnknownKey("the token is signed by no key of this vault")
    digest = hashlib.sha256(parts[0] + b"." + parts[1]).digest()
    if not verified(key, ALGORITHM, digest, from_base64url(parts[2])):
        raise TokenRefused("the signature of the token is not this vault's")
    claims = part_of(parts[1], Claims)
    if without_port(claims.iss) != expected.issuer or claims.tid != expected.tenant:
        raise TokenRefused("the token is of another issuer or tenant")
    if claims.aud != expected.audience:
        raise TokenRefused("the token is for another audience")
    if now >= claims.exp + LEEWAY:
        raise TokenRefused("the token has expired")
    if now + LEEWAY < max(claims.nbf, claims.iat):
        raise TokenRefused("the token is not valid yet")
    if not is_guid(claims.oid):
        raise TokenRefused("the token names no principal")
    return claims


def json_web_key(kid: str, public: PublicKey) -> dict[str, str]:
    """Return a signing key's public half as RFC 7517 has it."""
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": ALGORITHM.name,
        "kid": kid,
        "x": base64url(public.x),
        "y": base64url(public.y),
    }
