"""Using keys: sign and verify, encrypt and decrypt, wrap and unwrap; when a key may be used, and for what."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from kvstack.hsm.protocol import Ciphertext, InputUnfit, KeyProvider, KeyReference
from kvstack.terms.algorithm import Algorithm, Purpose, algorithm
from kvstack.terms.key import Operation
from kvstack.terms.secret import SecretValue
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.items import KEY, live
from kvstack.vault.keys import KeyOperations, key_version
from kvstack.vault.records import Key
from kvstack.vault.versions import KeyVersionRow

R = TypeVar("R")

# Outside its dates a key still gives back what it protected.
_ALWAYS: frozenset[Operation] = frozenset({"decrypt", "unwrapKey", "verify"})
# Needs the public half only, which whoever may read the key has.
_PUBLIC: frozenset[Operation] = frozenset({"encrypt", "wrapKey", "verify"})


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


class KeyUseOperations(KeyOperations):
    """What keys are for. The store is free for others while the key works."""

    def sign(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, digest: bytes, version: str | None = None
    ) -> Signature:
        """Sign a digest, whose length must be the algorithm's."""

        def signed(provider: KeyProvider, key: KeyReference, used: Algorithm) -> bytes:
            return provider.sign(key, used, digest)

        row, value = self._used(
            caller,
            vault,
            name,
            version,
            "KeySign",
            "sign",
            "sign",
            algorithm,
            lambda used: _digest_problem(used, digest),
            signed,
        )
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

        _, valid = self._used(
            caller,
            vault,
            name,
            version,
            "KeyVerify",
            "verify",
            "sign",
            algorithm,
            lambda used: _digest_problem(used, digest),
            verified,
        )
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
        return self._encrypted(
            caller, vault, name, version, "KeyEncrypt", "encrypt", "encrypt", algorithm, plaintext, iv, associated_data
        )

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
        return self._decrypted(
            caller,
            vault,
            name,
            version,
            "KeyDecrypt",
            "decrypt",
            "encrypt",
            algorithm,
            ciphertext,
            iv,
            tag,
            associated_data,
        )

    def wrap_key(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, key: SecretValue, version: str | None = None
    ) -> Encrypted:
        """Wrap another key's bytes."""
        return self._encrypted(caller, vault, name, version, "KeyWrap", "wrapKey", "wrap", algorithm, key, b"", b"")

    def unwrap_key(
        self, caller: Caller, vault: str, name: str, *, algorithm: str, wrapped: bytes, version: str | None = None
    ) -> Decrypted:
        """Unwrap another key's bytes. Raises DecryptionFailed."""
        return self._decrypted(
            caller, vault, name, version, "KeyUnwrap", "unwrapKey", "wrap", algorithm, wrapped, b"", b"", b""
        )

    def _encrypted(
        self,
        caller: Caller,
        vault: str,
        name: str,
        version: str | None,
        audited: str,
        operation: Operation,
        purpose: Purpose,
        algorithm: str,
        plaintext: SecretValue,
        iv: bytes,
        associated_data: bytes,
    ) -> Encrypted:
        def encrypted(provider: KeyProvider, key: KeyReference, used: Algorithm) -> Ciphertext:
            return provider.encrypt(key, used, plaintext.reveal(), iv=iv, associated_data=associated_data)

        row, made = self._used(
            caller,
            vault,
            name,
            version,
            audited,
            operation,
            purpose,
            algorithm,
            lambda used: _context_problem(used, associated_data),
            encrypted,
        )
        return Encrypted(row.version, algorithm, made.ciphertext, made.iv, made.tag)

    def _decrypted(
        self,
        caller: Caller,
        vault: str,
        name: str,
        version: str | None,
        audited: str,
        operation: Operation,
        purpose: Purpose,
        algorithm: str,
        ciphertext: bytes,
        iv: bytes,
        tag: bytes,
        associated_data: bytes,
    ) -> Decrypted:
        def decrypted(provider: KeyProvider, key: KeyReference, used: Algorithm) -> SecretValue:
            return SecretValue(provider.decrypt(key, used, ciphertext, iv=iv, tag=tag, associated_data=associated_data))

        row, value = self._used(
            caller,
            vault,
            name,
            version,
            audited,
            operation,
            purpose,
            algorithm,
            lambda used: _context_problem(used, associated_data),
            decrypted,
        )
        return Decrypted(row.version, algorithm, value)

    def _used(
        self,
        caller: Caller,
        vault: str,
        name: str,
        version: str | None,
        audited: str,
        operation: Operation,
        purpose: Purpose,
        algorithm_name: str,
        problem_of: Callable[[Algorithm], str | None],
        use: Callable[[KeyProvider, KeyReference, Algorithm], R],
    ) -> tuple[KeyVersionRow, R]:
        """Use a key between two looks at the store; what it made is given out only once the second is audited."""
        with self._attempt(caller, audited, self._scope(vault, f"keys/{name}")) as attempt:
            attempt.details["algorithm"] = algorithm_name

            def usable() -> KeyVersionRow:
                action = KEY.action(_ACTIONS[operation])
                also = KEY.read if operation in _PUBLIC else None
                home = attempt.vault(vault, action, f"keys/{name}", also=also)
                item = live(attempt, home, KEY, name)
                row = key_version(attempt, item, version)
                # The public half of a symmetric key is the key itself: reading it is not enough.
                if also is not None and row.specification.family == "oct":
                    attempt.require(action, attempt.subject, data=True)
                _require_usable(item, row, operation, attempt.now)
                return row

            with attempt.look():
                row = usable()
                try:
                    used = algorithm(algorithm_name, purpose)
                except ValueError as error:
                    raise BadParameter(str(error)) from None
                problem = used.unfit(row.specification) or problem_of(used)
                if problem:
                    raise BadParameter(problem)
                reference = self._reference(row)
            attempt.details["version"] = row.version
            try:
                made = use(self._provider(row.provider), reference, used)
            except InputUnfit as error:
                raise BadParameter(error.diagnostics[0].summary) from None
            with attempt.transaction():
                # Rights and dates may have changed while the key worked.
                if usable().version != row.version and version is not None:
                    raise errors.not_found("version of the key", f"{name}/{version}", "", code="KeyNotFound")
            return row, made


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


_ACTIONS: dict[Operation, str] = {
    "sign": "sign/action",
    "verify": "verify/action",
    "encrypt": "encrypt/action",
    "decrypt": "decrypt/action",
    "wrapKey": "wrap/action",
    "unwrapKey": "unwrap/action",
}


def _require_usable(item: Key, row: KeyVersionRow, operation: Operation, now: datetime) -> None:
    if not row.enabled:
        raise Forbidden(f"the key `{item.name}` in vault `{item.vault}` is disabled", inner="KeyDisabled")
    if operation not in row.operations:
        listed = ", ".join(sorted(row.operations)) or "nothing"
        raise Forbidden(
            f"the key `{item.name}` in vault `{item.vault}` may not {operation}",
            f"Its operations are: {listed}.",
            inner="KeyOperationForbidden",
        )
    if operation in _ALWAYS:
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
