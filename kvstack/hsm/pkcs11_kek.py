"""A key-encryption key that is an object of a token and never leaves it."""

from collections.abc import Callable

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, gcm
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.protocol import DecryptionFailed
from kvstack.hsm.return_values import UNDECIPHERABLE

_IV_BYTES = 12
_TAG_BYTES = 16


class Pkcs11KeyEncryptionKey:
    """AES-256-GCM in the module; what it wraps has the shape of SoftwareKeyEncryptionKey's: vector, ciphertext, tag."""

    def __init__(self, module: Pkcs11Module) -> None:
        self._module = module

    @property
    def id(self) -> str:
        """Which key this is."""
        return f"pkcs11-{self._module.configuration.kek}"

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wrap a data key. data_key: 32 bytes. Returns 60 bytes. Raises HsmUnavailable."""

        def operation(connection: Connection, session: int) -> bytes:
            vector = connection.cryptoki.random(session, _IV_BYTES)
            return vector + connection.cryptoki.encrypt(session, gcm(vector, context), connection.kek, data_key)

        return self._run(operation)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap a data key. Raises DecryptionFailed, HsmUnavailable."""
        if len(wrapped) < _IV_BYTES + _TAG_BYTES:
            raise DecryptionFailed
        method, sealed = gcm(wrapped[:_IV_BYTES], context), wrapped[_IV_BYTES:]

        def operation(connection: Connection, session: int) -> bytes:
            try:
                return connection.cryptoki.decrypt(session, method, connection.kek, sealed)
            except CryptokiError as error:
                if error.function == "C_Decrypt" and error.code in UNDECIPHERABLE:
                    raise DecryptionFailed from None
                raise

        return self._run(operation)

    def _run(self, operation: Callable[[Connection, int], bytes]) -> bytes:
        def in_session(connection: Connection) -> bytes:
            session = connection.sessions.borrow()
            try:
                result = operation(connection, session)
            except BaseException:
                connection.sessions.give_back(session, broken=True)
                raise
            connection.sessions.give_back(session)
            return result

        return self._module.run(in_session, mechanism=ck.CKM_AES_GCM)
