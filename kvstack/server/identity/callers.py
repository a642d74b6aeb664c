"""Who a request is from: the principal its token was given to, checked once and then remembered by the token's hash."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.server.identity.tokens import LEEWAY, Expected, TokenRefused, checked_claims
from kvstack.server.names import Host

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey

_BEARER: Final = b"bearer "
_MOST: Final = 4096


class Principal(msgspec.Struct, frozen=True):
    """Whom a token was given to. name: for the audit, empty where the token has none; until: seconds since 1970."""

    id: str
    name: str
    until: float


class Callers:
    """Checks tokens. keys: the public halves of the vault's signing keys, by id; now: seconds since 1970.

    What a principal may do is decided anew for every request, whatever is remembered here: a right that was taken away
    is gone at the next request. Tokens are remembered by their hash only, so that nothing here can be sent as one.
    """

    def __init__(
        self,
        keys: Callable[[], "Mapping[str, PublicKey]"],
        issuer: str,
        tenant: str,
        now: Callable[[], float],
    ) -> None:
        self._read_keys = keys
        self._keys: Mapping[str, PublicKey] = {}
        self._keys_read = 0.0
        self._issuer = issuer
        self._tenant = tenant
        self._now = now
        self._known: dict[tuple[bytes, str], Principal] = {}
        self._lock = threading.Lock()

    def principal(self, authorization: bytes, host: Host) -> Principal:
        """Return whom a request is from. authorization: the header. Raises TokenRefused."""
        key = hashlib.sha256(authorization).digest(), host.audience
        known = self._known.get(key)
        if known is not None:
            if self._now() < known.until:
                return known
            self._known.pop(key, None)
        return self._checked(authorization, host, key)

    def _checked(self, authorization: bytes, host: Host, key: tuple[bytes, str]) -> Principal:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise TokenRefused("there is no bearer token")
        token = authorization[len(_BEARER) :].strip()
        expected = Expected(self._issuer, self._tenant, host.audience)
        now = self._now()
        claims = checked_claims(token, self._known_keys(now), expected, now)
        found = Principal(claims.oid.lower(), claims.app_displayname, claims.exp + LEEWAY)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = found
        return found

    def _known_keys(self, now: float) -> "Mapping[str, PublicKey]":
        # Another process may have made a key since; a token with a made-up `kid` must not make us read each time.
        if not self._keys or now - self._keys_read > 1:
            self._keys, self._keys_read = self._read_keys(), now
        return self._keys
