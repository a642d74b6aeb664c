"""What leaves a Managed HSM as a whole: encrypted in a token, under a key that only its security domain opens.

A key is drawn in the module for this once, wrapped out under the domain's root, and the content encrypted by it there:
no key of it is ever in this process. It opens in every token of the same domain.
"""

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, Template, gcm, mechanism
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.protocol import DecryptionFailed
from kvstack.hsm.return_values import LOST

_MAGIC = b"\x01"  # how it was sealed
_IV_BYTES = 12
_WRAPPED_BYTES = 40  # of a 32-byte key (RFC 5649)
_TAG_BYTES = 16

_ONCE: Template = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_TOKEN: False,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: True,
    ck.CKA_ENCRYPT: True,
    ck.CKA_DECRYPT: True,
}


def sealed(module: Pkcs11Module, plaintext: bytes, associated_data: bytes) -> bytes:
    """Encrypt. Returns 69 bytes more than the plaintext. Raises HsmUnavailable."""

    def seal(connection: Connection) -> bytes:
        cryptoki, session = connection.cryptoki, connection.keepers.borrow()
        try:
            root = connection.root(session)
            wanted = {**_ONCE, ck.CKA_VALUE_LEN: 32, ck.CKA_EXTRACTABLE: True}
            once = cryptoki.generate_key(session, mechanism(ck.CKM_AES_KEY_GEN), wanted)
            try:
                wrapped, vector = cryptoki.wrap(session, KEY_WRAP_PAD, root, once), cryptoki.random(session, _IV_BYTES)
                # The wrapped key is authenticated too: it cannot be another one's.
                method = gcm(vector, _MAGIC + wrapped + associated_data)
                return _MAGIC + wrapped + vector + cryptoki.encrypt(session, method, once, plaintext)
            finally:
                cryptoki.destroy(session, once)
        finally:
            connection.keepers.give_back(session)

    return module.run(seal, mechanism=ck.CKM_AES_GCM)


def opened(module: Pkcs11Module, content: bytes, associated_data: bytes) -> bytes:
    """Decrypt. Raises DecryptionFailed, one error for everything that was changed or is another domain's."""
    head = len(_MAGIC)
    wrapped, rest = content[head : head + _WRAPPED_BYTES], content[head + _WRAPPED_BYTES :]
    vector, ciphertext = rest[:_IV_BYTES], rest[_IV_BYTES:]
    if content[:head] != _MAGIC or len(ciphertext) < _TAG_BYTES:
        raise DecryptionFailed

    def unseal(connection: Connection) -> bytes:
        cryptoki, session = connection.cryptoki, connection.keepers.borrow()
        try:
            root = connection.root(session)
            once = cryptoki.unwrap(session, KEY_WRAP_PAD, root, wrapped, {**_ONCE, ck.CKA_EXTRACTABLE: False})
            try:
                method = gcm(vector, _MAGIC + wrapped + associated_data)
                return cryptoki.decrypt(session, method, once, ciphertext)
            finally:
                cryptoki.destroy(session, once)
        except CryptokiError as error:
            if error.code in LOST:
                raise
            raise DecryptionFailed from None
        finally:
            connection.keepers.give_back(session)

    return module.run(unseal, mechanism=ck.CKM_AES_GCM)
