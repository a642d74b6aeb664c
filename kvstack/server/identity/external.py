"""Tokens of another OpenID provider, taken as they are: whose they are is the operator's to say, value by value.

Source: OpenID Connect Core 1.0, 3.1.3.7; RFC 9068, 4.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from kvstack.server.identity.issuer_keys import IssuerKeys, KeysUnavailable
from kvstack.server.identity.signed_json import LEEWAY, SignedJson, TokenRefused, require_signed, require_time
from kvstack.vault.attestation import ALLOWED
from kvstack.vault.identity_configuration import ExternalProvider

LONGEST: Final = 86_400.0
CREDENTIAL: Final = "external/"


class KeysNeeded(TokenRefused):
    """A token cannot be checked before its provider was asked for its keys, which takes a while."""


class Accepted(msgspec.Struct, frozen=True):
    """Whose token it is. until, issued: seconds since 1970; mfa: whether he showed more than one factor."""

    principal_id: str
    until: float
    issued: float
    mfa: bool


class ExternalTokens:
    """Checks tokens of the providers the operator named. keys: where their keys are found."""

    def __init__(self, providers: Iterable[ExternalProvider], keys: IssuerKeys) -> None:
        self._providers = {one.issuer: one for one in providers}
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._providers)

    def provider(self, token: SignedJson) -> ExternalProvider | None:
        """Return the provider a token says it is of, None for none of them."""
        return self._providers.get(token.text("iss"))

    def accepted(self, token: SignedJson, provider: ExternalProvider, now: float, *, ask: bool) -> Accepted:
        """Return whose token it is. ask: whether the provider may be asked for its keys, which takes a while; now:
        seconds since 1970. Raises TokenRefused, KeysNeeded where it may not and has to be."""
        until = require_time(token, now, LONGEST)
        if provider.audience not in token.audiences:
            raise TokenRefused("the token is for another audience")
        if provider.tenant and token.text("tid") != provider.tenant:
            raise TokenRefused("the token is of another tenant")
        principal = provider.principals.get(token.text(provider.claim))
        if principal is None:
            raise TokenRefused("the token is of nobody who is known here")
        if token.header.alg not in ALLOWED:
            raise TokenRefused("the token is not signed by an algorithm that is allowed here")
        key = self._keys.kept_key(provider.issuer, token)
        if key is None:
            if not ask:
                raise KeysNeeded("the keys of the token's issuer are not known yet")
            try:
                key = self._keys.key(provider.issuer, token)
            except KeysUnavailable:
                raise TokenRefused("the keys of the token's issuer cannot be had now") from None
        require_signed(token, key.public, ALLOWED, key.algorithm)
        issued = token.claims.get("iat")
        if isinstance(issued, bool) or not isinstance(issued, int | float):
            raise TokenRefused("the token does not say when it was issued")
        factors = token.claims.get("amr")
        mfa = isinstance(factors, list) and provider.mfa in factors
        return Accepted(principal.lower(), until + LEEWAY, issued, mfa)
