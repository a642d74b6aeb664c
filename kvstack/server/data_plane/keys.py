"""The operations on keys, using them aside, in Azure's words. Source: azure/openapi/data-plane, keys.json."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.hsm.jwk import plain_key_of_jwk
from kvstack.hsm.protocol import InputUnfit
from kvstack.server.answer import NOTHING, Answer, Refusal, answered, bad_parameter
from kvstack.server.attributes import GivenAttributes, changed_by, exportable_by, made_with
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked, Backup, bytes_of, item_page, page, place, text_of
from kvstack.server.data_plane.key_documents import GivenReleasePolicy, bundle, item, version_item, whole
from kvstack.terms import key as key_terms
from kvstack.terms import release_policy as release_terms
from kvstack.terms.key import CURVES, KEY_TYPES, KeySpecification
from kvstack.terms.key import OPERATIONS as KEY_OPERATIONS
from kvstack.terms.key import Operation as KeyOperation
from kvstack.terms.release_policy import ReleasePolicy

_EXPONENT: Final = 65537
# What it was called before there was a name for it.
_OLD_CURVES: Final = {"SECP256K1": "P-256K"}


class CreateKey(msgspec.Struct, frozen=True):
    """What a client gives to make a key."""

    kty: str
    key_size: int | None = None
    public_exponent: int | None = None
    key_ops: list[str] | None = None
    crv: str | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None
    release_policy: GivenReleasePolicy | None = None


class ImportKey(msgspec.Struct, frozen=True, rename={"hsm": "Hsm"}):
    """What a client gives to have a key taken in. key: with its private half."""

    key: dict[str, Any]
    hsm: bool | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None
    release_policy: GivenReleasePolicy | None = None

    def __repr__(self) -> str:
        return "ImportKey(****)"


class UpdateKey(msgspec.Struct, frozen=True):
    """What a client gives to change a version's attributes."""

    key_ops: list[str] | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None
    release_policy: GivenReleasePolicy | None = None


def create_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """CreateKey: a new key, or a new version."""
    given = asked.request.document(CreateKey)
    # Java's client says 0 where nothing was said to it.
    if given.public_exponent not in (None, 0, _EXPONENT):
        raise bad_parameter(f"`public_exponent` is {_EXPONENT}, the only one there is.")
    made = asked.service.create_key(
        asked.caller,
        asked.vault,
        names[0],
        specification=specification_of(given.kty, given.key_size, given.crv),
        operations=operations_of(given.key_ops),
        **made_with(given.attributes),
        tags=given.tags,
        exportable=exportable_by(given.attributes),
        release_policy=release_policy_of(given.release_policy),
    )
    return answered(bundle(asked, made))


def import_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """ImportKey: a key that was made elsewhere."""
    given = asked.request.document(ImportKey)
    jwk = {name: value for name, value in given.key.items() if value is not None}
    if "key_hsm" in jwk:
        raise bad_parameter("`key_hsm`: keys encrypted for an HSM of Azure's cannot be opened here.")
    kty = str(jwk.get("kty", ""))
    in_hsm = bool(given.hsm) or kty.endswith("-HSM")
    listed = jwk.pop("key_ops", None)
    operations = operations_of(listed) if isinstance(listed, list) else None
    try:
        plain = plain_key_of_jwk(msgspec.json.encode(jwk | {"kty": kty.removesuffix("-HSM")}))
    except InputUnfit as error:
        raise bad_parameter(f"`key`: {error.diagnostics[0].summary}.") from None
    with plain:
        made = asked.service.import_key(
            asked.caller,
            asked.vault,
            names[0],
            plain,
            in_hsm=in_hsm,
            operations=operations,
            **made_with(given.attributes),
            tags=given.tags,
            exportable=exportable_by(given.attributes),
            release_policy=release_policy_of(given.release_policy),
        )
    return answered(bundle(asked, made))


def rotate_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RotateKey: a new version, by the key's policy."""
    return answered(bundle(asked, asked.service.rotate_key(asked.caller, asked.vault, names[0])))


def get_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetKey: its public half."""
    name, version = place(names)
    return answered(bundle(asked, asked.service.get_key(asked.caller, asked.vault, name, version=version)))


def update_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateKey: the attributes of a version; what is not given stays."""
    name, version = place(names)
    given = asked.request.document(UpdateKey)
    policy = release_policy_of(given.release_policy)
    changed = asked.service.update_key(
        asked.caller,
        asked.vault,
        name,
        version=version,
        operations=UNSET if (wanted := operations_of(given.key_ops)) is None else wanted,
        **changed_by(given.attributes),
        tags=UNSET if given.tags is None else given.tags,
        release_policy=policy,
    )
    return answered(bundle(asked, changed))


def get_keys(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetKeys: a page of those that are alive."""
    return item_page(asked, "keys", lambda one: item(asked, one), "/keys")


def get_key_versions(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetKeyVersions: a page of a key's versions; of none there is an empty one."""
    found = asked.service.list_key_versions(asked.caller, asked.vault, names[0])
    ordered = sorted(found, key=lambda one: one.version)
    return page(
        asked, ordered, lambda one: one.version, lambda one: version_item(asked, one), f"/keys/{names[0]}/versions"
    )


def delete_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """DeleteKey: it can be recovered."""
    return answered(whole(asked, asked.service.delete_key(asked.caller, asked.vault, names[0])))


def get_deleted_keys(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetDeletedKeys: a page of those that can be recovered."""
    return item_page(asked, "keys", lambda one: item(asked, one), "/deletedkeys", deleted=True)


def get_deleted_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetDeletedKey."""
    return answered(whole(asked, asked.service.get_deleted_key(asked.caller, asked.vault, names[0])))


def recover_deleted_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RecoverDeletedKey."""
    return answered(whole(asked, asked.service.recover_key(asked.caller, asked.vault, names[0])))


def purge_deleted_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """PurgeDeletedKey: gone for good, with what it encrypted."""
    asked.service.purge_key(asked.caller, asked.vault, names[0])
    return NOTHING


def backup_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """BackupKey."""
    return answered({"value": text_of(asked.service.backup_key(asked.caller, asked.vault, names[0]))})


def restore_key(asked: Asked, _: tuple[str, ...]) -> Answer:
    """RestoreKey."""
    blob = bytes_of("value", asked.request.document(Backup).value)
    return answered(whole(asked, asked.service.restore_key(asked.caller, asked.vault, blob)))


def specification_of(kty: str, size: int | None, curve: str | None) -> KeySpecification:
    """Return what a key is to be. Raises Refusal."""
    if kty not in KEY_TYPES:
        raise bad_parameter(f"`kty` is one of {', '.join(KEY_TYPES)}.")
    curve = _OLD_CURVES.get(curve or "", curve)
    if curve is not None and curve not in CURVES:
        raise bad_parameter(f"The curve is one of {', '.join(CURVES)}.")
    return key_terms.specification(kty, size, curve)


def operations_of(given: list[Any] | None) -> frozenset[KeyOperation] | None:
    """Return what a key may be used for, None where it was not told. Raises Refusal."""
    if given is None:
        return None
    if not all(one in KEY_OPERATIONS for one in given):
        raise bad_parameter(f"`key_ops` are some of {', '.join(KEY_OPERATIONS)}.")
    return frozenset(given)


def release_policy_of(given: GivenReleasePolicy | None) -> ReleasePolicy | UnsetType:
    """Return a release policy as the vault has it. Raises Refusal."""
    if given is None or given.data is None:
        return UNSET
    data = bytes_of("release_policy.data", given.data)
    try:
        release_terms.rules(data)
    except ValueError as error:
        raise _unfit_policy(error) from None
    return ReleasePolicy(data, bool(given.immutable), given.contentType or release_terms.CONTENT_TYPE)


def _unfit_policy(error: ValueError) -> Refusal:
    return bad_parameter(f"`release_policy.data`: {error}.")


OPERATIONS: Final = (
    Operation("CreateKey", "POST", ("keys", "{}", "create"), create_key, lane="working"),
    Operation("ImportKey", "PUT", ("keys", "{}"), import_key, lane="working"),
    Operation("RotateKey", "POST", ("keys", "{}", "rotate"), rotate_key, since="7.3", lane="working"),
    Operation("GetKey", "GET", ("keys", "{}"), get_key, lane="reading"),
    Operation("GetKey", "GET", ("keys", "{}", "{}"), get_key, lane="reading"),
    Operation("UpdateKey", "PATCH", ("keys", "{}"), update_key),
    Operation("UpdateKey", "PATCH", ("keys", "{}", "{}"), update_key),
    Operation("GetKeys", "GET", ("keys",), get_keys, lane="reading"),
    Operation("GetKeyVersions", "GET", ("keys", "{}", "versions"), get_key_versions, lane="reading"),
    Operation("DeleteKey", "DELETE", ("keys", "{}"), delete_key),
    Operation("BackupKey", "POST", ("keys", "{}", "backup"), backup_key, lane="working"),
    Operation("RestoreKey", "POST", ("keys", "restore"), restore_key, lane="working"),
    Operation("GetDeletedKeys", "GET", ("deletedkeys",), get_deleted_keys, lane="reading"),
    Operation("GetDeletedKey", "GET", ("deletedkeys", "{}"), get_deleted_key, lane="reading"),
    Operation("RecoverDeletedKey", "POST", ("deletedkeys", "{}", "recover"), recover_deleted_key),
    Operation("PurgeDeletedKey", "DELETE", ("deletedkeys", "{}"), purge_deleted_key),
)
