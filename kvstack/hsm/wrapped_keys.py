"""Keys kept outside the HSM as ciphertext under its root: made there, wrapped out, and opened there again for use."""

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import Template
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import HsmError, KeyMaterial, KeyReference, PublicKey
from kvstack.hsm.taking_in import taken_in
from kvstack.terms.key import KeySpecification

PROVIDER = "pkcs11-wrapped"


class _Wrapped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The blob. version: of this format; root: CKA_ID of the wrapping root; mechanism: it was wrapped with."""

    version: int
    root: bytes
    mechanism: int
    ciphertext: bytes


def generate(connection: Connection, specification: KeySpecification) -> KeyMaterial:
    """Generate a key in the module, wrap it out, destroy it there."""
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        root = connection.root(session)
        template = private_template(specification, token=False, extractable=True)
        handle, public = generated(cryptoki, session, specification, template)
        return _wrapped_out(connection, session, root, handle, public)
    finally:
        connection.keepers.give_back(session)


def import_key(connection: Connection, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
    """Take a plain key into the module, wrap it out under the root, destroy it there."""
    session = connection.keepers.borrow()
    try:
        root = connection.root(session)
        template = private_template(specification, token=False, extractable=True)
        handle = taken_in(connection, session, plain, template)
        return _wrapped_out(connection, session, root, handle, plain.public)
    finally:
        connection.keepers.give_back(session)


def _wrapped_out(connection: Connection, session: int, root: int, handle: int, public: PublicKey) -> KeyMaterial:
    cryptoki = connection.cryptoki
    try:
        ciphertext = cryptoki.wrap(session, KEY_WRAP_PAD, root, handle)
    finally:
        cryptoki.destroy(session, handle)
    wrapped = _Wrapped(1, bytes.fromhex(connection.configuration.root), ck.CKM_AES_KEY_WRAP_PAD, ciphertext)
    return KeyMaterial(PROVIDER, msgspec.msgpack.encode(wrapped), public)


def opened(connection: Connection, key: KeyReference, template: Template | None = None) -> int:
    """Unwrap a key into the module, as what it is or by another template. Returns its handle. Raises HsmError for a
    blob that is not the key's."""
    wrapped = _decoded(key)
    if wrapped.root.hex() != connection.configuration.root:
        raise HsmError(
            f"the key {key.id} was wrapped under another root than the token `{connection.token.label}` has",
            "Use the token it was made with, or restore that token from its backup.",
        )
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        root = connection.root(session)
        as_itself = private_template(key.specification, token=False, extractable=False)
        handle = cryptoki.unwrap(session, KEY_WRAP_PAD, root, wrapped.ciphertext, template or as_itself)
        # Wrapping has no associated data: what came out has to be the private half of what the vault believes it is.
        if key.specification.family == "RSA":
            modulus = cryptoki.attribute(session, handle, ck.CKA_MODULUS) or b""
            if modulus.lstrip(b"\0") != key.material.public.n:
                cryptoki.destroy(session, handle)
                raise _foreign(key)
    finally:
        connection.keepers.give_back(session)
    return handle


def _decoded(key: KeyReference) -> _Wrapped:
    try:
        wrapped = msgspec.msgpack.decode(key.material.blob, type=_Wrapped)
    except msgspec.DecodeError:
        raise _foreign(key) from None
    if wrapped.version != 1 or wrapped.mechanism != ck.CKM_AES_KEY_WRAP_PAD:
        raise HsmError(
            f"the key {key.id} is kept in a form this version does not know",
            "Use a version of kvstack as new as its maker.",
        )
    return wrapped


def _foreign(key: KeyReference) -> HsmError:
    return HsmError(f"what is kept for the key {key.id} is not that key", "Restore the vault from a backup.")
