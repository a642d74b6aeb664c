"""Who a request is from: the principal its token was given to, checked once and then remembered by the token's hash."""

import asyncio
import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from kvstack.server.identity.external import CREDENTIAL, ExternalTokens, KeysNeeded
from kvstack.server.identity.signed_json import LEEWAY, TokenRefused, UnknownKey, taken_apart
from kvstack.server.identity.tokens import Expected, checked_claims
from kvstack.server.names import Host
from kvstack.server.request import Request
from kvstack.vault.firewall import listed
from kvstack.vault.sign_in import Held

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

    def standing(self, principal_id: str, credential: str) -> Held | None:
        """Return how a token holds, None where the principal or what it signed in with is not there any more."""
        ...

    def sign_in_mark(self) -> object:
        """Return a value that is another one whenever that may have changed."""
        ...


class Principal(msgspec.Struct, frozen=True):
    """Whom a token was given to. name: for the audit, empty where he has none; until: seconds since 1970; mfa: whether
    he showed more than one factor; networks: from where he may use it, anywhere where there is none."""

    id: str
    name: str
    until: float
    mfa: bool = False
    networks: tuple[str, ...] = ()


class Callers:
    """Checks tokens. vault: tells whether they still hold; now: seconds since 1970.

    What a principal may do is decided anew for every request, whatever is remembered here: a right that was taken away
    is gone at the next request. That a credential was deleted, or a principal disabled, is noticed within a quarter of
    a second, whichever process did it. Tokens are remembered by their hash only: nothing here can be sent as one.
    """

    def __init__(
        self, vault: Standing, issuer: str, tenant: str, now: Callable[[], float], external: ExternalTokens
    ) -> None:
        self._vault = vault
        self._external = external
        self._keys: Mapping[str, PublicKey] = {}
        self._keys_read = 0.0
        self._issuer = issuer
        self._tenant = tenant
        self._now = now
        self._known: dict[tuple[bytes, str], Principal] = {}
        self._lock = threading.Lock()
        self._mark: object = None
        self._looked = -math.inf

    async def of(self, request: Request, threads: Executor) -> Principal:
        """Return whom a request is from. threads: where another provider is waited for, if need be. Raises
        TokenRefused, StoreFault."""
        try:
            return self.principal(request.authorization, request.host, request.address)
        except KeysNeeded:
            work = partial(self.principal, request.authorization, request.host, request.address, ask=True)
            return await asyncio.get_running_loop().run_in_executor(threads, work)

    def principal(
        self, authorization: bytes, host: Host, address: str | None = None, *, ask: bool = False
    ) -> Principal:
        """Return whom a request is from. authorization: the header; address: the caller's, None where it is not to be
        looked at; ask: whether another provider may be waited for. Raises TokenRefused, KeysNeeded where it may not and
        has to be, StoreFault."""
        now = self._now()
        if not 0 <= now - self._looked < _LOOK_AGAIN:
            self._look_again(now)
        key = hashlib.sha256(authorization).digest(), host.audience
        known = self._known.get(key)
        if known is None or not now < known.until:
            known = self._checked(authorization, host, key, now, ask)
        if known.networks and address is not None and not listed(known.networks, address):
            raise TokenRefused("the token may not be used from this address")
        return known

    def _look_again(self, now: float) -> None:
        """Forget what was found out before something changed."""
        mark = self._vault.sign_in_mark()
        with self._lock:
            if mark != self._mark:
                self._known.clear()
                self._keys = {}
                self._mark = mark
            self._looked = now

    def _checked(self, authorization: bytes, host: Host, key: tuple[bytes, str], now: float, ask: bool) -> Principal:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise TokenRefused("there is no bearer token")
        token = authorization[len(_BEARER) :].strip()
        mark = self._mark
        found = self._accepted_from_elsewhere(token, now, ask) if self._external else None
        if found is None:
            found = self._own(token, host, now)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            # Found out before something changed, it may not be so any more: it is found out again next time.
            if mark == self._mark:
                self._known[key] = found
        return found

    def _own(self, token: bytes, host: Host, now: float) -> Principal:
        """Return whom a token of this server's own is from."""
        expected = Expected(self._issuer, self._tenant, host.audience)
        try:
            claims = checked_claims(token, self._known_keys(now, older=1.0), expected, now)
        except UnknownKey:
            # There may be a new one since; a token with a made-up `kid` must not make us read each time.
            claims = checked_claims(token, self._known_keys(now, older=0.05), expected, now)
        held = self._held(claims.oid.lower(), claims.credential)
        return Principal(claims.oid.lower(), held.name, claims.exp + LEEWAY, "mfa" in claims.amr, held.rules.networks)

    def _accepted_from_elsewhere(self, token: bytes, now: float, ask: bool) -> Principal | None:
        """Return whom a token of another provider is from, None where it is of none of those."""
        given = taken_apart(token)
        provider = self._external.provider(given)
        if provider is None:
            return None
        accepted = self._external.accepted(given, provider, now, ask=ask)
        held = self._held(accepted.principal_id, CREDENTIAL)
        # What a sign-in here would have looked at, nobody has.
        if held.rules.mfa and not accepted.mfa:
            raise TokenRefused("the token was given for one factor, and that is not enough here")
        until = min(accepted.until, accepted.issued + (held.rules.longest or math.inf))
        if not now < until:
            raise TokenRefused("the token is older than one may be here")
        return Principal(accepted.principal_id, held.name, until, accepted.mfa, held.rules.networks)

    def _held(self, principal_id: str, credential: str) -> Held:
        held = self._vault.standing(principal_id, credential)
        if held is None:
            raise TokenRefused("what the token was given for does not hold any more")
        return held

    def _known_keys(self, now: float, *, older: float) -> "Mapping[str, PublicKey]":
        """Return the keys that sign tokens, read anew where they were read this long ago."""
        if not self._keys or not 0 <= now - self._keys_read < older:
            self._keys, self._keys_read = self._vault.token_keys(), now
        return self._keys
