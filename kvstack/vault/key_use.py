"""Using keys: sign and verify, encrypt and decrypt, wrap and unwrap; when a key may be used, and for what."""

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from kvstack.hsm import public_half
from kvstack.hsm.protocol import Ciphertext, InputUnfit, KeyProvider, KeyReference
from kvstack.terms.algorithm import Algorithm, Purpose, algorithm
from kvstack.terms.key import Operation
from kvstack.terms.name import folded
from kvstack.terms.secret import SecretValue
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.items import KEY, live
from kvstack.vault.keys import KeyOperations, usable_version
from kvstack.vault.records import Key
from kvstack.vault.superseded import note_version, superseded_since
from kvstack.vault.versions import KEY_VERSIONS, KeyVersionRow
from kvstack.vault.warm import Warm

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

R = TypeVar("R")


class _Use(msgspec.Struct, frozen=True):
    """One way to use a key. audited: the operation's name in the audit; action: the right it takes; public: needs the
    public half only, which whoever may read the key has; always: allowed outside the key's dates, too, so that a key
    gives back what it protected."""

    audited: str
    operation: Operation
    purpose: Purpose
    action: str
    public: bool = False
    always: bool = False


_SIGN = _Use("KeySign", "sign", "sign", KEY.action("sign/action"))
_VERIFY = _Use("KeyVerify", "verify", "sign", KEY.action("verify/action"), public=True, always=True)
_ENCRYPT = _Use("KeyEncrypt", "encrypt", "encrypt", KEY.action("encrypt/action"), public=True)
_DECRYPT = _Use("KeyDecrypt", "decrypt", "encrypt", KEY.action("decrypt/action"), always=True)
_WRAP = _Use("KeyWrap", "wrapKey", "wrap", KEY.action("wrap/action"), public=True)
_UNWRAP = _Use("KeyUnwrap", "unwrapKey", "wrap", KEY.action("unwrap/action"), always=True)
# Azure has no such operation, and no right to it: encapsulating is wrapping a fresh secret.
_ENCAPSULATE = _Use("KeyEncapsulate", "wrapKey", "encapsulate", KEY.action("wrap/action"), public=True)
_DECAPSULATE = _Use("KeyDecapsulate", "unwrapKey", "encapsulate", KEY.action("unwrap/action"), always=True)


class Signature(msgspec.Struct, frozen=True):
    """A signature. version: of the key that made it; value: RSA, or r and s side by side."""

    version: str
    algorithm: str
    value: bytes


class Encrypted(msgspec.Struct, frozen=True):
    """A ciphertext. version: of the key it needs to be decrypted; iv, tag: of the modes that have them."""

    version: str
    algorithm: str
    ciphertext: bytes
    iv: bytes = b""
    tag: bytes = b""


class Decrypted(msgspec.Struct, frozen=True):
    """A plaintext, or an unwrapped key; masked."""

    version: str
    algorithm: str
    value: SecretValue


class Encapsulated(msgspec.Struct, frozen=True):
    """A fresh shared secret, masked, and the ciphertext only the key gets it out of."""

    version: str
    algorithm: str
    secret: SecretValue
    ciphertext: bytes


# So many keys' names take a few hundred KiB.
_MOST_BRIEF: Final = 4096


class _Target(msgspec.Struct, frozen=True):
    """Whose use of which key: what every use is told."""

    caller: Caller
    vault: str
    name: str
    version: str | None
    algorithm: str


class KeyUseOperations(KeyOperations):
    """What keys are for. The store is free for others while the key works."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__(unlocked, random=random)
        self._warm_keys: Warm[tuple[Key, KeyVersionRow, KeyReference, datetime | None]] = Warm()
        self._used_briefly: set[tuple[str, str, str | None]] = set()

    def sign(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, digest: bytes, version: str | None = None
    ) -> Signature:
        """Sign a digest, whose length must be the algorithm's."""

        def signed(provider: KeyProvider, key: KeyReference, used: Algorithm) -> bytes:
            return provider.sign(key, used, digest)

        target = _Target(caller, vault, name, version, algorithm)
        row, value = self._used(_SIGN, target, lambda used: _digest_problem(used, digest), signed)
        return Signature(row.version, algorithm, value)

    def verify(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        algorithm: str,
        digest: bytes,
        signature: bytes,
        version: str | None = None,
    ) -> bool:
        """Tell whether a signature is the key's over this digest."""

        def verified(provider: KeyProvider, key: KeyReference, used: Algorithm) -> bool:
            return provider.verify(key, used, digest, signature)

        target = _Target(caller, vault, name, version, algorithm)
        _, valid = self._used(_VERIFY, target, lambda used: _digest_problem(used, digest), verified)
        return valid

    def encrypt(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        algorithm: str,
        plaintext: SecretValue,
        iv: bytes = b"",
        associated_data: bytes = b"",
        version: str | None = None,
    ) -> Encrypted:
        """Encrypt a short plaintext. iv: drawn where none is given."""
        target = _Target(caller, vault, name, version, algorithm)
        return self._encrypted(_ENCRYPT, target, plaintext, iv, associated_data)

    def decrypt(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        algorithm: str,
        ciphertext: bytes,
        iv: bytes = b"",
        tag: bytes = b"",
        associated_data: bytes = b"",
        version: str | None = None,
    ) -> Decrypted:
        """Decrypt. Raises DecryptionFailed, one error for every way it can fail."""
        target = _Target(caller, vault, name, version, algorithm)
        return self._decrypted(_DECRYPT, target, ciphertext, iv, tag, associated_data)

    def wrap_key(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, key: SecretValue, version: str | None = None
    ) -> Encrypted:
        """Wrap another key's bytes."""
        return self._encrypted(_WRAP, _Target(caller, vault, name, version, algorithm), key)

    def unwrap_key(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, wrapped: bytes, version: str | None = None
    ) -> Decrypted:
        """Unwrap another key's bytes. Raises DecryptionFailed."""
        return self._decrypted(_UNWRAP, _Target(caller, vault, name, version, algorithm), wrapped)

    def encapsulate(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, version: str | None = None
    ) -> Encapsulated:
        """Draw a shared secret of 32 bytes for the holder of an ML-KEM key."""

        def made(_: KeyProvider, key: KeyReference, used: Algorithm) -> tuple[bytes, bytes]:
            return public_half.encapsulated(key.material.public, used)

        target = _Target(caller, vault, name, version, algorithm)
        row, (secret, ciphertext) = self._used(_ENCAPSULATE, target, lambda _: None, made)
        return Encapsulated(row.version, algorithm, SecretValue(secret), ciphertext)

    def decapsulate(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, ciphertext: bytes, version: str | None = None
    ) -> Decrypted:
        """Return the shared secret of a ciphertext. Of one that was changed it is a secret nobody else has (FIPS 203
        rejects implicitly); raises DecryptionFailed for one of another length."""
        return self._decrypted(_DECAPSULATE, _Target(caller, vault, name, version, algorithm), ciphertext)

    def is_used_briefly(self, vault: str, name: str, version: str | None) -> bool:
        """Tell whether using a key takes about as long as reading it: one on P-256, or a symmetric one, in software,
        that was used a moment ago. It tells nobody anything: it says where to do the work, which is authorised then."""
        return (folded(vault), folded(name), version) in self._used_briefly

    def _note_brief(self, key: tuple[str, str, str | None], row: KeyVersionRow) -> None:
        """Note whether a key's use takes no time to speak of. One of that name that is followed by another kind is used
        in the wrong place once."""
        specification = row.specification
        if row.provider == "software" and (specification.family == "oct" or specification.curve == "P-256"):
            if len(self._used_briefly) >= _MOST_BRIEF:
                self._used_briefly.clear()
            self._used_briefly.add(key)
        else:
            self._used_briefly.discard(key)

    def _encrypted(
        self, use: _Use, target: _Target, plaintext: SecretValue, iv: bytes = b"", associated_data: bytes = b""
    ) -> Encrypted:
        def encrypted(provider: KeyProvider, key: KeyReference, used: Algorithm) -> Ciphertext:
            return provider.encrypt(key, used, plaintext.reveal(), iv=iv, associated_data=associated_data)

        row, made = self._used(use, target, lambda used: _context_problem(used, associated_data), encrypted)
        return Encrypted(row.version, target.algorithm, made.ciphertext, made.iv, made.tag)

    def _decrypted(
        self,
        use: _Use,
        target: _Target,
        ciphertext: bytes,
        iv: bytes = b"",
        tag: bytes = b"",
        associated_data: bytes = b"",
    ) -> Decrypted:
        def decrypted(provider: KeyProvider, key: KeyReference, used: Algorithm) -> SecretValue:
            return SecretValue(provider.decrypt(key, used, ciphertext, iv=iv, tag=tag, associated_data=associated_data))

        row, value = self._used(use, target, lambda used: _context_problem(used, associated_data), decrypted)
        return Decrypted(row.version, target.algorithm, value)

    def _used(
        self,
        use: _Use,
        target: _Target,
        problem_of: Callable[[Algorithm], str | None],
        work: Callable[[KeyProvider, KeyReference, Algorithm], R],
    ) -> tuple[KeyVersionRow, R]:
        """Use a key between two looks at the store; what it made is given out only once the second is audited."""
        subject = self._scope(target.vault, f"keys/{target.name}")
        with self._attempt(target.caller, use.audited, subject) as attempt:
            attempt.details["algorithm"] = target.algorithm
            with attempt.look():
                row, reference = self._usable(attempt, use, target)
                used = _algorithm(use, target, row, problem_of)
                state = attempt.tx.ledger.root.number
            try:
                made = work(self._provider(row.provider), reference, used)
            except InputUnfit as error:
                raise BadParameter(error.diagnostics[0].summary) from None
            with attempt.reading():
                # Somebody may have taken the right or the key away while it worked.
                if attempt.tx.ledger.root.number != state:
                    self._usable(attempt, use, target)
            return row, made

    def _usable(self, attempt: Attempt, use: _Use, target: _Target) -> tuple[KeyVersionRow, KeyReference]:
        """Return the version to use. Raises VaultError where the caller, or anybody, may not use it so."""
        home = attempt.vault(target.vault, use.action, f"keys/{target.name}", also=KEY.read if use.public else None)
        name = folded(target.name)
        found = self._warm_keys.get(attempt.tx, home.id, name, target.version)
        if found is None:
            item = live(attempt, home, KEY, target.name)
            row = usable_version(attempt, item, target.version)
            found = item, row, self._reference(row), superseded_since(attempt, KEY_VERSIONS, item, row)
            self._warm_keys.keep(attempt.tx, found, home.id, name, target.version)
            self._note_brief((home.folded, name, target.version), row)
        item, row, reference, superseded = found
        note_version(attempt, row.version, superseded)
        # A symmetric key has no public half: reading it is not enough.
        if use.public and row.specification.family == "oct":
            attempt.require(use.action, attempt.subject, data=True)
        require_usable(item, row, use.operation, attempt.now, always=use.always)
        return row, reference


def _algorithm(
    use: _Use, target: _Target, row: KeyVersionRow, problem_of: Callable[[Algorithm], str | None]
) -> Algorithm:
    try:
        used = algorithm(target.algorithm, use.purpose)
    except ValueError as error:
        raise BadParameter(str(error)) from None
    problem = used.unfit(row.specification) or problem_of(used)
    if problem:
        raise BadParameter(problem)
    return used


def _digest_problem(algorithm: Algorithm, digest: bytes) -> str | None:
    # A digest is signed, not a message: of another length it is no digest of this algorithm.
    if len(digest) == algorithm.digest_bytes:
        return None
    return (
        f"{algorithm.name} signs a digest of {algorithm.digest_bytes} bytes ({algorithm.digest}), not of {len(digest)}"
    )


def _context_problem(algorithm: Algorithm, associated_data: bytes) -> str | None:
    if associated_data and not algorithm.name.endswith("GCM"):
        return f"{algorithm.name} takes no associated data"
    return None


def require_usable(item: Key, row: KeyVersionRow, operation: Operation, now: datetime, *, always: bool) -> None:
    """Refuse a use nobody may make of a version now. always: it is allowed outside its dates. Raises Forbidden."""
    if not row.enabled:
        raise Forbidden(f"the key `{item.name}` in vault `{item.vault}` is disabled", inner="KeyDisabled")
    if operation not in row.operations:
        listed = ", ".join(sorted(row.operations)) or "nothing"
        raise Forbidden(
            f"the key `{item.name}` in vault `{item.vault}` may not {operation}",
            f"Its operations are: {listed}.",
            inner="KeyOperationForbidden",
        )
    if always:
        return
    if row.not_before is not None and now < row.not_before:
        raise Forbidden(
            f"the key `{item.name}` in vault `{item.vault}` may {operation} from {errors.day(row.not_before)} on"
        )
    if row.expires is not None and now >= row.expires:
        raise Forbidden(
            f"the key `{item.name}` in vault `{item.vault}` has expired and may not {operation}",
            f"It expired at {errors.day(row.expires)}.",
        )
