"""Keys kept outside the HSM as ciphertext under a root of it: made there, wrapped out, opened there again for use."""

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import Template
from kvstack.hsm.failures import unsupported
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import HsmError, KeyMaterial, KeyReference, PublicKey
from kvstack.hsm.release_root import release_root_identity
from kvstack.hsm.taking_in import taken_in
from kvstack.terms.key import KeySpecification

PROVIDER = "pkcs11-wrapped"


class _Wrapped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The blob. version: of this format; root: CKA_ID of the root; mechanism: it was wrapped with."""

    version: int
    root: bytes
    mechanism: int
    ciphertext: bytes


def generate(connection: Connection, specification: KeySpecification, *, exportable: bool = False) -> KeyMaterial:
    """Generate a key in the module, wrap it out, destroy it there. exportable: may leave again."""
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        root = _root(connection, session, exportable=exportable)
        template = private_template(specification, token=False, extractable=True)
        handle, public = generated(cryptoki, session, specification, template)
        return _wrapped_out(connection, session, root, handle, public, exportable=exportable)
    finally:
        connection.keepers.give_back(session)


def import_key(
    connection: Connection, specification: KeySpecification, plain: PlainKey, *, exportable: bool = False
) -> KeyMaterial:
    """Take a plain key into the module, wrap it out under its root, destroy it there."""
    session = connection.keepers.borrow()
    try:
        root = _root(connection, session, exportable=exportable)
        template = private_template(specification, token=False, extractable=True)
        handle = taken_in(connection, session, plain, template)
        return _wrapped_out(connection, session, root, handle, plain.public, exportable=exportable)
    finally:
        connection.keepers.give_back(session)


def _root(connection: Connection, session: int, *, exportable: bool) -> int:
    """Return the root a new key is wrapped under."""
    if not exportable:
        return connection.root(session)
    if not connection.configuration.root:
        raise unsupported("exportable keys", connection.configuration.module, "it keeps keys in its token itself")
    return connection.release_root(session, make=True)


def _wrapped_out(
    connection: Connection, session: int, root: int, handle: int, public: PublicKey, *, exportable: bool
) -> KeyMaterial:
    cryptoki = connection.cryptoki
    try:
        ciphertext = cryptoki.wrap(session, KEY_WRAP_PAD, root, handle)
    finally:
        cryptoki.destroy(session, handle)
    own = connection.configuration.root
    identity = bytes.fromhex(release_root_identity(own) if exportable else own)
    wrapped = _Wrapped(1, identity, ck.CKM_AES_KEY_WRAP_PAD, ciphertext)
    return KeyMaterial(PROVIDER, msgspec.msgpack.encode(wrapped), public)


def opened(connection: Connection, key: KeyReference, template: Template | None = None) -> int:
    """Unwrap a key into the module, as what it is or by another template. Returns its handle. Raises HsmError for a
    blob that is not the key's."""
    wrapped = _decoded(key)
    connection.require_domain()
    exportable = may_leave(connection, key)
    if not exportable and wrapped.root.hex() != connection.configuration.root:
        raise HsmError(
            f"the key {key.id} was wrapped under another root than the token `{connection.token.label}` has",
            "Use the token it was made with, or restore that token from its backup.",
        )
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        root = connection.release_root(session) if exportable else connection.root(session)
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


def may_leave(connection: Connection, key: KeyReference) -> bool:
    """Tell whether a key is under the root of those that may leave the module."""
    own = connection.configuration.root
    return bool(own) and _decoded(key).root.hex() == release_root_identity(own)


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
