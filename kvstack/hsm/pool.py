"""The keys of a Managed HSM: spread over its tokens, of which any can open any key, and go on while one is left."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from kvstack.hsm import pool_seal
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import Ciphertext, HsmUnavailable, KeyMaterial, KeyReference, PublicKey
from kvstack.hsm.wrapped_keys import PROVIDER as WRAPPED
from kvstack.terms.algorithm import Algorithm
from kvstack.terms.key import KeySpecification

if TYPE_CHECKING:
    from kvstack.hsm.plain_key import PlainKey
    from kvstack.terms.release import ReleaseWrapping

T = TypeVar("T")

TokenState = Literal["ready", "lost", "without_domain"]


class TokenHealth(msgspec.Struct, frozen=True):
    """How one token of a Managed HSM is. words: why, where it is lost."""

    label: str
    serial: str
    state: TokenState
    words: str = ""


class PoolKeys:
    """A key provider over several tokens of one security domain. Connects when it is first needed.

    id: 32 hexadecimal digits; configurations: one a token, those without a root yet are left out of work; lost: tokens
    of which nothing is left, not even their configuration; retry: seconds after which a lost token is tried again;
    clock: seconds, for that.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  # the record's own word
        configurations: Sequence[HsmConfiguration],
        environ: Mapping[str, str] = os.environ,
        *,
        lost: Sequence[TokenHealth] = (),
        retry: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = f"pool:{id}"
        self._tokens = tuple(_Token(one, environ) for one in configurations)
        self._lost = tuple(lost)
        self._retry = retry
        self._clock = clock
        self._turn = 0
        self._guard = threading.Lock()

    def health(self) -> tuple[TokenHealth, ...]:
        """Return how each token is, tried just now."""
        for token in self._tokens:
            if token.of_domain:
                with suppress(HsmUnavailable):
                    token.do(_shown_to_work, self._clock())
        return (*self._lost, *(token.health() for token in self._tokens))

    # A key provider

    def generate(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key in one of the tokens; every one can open it."""
        return self._outward(self._anywhere(lambda _, keys: keys.generate(specification)))

    def generate_exportable(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key that may be released."""
        return self._outward(self._anywhere(lambda _, keys: keys.generate_exportable(specification)))

    def import_key(self, specification: KeySpecification, plain: "PlainKey") -> KeyMaterial:
        """Take in a key that was made elsewhere."""
        return self._outward(self._anywhere(lambda _, keys: keys.import_key(specification, plain)))

    def import_exportable(self, specification: KeySpecification, plain: "PlainKey") -> KeyMaterial:
        """Take in a key that was made elsewhere and may be released."""
        return self._outward(self._anywhere(lambda _, keys: keys.import_exportable(specification, plain)))

    def release(self, key: KeyReference, wrapping: "ReleaseWrapping", recipient: PublicKey) -> bytes:
        """Return a key wrapped for the holder of an RSA key."""
        inward = _inward(key)
        return self._anywhere(lambda _, keys: keys.release(inward, wrapping, recipient))

    def check(self, key: KeyReference) -> None:
        """Raise HsmError where this material cannot be used here."""
        inward = _inward(key)
        self._anywhere(lambda _, keys: keys.check(inward))

    def require_portable(self, key: KeyReference) -> None:
        """Every key here is: it is wrapped under the root of the security domain."""

    def sign(self, key: KeyReference, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest."""
        inward = _inward(key)
        return self._anywhere(lambda _, keys: keys.sign(inward, algorithm, digest))

    def verify(self, key: KeyReference, algorithm: Algorithm, digest: bytes, signature: bytes) -> bool:
        """Tell whether a signature is the key's over this digest."""
        inward = _inward(key)
        return self._anywhere(lambda _, keys: keys.verify(inward, algorithm, digest, signature))

    def encrypt(
        self,
        key: KeyReference,
        algorithm: Algorithm,
        plaintext: bytes,
        *,
        iv: bytes = b"",
        associated_data: bytes = b"",
    ) -> Ciphertext:
        """Encrypt, or wrap another key's bytes. Raises InputUnfit."""
        inward = _inward(key)
        return self._anywhere(
            lambda _, keys: keys.encrypt(inward, algorithm, plaintext, iv=iv, associated_data=associated_data)
        )

    def decrypt(
        self,
        key: KeyReference,
        algorithm: Algorithm,
        ciphertext: bytes,
        *,
        iv: bytes = b"",
        tag: bytes = b"",
        associated_data: bytes = b"",
    ) -> bytes:
        """Decrypt or unwrap. Raises DecryptionFailed."""
        inward = _inward(key)
        return self._anywhere(
            lambda _, keys: keys.decrypt(inward, algorithm, ciphertext, iv=iv, tag=tag, associated_data=associated_data)
        )

    def destroy(self, key: KeyReference) -> None:
        """Forget a key's handles; there is nothing of it in any token."""
        inward = _inward(key)
        for token in self._tokens:
            token.forget(inward)

    def random(self, count: int) -> bytes:
        """Draw random bytes."""
        return self._anywhere(lambda _, keys: keys.random(count))

    def close(self) -> None:
        """Let go of every token."""
        for token in self._tokens:
            token.close()

    # Backups

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Encrypt what leaves the Managed HSM, so that tokens of its security domain open it and nothing else does."""
        return self._anywhere(lambda module, _: pool_seal.sealed(module, plaintext, associated_data))

    def open(self, sealed: bytes, associated_data: bytes) -> bytes:
        """Decrypt what came back. Raises DecryptionFailed for what was changed, or is of another security domain."""
        return self._anywhere(lambda module, _: pool_seal.opened(module, sealed, associated_data))

    # Spreading

    def _anywhere(self, action: Callable[[Pkcs11Module, Pkcs11Keys], T]) -> T:
        """Return what an action gives in the next token that answers. Raises HsmUnavailable where none does."""
        usable = [token for token in self._tokens if token.of_domain]
        if not usable:
            raise HsmUnavailable("no token of the Managed HSM has its security domain", "Activate it, or let one join.")
        with self._guard:
            self._turn += 1
            turn = self._turn % len(usable)
        now = self._clock()
        ordered = usable[turn:] + usable[:turn]
        # Those that were lost a moment ago come last: they are asked only where nobody else answers.
        ordered.sort(key=lambda token: token.lost_within(self._retry, now))
        words = []
        for token in ordered:
            try:
                return token.do(action, now)
            except HsmUnavailable as error:
                words.append(error.diagnostics[0].summary)
        raise HsmUnavailable(
            f"no token of the Managed HSM answers: {'; '.join(words)}",
            "Bring one of them back, or make a new one that joins the security domain.",
        )

    def _outward(self, material: KeyMaterial) -> KeyMaterial:
        """Return material as this pool's, whichever of its tokens made it."""
        return msgspec.structs.replace(material, provider=self.provider)


class _Token:
    """One token: connected to when it is first needed, and once more after it was lost."""

    def __init__(self, configuration: HsmConfiguration, environ: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._environ = environ
        self._open: tuple[Pkcs11Module, Pkcs11Keys] | None = None
        self._guard = threading.Lock()
        self.lost_since: float | None = None
        self._words = ""

    @property
    def of_domain(self) -> bool:
        """Whether it has the roots of the security domain."""
        return bool(self._configuration.root)

    def lost_within(self, seconds: float, now: float) -> bool:
        """Tell whether it was lost a moment ago."""
        since = self.lost_since  # another thread may find it again meanwhile
        return since is not None and now - since < seconds

    def do(self, action: Callable[[Pkcs11Module, Pkcs11Keys], T], now: float) -> T:
        """Return what an action gives. Raises HsmUnavailable, and remembers that the token is lost."""
        try:
            result = action(*self._connected())
        except HsmUnavailable as error:
            self.lost_since, self._words = now, error.diagnostics[0].summary
            self.close()
            raise
        self.lost_since = None
        return result

    def forget(self, key: KeyReference) -> None:
        """Let go of a key's handles, where any can be held."""
        opened = self._open
        if opened is not None:
            with suppress(HsmUnavailable):
                opened[1].destroy(key)

    def health(self) -> TokenHealth:
        """Return how it was when it was last asked."""
        state: TokenState = "without_domain" if not self.of_domain else "ready" if self.lost_since is None else "lost"
        words = self._words if state == "lost" else ""
        return TokenHealth(self._configuration.token_label, self._configuration.token_serial, state, words)

    def close(self) -> None:
        """Let go of it."""
        with self._guard:
            opened, self._open = self._open, None
        if opened is not None:
            with suppress(HsmUnavailable):
                opened[0].close()

    def _connected(self) -> tuple[Pkcs11Module, Pkcs11Keys]:
        with self._guard:
            if self._open is None:
                module = Pkcs11Module.open(self._configuration, self._environ)
                self._open = module, Pkcs11Keys(module, "wrapped")
            return self._open


def _shown_to_work(module: Pkcs11Module, _: Pkcs11Keys) -> None:
    """Use the root: a token without it answers, and is of no use."""
    pool_seal.opened(module, pool_seal.sealed(module, b"", b""), b"")


def _inward(key: KeyReference) -> KeyReference:
    """Return a key as its tokens know it."""
    return msgspec.structs.replace(key, material=msgspec.structs.replace(key.material, provider=WRAPPED))
