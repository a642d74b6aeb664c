"""Who a request is from: the principal its token was given to, checked once and then remembered by the token's hash."""

import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from kvstack.server.identity.signed_json import LEEWAY, TokenRefused
from kvstack.server.identity.tokens import Expected, checked_claims
from kvstack.server.names import Host

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey

_BEARER: Final = b"bearer "
_MOST: Final = 4096
_LOOK_AGAIN: Final = 0.25


class Standing(Protocol):
    """What tells whether a token still holds: `VaultService` does."""

    def token_keys(self) -> "Mapping[str, PublicKey]":
        """Return the public halves of the keys that sign tokens, by id."""
        ...

    def standing(self, principal_id: str, credential: str) -> bool:
        """Tell whether a principal, and what it signed in with, are still there."""
        ...

    def sign_in_mark(self) -> object:
        """Return a value that is another one whenever that may have changed."""
        ...


class Principal(msgspec.Struct, frozen=True):
    """Whom a token was given to. name: for the audit, empty where the token has none; until: seconds since 1970."""

    id: str
    name: str
    until: float


class Callers:
    """Checks tokens. vault: tells whether they still hold; now: seconds since 1970.

    What a principal may do is decided anew for every request, whatever is remembered here: a right that was taken away
    is gone at the next request. That a credential was deleted, or a principal disabled, is noticed within a quarter of
    a second, whichever process did it. Tokens are remembered by their hash only: nothing here can be sent as one.
    """

    def __init__(self, vault: Standing, issuer: str, tenant: str, now: Callable[[], float]) -> None:
        self._vault = vault
        self._keys: Mapping[str, PublicKey] = {}
        self._keys_read = 0.0
        self._issuer = issuer
        self._tenant = tenant
        self._now = now
        self._known: dict[tuple[bytes, str], Principal] = {}
        self._lock = threading.Lock()
        self._mark: object = None
        self._looked = -math.inf

    def principal(self, authorization: bytes, host: Host) -> Principal:
        """Return whom a request is from. authorization: the header. Raises TokenRefused, StoreFault."""
        now = self._now()
        if not 0 <= now - self._looked < _LOOK_AGAIN:
            self._look_again(now)
        key = hashlib.sha256(authorization).digest(), host.audience
        known = self._known.get(key)
        if known is not None:
            if now < known.until:
                return known
            self._known.pop(key, None)
        return self._checked(authorization, host, key, now)

    def _look_again(self, now: float) -> None:
        """Forget what was found out before something changed."""
        mark = self._vault.sign_in_mark()
        with self._lock:
            if mark != self._mark:
                self._known.clear()
                self._mark = mark
            self._looked = now

    def _checked(self, authorization: bytes, host: Host, key: tuple[bytes, str], now: float) -> Principal:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise TokenRefused("there is no bearer token")
        token = authorization[len(_BEARER) :].strip()
        expected = Expected(self._issuer, self._tenant, host.audience)
        mark = self._mark
        claims = checked_claims(token, self._known_keys(now), expected, now)
        found = Principal(claims.oid.lower(), claims.app_displayname, claims.exp + LEEWAY)
        if not self._vault.standing(found.id, claims.credential):
            raise TokenRefused("what the token was given for does not hold any more")
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            # Found out before something changed, it may not be so any more: it is found out again next time.
            if mark == self._mark:
                self._known[key] = found
        return found

    def _known_keys(self, now: float) -> "Mapping[str, PublicKey]":
        # Another process may have made a key since; a token with a made-up `kid` must not make us read each time.
        if not self._keys or now - self._keys_read > 1:
            self._keys, self._keys_read = self._vault.token_keys(), now
        return self._keys
