"""The provider of RSA-HSM, EC-HSM and oct-HSM keys: made and used in a PKCS#11 module, by handle."""

import hmac
from collections.abc import Callable
from typing import TypeVar

from kvstack.hsm import constants as ck
from kvstack.hsm import public_half, releasing, token_keys, wrapped_keys
from kvstack.hsm.configuration import HsmConfiguration, KeyHome
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, gcm
from kvstack.hsm.failures import unsupported
from kvstack.hsm.key_templates import code_template, generation
from kvstack.hsm.mechanisms import KEY_WRAP, RAW_RSA, Signing, cbc, cbc_pad, rsa_decryption, signing
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.oaep import unpadded
from kvstack.hsm.operands import TAG_BYTES, check_ciphertext, check_plaintext, encryption_iv, zero_padded
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import Ciphertext, DecryptionFailed, KeyMaterial, KeyReference, NotPortable, PublicKey
from kvstack.hsm.return_values import (
    CKR_ARGUMENTS_BAD,
    CKR_KEY_FUNCTION_NOT_PERMITTED,
    CKR_KEY_SIZE_RANGE,
    CKR_KEY_TYPE_INCONSISTENT,
    CKR_MECHANISM_INVALID,
    CKR_MECHANISM_PARAM_INVALID,
    UNDECIPHERABLE,
)
from kvstack.terms.algorithm import Algorithm
from kvstack.terms.key import KeySpecification
from kvstack.terms.release import ReleaseWrapping

T = TypeVar("T")

_AS_CODE = "#code"  # beside the key itself: a handle of another type, of the same key

# A caller's bytes as a key object, for the moment they are wrapped or unwrapped; they are known outside the HSM anyway.
_CALLERS_BYTES = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
    ck.CKA_TOKEN: False,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: False,
    ck.CKA_EXTRACTABLE: True,
}


class Pkcs11Keys:
    """Keys of one token. home: how new keys are kept, the configuration's where it is not said; both kinds are used.

    Verifying and RSA encryption need the public half only, and are done in software.
    """

    def __init__(self, module: Pkcs11Module, home: KeyHome | None = None) -> None:
        self._module = module
        self._home: KeyHome = home or module.configuration.keys
        self._oaep_256_unknown = False

    def generate(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key in the module; other threads run meanwhile."""
        generate = wrapped_keys.generate if self._home == "wrapped" else token_keys.generate
        number = generation(specification).number
        return self._module.run(lambda connection: generate(connection, specification), mechanism=number)

    def import_key(self, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
        """Take in a key that was made elsewhere: from then on it is as one the module made."""
        take = wrapped_keys.import_key if self._home == "wrapped" else token_keys.import_key
        return self._module.run(lambda connection: take(connection, specification, plain))

    def generate_exportable(self, specification: KeySpecification) -> KeyMaterial:
        """Generate a key that may leave the module, wrapped for whom it is released to."""
        number = generation(specification).number
        return self._module.run(
            lambda one: wrapped_keys.generate(one, specification, exportable=True), mechanism=number
        )

    def import_exportable(self, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
        """Take in a key that may leave the module again."""
        return self._module.run(lambda one: wrapped_keys.import_key(one, specification, plain, exportable=True))

    def release(self, key: KeyReference, wrapping: ReleaseWrapping, recipient: PublicKey) -> bytes:
        """Return a key wrapped in the module for the holder of an RSA key. Raises HsmError, MechanismUnsupported."""
        return self._module.run(
            lambda one: releasing.released(one, key, wrapping, recipient), mechanism=ck.CKM_RSA_PKCS_OAEP
        )

    def check(self, key: KeyReference) -> None:
        """Raise HsmError where this token cannot open the material."""
        self._use(key, None, lambda *_: None)

    def require_portable(self, key: KeyReference) -> None:
        """Raise NotPortable for an object of the token."""
        if key.material.provider == token_keys.PROVIDER:
            raise NotPortable(
                f"the key {key.id} is an object of the token `{self._module.configuration.token_label}`",
                "It never leaves its token, not even as ciphertext: back the token up by the HSM's own means.",
            )

    def sign(self, key: KeyReference, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest. Returns an RSA signature, r and s side by side for EC (RFC 7518), or an HMAC for oct."""
        how = signing(algorithm)
        if algorithm.family == "oct":
            return self._code(key, how, digest)
        data = how.prefix + digest
        return self._use(
            key,
            how.number,
            lambda cryptoki, session, handle: cryptoki.sign(session, how.mechanism, handle, data, how.room),
        )

    def verify(self, key: KeyReference, algorithm: Algorithm, digest: bytes, signature: bytes) -> bool:
        """Tell whether a signature is the key's over this digest."""
        if algorithm.family == "oct":
            return hmac.compare_digest(self.sign(key, algorithm, digest), signature)
        return public_half.verified(key.material.public, algorithm, digest, signature)

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
        check_plaintext(algorithm, key.specification, plaintext)
        vector = encryption_iv(algorithm, iv, self.random)
        if algorithm.family == "RSA":
            return Ciphertext(public_half.encrypted(key.material.public, algorithm, plaintext))
        if algorithm.name.endswith("KW"):
            return Ciphertext(
                self._use(
                    key,
                    ck.CKM_AES_KEY_WRAP,
                    lambda cryptoki, session, handle: _wrapped(cryptoki, session, handle, plaintext),
                )
            )
        number, method = _symmetric(algorithm, vector, associated_data)
        if number == ck.CKM_AES_CBC:
            plaintext = zero_padded(plaintext)
        sealed = self._use(
            key, number, lambda cryptoki, session, handle: cryptoki.encrypt(session, method, handle, plaintext)
        )
        if number == ck.CKM_AES_GCM:
            return Ciphertext(sealed[:-TAG_BYTES], vector, sealed[-TAG_BYTES:])
        return Ciphertext(sealed, vector)

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
        check_ciphertext(algorithm, key.specification, ciphertext, iv, tag)
        if algorithm.name == "RSA-OAEP-256":
            return self._oaep_256(key, algorithm, ciphertext)
        if algorithm.name.endswith("KW"):
            return self._use(
                key,
                ck.CKM_AES_KEY_WRAP,
                lambda cryptoki, session, handle: _unwrapped(cryptoki, session, handle, ciphertext),
            )
        if algorithm.family == "RSA":
            number, method = rsa_decryption(algorithm)
        else:
            number, method = _symmetric(algorithm, iv, associated_data)
        return self._use(key, number, _decryption(method, ciphertext + tag))

    def destroy(self, key: KeyReference) -> None:
        """Forget a key for good: its handle, and its token object where it has one."""

        def forget(connection: Connection) -> None:
            connection.open_keys.drop(key.id)
            connection.open_keys.drop(key.id + _AS_CODE)
            if key.material.provider == token_keys.PROVIDER:
                token_keys.destroy(connection, key)

        self._module.run(forget)

    def random(self, count: int) -> bytes:
        """Draw random bytes from the HSM."""

        def draw(connection: Connection) -> bytes:
            session = connection.sessions.borrow()
            try:
                return connection.cryptoki.random(session, count)
            finally:
                connection.sessions.give_back(session)

        return self._module.run(draw)

    def reconfigure(self, configuration: HsmConfiguration) -> None:
        """Go by another configuration of the same token from here on."""
        self._module.reconfigure(configuration)

    def close(self) -> None:
        """Let go of sessions and the module."""
        self._module.close()

    def _code(self, key: KeyReference, how: Signing, digest: bytes) -> bytes:
        """Return the authentication code of a digest."""

        def made(cryptoki: Cryptoki, session: int, handle: int) -> bytes:
            try:
                return cryptoki.sign(session, how.mechanism, handle, digest, how.room)
            except CryptokiError as error:
                reason = _NO_CODE.get(error.code)
                if reason is None:
                    raise
                name = ck.mechanism_name(how.number)
                raise unsupported(name, self._module.configuration.module, reason) from None

        return self._use(key, how.number, made, as_code=key.material.provider != token_keys.PROVIDER)

    def _use(
        self,
        key: KeyReference,
        number: int | None,
        action: Callable[[Cryptoki, int, int], T],
        *,
        as_code: bool = False,
    ) -> T:
        """Return what an action gives with the key open and a session of its own. as_code: open it as what makes
        authentication codes."""
        name = key.id + _AS_CODE if as_code else key.id

        def opened(connection: Connection) -> int:
            if key.material.provider == token_keys.PROVIDER:
                return token_keys.opened(connection, key)
            return wrapped_keys.opened(connection, key, code_template() if as_code else None)

        def operation(connection: Connection) -> T:
            open_key = connection.open_keys.borrow(name, key.material.blob, lambda: opened(connection))
            try:
                session = connection.sessions.borrow()
                try:
                    result = action(connection.cryptoki, session, open_key.handle)
                except BaseException:
                    connection.sessions.give_back(session, broken=True)
                    raise
                connection.sessions.give_back(session)
                return result
            finally:
                connection.open_keys.give_back(open_key)

        return self._module.run(operation, mechanism=number)

    def _oaep_256(self, key: KeyReference, algorithm: Algorithm, ciphertext: bytes) -> bytes:
        """Decrypt in the module where it knows SHA-256 for OAEP, else decrypt there and unpad here."""
        number, method = rsa_decryption(algorithm)
        if not self._oaep_256_unknown:

            def attempt(cryptoki: Cryptoki, session: int, handle: int) -> bytes | None:
                try:
                    return _decryption(method, ciphertext)(cryptoki, session, handle)
                except CryptokiError as error:
                    if error.function == "C_DecryptInit" and error.code in _UNKNOWN_PARAMETER:
                        return None
                    raise

            decrypted = self._use(key, number, attempt)
            if decrypted is not None:
                return decrypted
            self._oaep_256_unknown = True
        if not self._module.configuration.oaep_in_software:
            raise unsupported("RSA-OAEP-256", self._module.configuration.module, "`oaep_in_software` is switched off")
        encoded = self._use(key, ck.CKM_RSA_X_509, _decryption(RAW_RSA, ciphertext))
        return unpadded(encoded.rjust(len(ciphertext), b"\0"))


# What modules answer to a hash they do not know; SoftHSM says ARGUMENTS_BAD.
_UNKNOWN_PARAMETER = frozenset({CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID})


_NO_CODE = {
    CKR_KEY_SIZE_RANGE: "it wants a key at least as long as the hash (RFC 7518, 3.2)",
    CKR_KEY_TYPE_INCONSISTENT: "not with the AES keys it keeps in its token",
    CKR_KEY_FUNCTION_NOT_PERMITTED: "not with a key that was made before it could",
}


def _symmetric(algorithm: Algorithm, iv: bytes, associated_data: bytes) -> tuple[int, Mechanism]:
    if algorithm.name.endswith("GCM"):
        return ck.CKM_AES_GCM, gcm(iv, associated_data)
    if algorithm.name.endswith("CBC"):
        return ck.CKM_AES_CBC, cbc(iv)
    return ck.CKM_AES_CBC_PAD, cbc_pad(iv)


def _decryption(method: Mechanism, ciphertext: bytes) -> Callable[[Cryptoki, int, int], bytes]:
    def decrypted(cryptoki: Cryptoki, session: int, handle: int) -> bytes:
        try:
            return cryptoki.decrypt(session, method, handle, ciphertext)
        except CryptokiError as error:
            if error.function == "C_Decrypt" and error.code in UNDECIPHERABLE:
                raise DecryptionFailed from None
            raise

    return decrypted


def _wrapped(cryptoki: Cryptoki, session: int, handle: int, plaintext: bytes) -> bytes:
    secret = cryptoki.create(session, {**_CALLERS_BYTES, ck.CKA_VALUE: plaintext})
    try:
        return cryptoki.wrap(session, KEY_WRAP, handle, secret)
    finally:
        cryptoki.destroy(session, secret)


def _unwrapped(cryptoki: Cryptoki, session: int, handle: int, ciphertext: bytes) -> bytes:
    try:
        secret = cryptoki.unwrap(session, KEY_WRAP, handle, ciphertext, _CALLERS_BYTES)
    except CryptokiError as error:
        if error.code in UNDECIPHERABLE:
            raise DecryptionFailed from None
        raise
    try:
        value = cryptoki.attribute(session, secret, ck.CKA_VALUE)
    finally:
        cryptoki.destroy(session, secret)
    if value is None:
        raise DecryptionFailed
    return value
