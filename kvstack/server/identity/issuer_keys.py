"""The keys other issuers sign with: found by OpenID Connect's discovery, kept for a while, and never asked for too
often.

Source: OpenID Connect Discovery 1.0, 3 and 4; RFC 7517.
"""

import http.client
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

import msgspec

from kvstack.server.identity.signed_json import SignedJson, TokenRefused
from kvstack.terms.release_policy import unambiguous_json
from kvstack.vault.attestation import AuthorityKey
from kvstack.vault.errors import BadParameter
from kvstack.vault.federated_credentials import issuer_problem
from kvstack.vault.jwks import LONGEST, authority_keys
from kvstack.vault.outward import Outward, Reach, why
from kvstack.vault.public_address import Resolver, system_resolver

FRESH: Final = 3600.0
# An issuer that does not answer keeps its keys for a day: what it signed yesterday is no worse for that.
USABLE: Final = 86_400.0
# A token with a made-up `kid` must not make us ask each time; nor must an issuer that is down.
ASK_AGAIN: Final = 30.0
_MOST: Final = 256
_WAITING: Final = 3
_SECONDS: Final = (3.0, 4.0, 8.0)
_CONFIGURATION: Final = "/.well-known/openid-configuration"


class KeysUnavailable(Exception):
    """The keys of an issuer cannot be had now. The words are for the operator."""


class _Configuration(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


class _Kept:
    """What is known of one issuer. fetched, asked: when it answered, and when it was asked last; None for never."""

    def __init__(self) -> None:
        self.keys: tuple[AuthorityKey, ...] = ()
        self.fetched: float | None = None
        self.asked: float | None = None
        self.lock = threading.Lock()
        self.waiting = threading.BoundedSemaphore(_WAITING + 1)


class IssuerKeys:
    """Keys by issuer, for issuers that somebody configured: nobody else's word makes this ask anywhere. reach: what the
    operator allows to be asked; monotonic: seconds; tell: is told (issuer, why) of one that does not answer."""

    def __init__(
        self,
        reach: Reach,
        monotonic: Callable[[], float],
        tell: Callable[[str, str], None],
        *,
        resolver: Resolver = system_resolver,
    ) -> None:
        self._reach = reach
        self._monotonic = monotonic
        self._tell = tell
        self._resolver = resolver
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def key(self, issuer: str, token: SignedJson) -> AuthorityKey:
        """Return the one key that a token of an issuer can be signed with. Raises TokenRefused, KeysUnavailable."""
        kept = self._of(issuer)
        found = _fitting(self._keys(issuer, kept, FRESH), token)
        if len(found) != 1:
            # The issuer may have a new key since.
            found = _fitting(self._keys(issuer, kept, 0.0), token)
        if len(found) != 1:
            raise TokenRefused("the token is signed by no key of its issuer, or does not say by which")
        return found[0]

    def kept_key(self, issuer: str, token: SignedJson) -> AuthorityKey | None:
        """Return the same where it is known without asking anybody, None where it is not."""
        kept = self._of(issuer)
        found = _fitting(kept.keys, token) if self._younger(kept.fetched, FRESH) else ()
        return found[0] if len(found) == 1 else None

    def _of(self, issuer: str) -> _Kept:
        with self._lock:
            kept = self._kept.pop(issuer, None) or _Kept()
            self._kept[issuer] = kept  # the one that was used longest ago is first
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
            return kept

    def _keys(self, issuer: str, kept: _Kept, fresh: float) -> tuple[AuthorityKey, ...]:
        """Return an issuer's keys, asked for where those that are there are older than this."""
        if self._younger(kept.fetched, fresh):
            return kept.keys
        # Who waits does so in a thread: an issuer that answers slowly gets a few of them, not all.
        if not kept.waiting.acquire(blocking=False):
            raise KeysUnavailable("others wait for its keys")
        try:
            with kept.lock:
                if not self._younger(kept.fetched, fresh) and not self._younger(kept.asked, ASK_AGAIN):
                    self._ask(issuer, kept)
        finally:
            kept.waiting.release()
        if not self._younger(kept.fetched, USABLE):
            raise KeysUnavailable("its keys could not be fetched")
        return kept.keys

    def _younger(self, moment: float | None, than: float) -> bool:
        return moment is not None and self._monotonic() - moment < than

    def _ask(self, issuer: str, kept: _Kept) -> None:
        kept.asked = self._monotonic()
        try:
            kept.keys = self._fetched(issuer)
            kept.fetched = self._monotonic()
        except KeysUnavailable as error:
            self._tell(issuer, str(error))

    def _fetched(self, issuer: str) -> tuple[AuthorityKey, ...]:
        try:
            found = msgspec.convert(
                unambiguous_json(self._got(f"{issuer.rstrip('/')}{_CONFIGURATION}")), _Configuration
            )
        except (ValueError, RecursionError):
            raise KeysUnavailable("its configuration is no such document") from None
        if found.issuer != issuer:
            raise KeysUnavailable("its configuration is that of another issuer")
        if issuer_problem(found.jwks_uri.partition("?")[0]):
            raise KeysUnavailable("its configuration says of no address where its keys are")
        try:
            return authority_keys(self._got(found.jwks_uri))
        except BadParameter as error:
            raise KeysUnavailable(f"its keys cannot be used: {error.diagnostics[0].summary}") from None

    def _got(self, url: str) -> bytes:
        """Return what an address answers. It is followed nowhere else."""
        with closing(Outward(url, self._reach, seconds=_SECONDS, most=LONGEST, resolver=self._resolver)) as place:
            try:
                status, _, content = place.ask("GET", {"Accept": "application/json"}, b"")
            except (OSError, http.client.HTTPException, ValueError) as error:
                words = why(error) if isinstance(error, OSError | http.client.HTTPException) else "has no such address"
                raise KeysUnavailable(f"it {words}") from None
        if status != 200:
            raise KeysUnavailable(f"it answers {status}")
        if len(content) > LONGEST:
            raise KeysUnavailable(f"it answers with more than {LONGEST} bytes")
        return content


def _fitting(keys: Sequence[AuthorityKey], token: SignedJson) -> list[AuthorityKey]:
    """Return the keys a token may be signed with: the one it names, of those that are for its algorithm."""
    from kvstack.terms.algorithm import ALGORITHMS

    algorithm = ALGORITHMS.get(token.header.alg)
    return [
        key
        for key in keys
        if algorithm is not None
        and (not token.header.kid or key.kid == token.header.kid)
        and key.algorithm in ("", algorithm.name)
        and key.public.curve == algorithm.curve
    ]
