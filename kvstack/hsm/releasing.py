"""Giving a key out of a module, wrapped there for its recipient: no key bytes reach Python at any step."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError, Template, mechanism, oaep
from kvstack.hsm.failures import unsupported
from kvstack.hsm.key_templates import private_template
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.protocol import HsmError, KeyReference, PublicKey
from kvstack.hsm.return_values import CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID
from kvstack.hsm.token_keys import PROVIDER as IN_TOKEN
from kvstack.hsm.wrapped_keys import may_leave, opened
from kvstack.terms.release import EPHEMERAL_BYTES, Hash, ReleaseWrapping

_OAEP: dict[Hash, tuple[int, int]] = {
    "SHA-1": (ck.CKM_SHA_1, ck.CKG_MGF1_SHA1),
    "SHA-256": (ck.CKM_SHA256, ck.CKG_MGF1_SHA256),
    "SHA-384": (ck.CKM_SHA384, ck.CKG_MGF1_SHA384),
}
# What modules answer to a hash they do not know; SoftHSM says ARGUMENTS_BAD.
_UNKNOWN_HASH = frozenset({CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID})

# Wraps one key, leaves wrapped itself, and is gone.
_EPHEMERAL: Template = {
    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
    ck.CKA_KEY_TYPE: ck.CKK_AES,
    ck.CKA_VALUE_LEN: EPHEMERAL_BYTES,
    ck.CKA_TOKEN: False,
    ck.CKA_PRIVATE: True,
    ck.CKA_SENSITIVE: True,
    ck.CKA_EXTRACTABLE: True,
    ck.CKA_WRAP: True,
    ck.CKA_UNWRAP: False,
    ck.CKA_ENCRYPT: False,
    ck.CKA_DECRYPT: False,
    ck.CKA_SIGN: False,
    ck.CKA_VERIFY: False,
    ck.CKA_ALLOWED_MECHANISMS: (ck.CKM_AES_KEY_WRAP_PAD,),
}


def released(connection: Connection, key: KeyReference, wrapping: ReleaseWrapping, recipient: PublicKey) -> bytes:
    """Return a key wrapped for its recipient. Raises HsmError for one that was not made to leave the module."""
    if key.material.provider == IN_TOKEN or not may_leave(connection, key):
        raise HsmError(
            f"the key {key.id} was not made exportable: the HSM never gives it out",
            "Only keys that were made with `exportable` can be released; make another one.",
        )
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        with (
            _session_object(connection, session, _of_recipient(connection, session, recipient)) as public,
            _session_object(
                connection, session, cryptoki.generate_key(session, mechanism(ck.CKM_AES_KEY_GEN), _EPHEMERAL)
            ) as once,
        ):
            # First what may be impossible, so that the key itself is not even opened then.
            encrypted = _encrypted(connection, session, public, once, wrapping)
            leaving = private_template(key.specification, token=False, extractable=True)
            with _session_object(connection, session, opened(connection, key, leaving)) as target:
                return encrypted + cryptoki.wrap(session, KEY_WRAP_PAD, once, target)
    finally:
        connection.keepers.give_back(session)


def _encrypted(connection: Connection, session: int, public: int, once: int, wrapping: ReleaseWrapping) -> bytes:
    """Return the key that is used once, encrypted to the recipient."""
    try:
        return connection.cryptoki.wrap(session, oaep(*_OAEP[wrapping.hash]), public, once)
    except CryptokiError as error:
        if error.code not in _UNKNOWN_HASH:
            raise
        reason = f"it does not know {wrapping.hash} for OAEP; CKM_RSA_AES_KEY_WRAP is what most modules have"
        raise unsupported(wrapping.name, connection.configuration.module, reason) from None


def _of_recipient(connection: Connection, session: int, recipient: PublicKey) -> int:
    return connection.cryptoki.create(
        session,
        {
            ck.CKA_CLASS: ck.CKO_PUBLIC_KEY,
            ck.CKA_KEY_TYPE: ck.CKK_RSA,
            ck.CKA_TOKEN: False,
            ck.CKA_PRIVATE: False,
            ck.CKA_WRAP: True,
            ck.CKA_ENCRYPT: False,
            ck.CKA_VERIFY: False,
            ck.CKA_MODULUS: recipient.n,
            ck.CKA_PUBLIC_EXPONENT: recipient.e,
        },
    )


@contextmanager
def _session_object(connection: Connection, session: int, handle: int) -> Iterator[int]:
    """Destroy a session object after the block."""
    try:
        yield handle
    finally:
        connection.cryptoki.destroy(session, handle)
