"""Keys that are objects of the token for life: never outside the HSM, not even as ciphertext."""

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.connection import Connection
from kvstack.hsm.key_templates import generated, private_template
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.protocol import HsmError, HsmUnavailable, KeyMaterial, KeyReference
from kvstack.hsm.taking_in import taken_in
from kvstack.terms.key import KeySpecification

PROVIDER = "pkcs11-token"
_LABEL = b"kvstack key"


class _Held(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The blob. version: of this format; serial: the token's; identity: the object's CKA_ID."""

    version: int
    serial: str
    identity: bytes


def generate(connection: Connection, specification: KeySpecification) -> KeyMaterial:
    """Generate a key as a token object."""
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        identity = cryptoki.random(session, 16)
        template = private_template(specification, token=True, extractable=False)
        named = {**template, ck.CKA_ID: identity, ck.CKA_LABEL: _LABEL}
        _, public = generated(cryptoki, session, specification, named)
    finally:
        connection.keepers.give_back(session)
    connection.settle()
    held = _Held(1, connection.token.serial, identity)
    return KeyMaterial(PROVIDER, msgspec.msgpack.encode(held), public)


def import_key(connection: Connection, specification: KeySpecification, plain: PlainKey) -> KeyMaterial:
    """Take a plain key into the module as a token object."""
    cryptoki, session = connection.cryptoki, connection.keepers.borrow()
    try:
        identity = cryptoki.random(session, 16)
        template = private_template(specification, token=True, extractable=False)
        taken_in(connection, session, plain, {**template, ck.CKA_ID: identity, ck.CKA_LABEL: _LABEL})
    finally:
        connection.keepers.give_back(session)
    connection.settle()
    held = _Held(1, connection.token.serial, identity)
    return KeyMaterial(PROVIDER, msgspec.msgpack.encode(held), plain.public)


def opened(connection: Connection, key: KeyReference) -> int:
    """Return a key's handle. Raises HsmUnavailable where the token no longer has it."""
    handles = _handles(connection, key)
    if not handles:
        raise HsmUnavailable(
            f"the HSM token `{connection.token.label}` no longer holds the key {key.id} "
            f"(module {connection.configuration.module})",
            "Its object was deleted: restore the token's files or its backup.",
        )
    return handles[0]


def destroy(connection: Connection, key: KeyReference) -> None:
    """Destroy a key's object, where it still is."""
    handles = _handles(connection, key)
    session = connection.keepers.borrow()
    try:
        for handle in handles:
            connection.cryptoki.destroy(session, handle)
    finally:
        connection.keepers.give_back(session)


def _handles(connection: Connection, key: KeyReference) -> tuple[int, ...]:
    try:
        held = msgspec.msgpack.decode(key.material.blob, type=_Held)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise HsmError(
            f"what is kept for the key {key.id} is not that key", "Restore the vault from a backup."
        ) from None
    kind = ck.CKO_SECRET_KEY if key.specification.family == "oct" else ck.CKO_PRIVATE_KEY
    session = connection.keepers.borrow()
    try:
        return connection.cryptoki.find(session, {ck.CKA_CLASS: kind, ck.CKA_TOKEN: True, ck.CKA_ID: held.identity})
    finally:
        connection.keepers.give_back(session)
