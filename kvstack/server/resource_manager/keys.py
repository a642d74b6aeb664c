"""The operations on keys as resources: looked at, and made where there are none. What is inside a vault takes the
rights to its data, as everywhere."""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.attributes import GivenAttributes, attributes_of, exportable_by, made_with
from kvstack.server.data_plane.key_documents import GivenReleasePolicy
from kvstack.server.data_plane.key_rotation import GivenRotationPolicy, policy_of
from kvstack.server.data_plane.keys import operations_of, release_policy_of, specification_of
from kvstack.server.resource_manager.context import MANAGED_HSMS, Asked, listed, path_of
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import KEY_VAULT, MANAGED_HSM
from kvstack.vault.errors import NotFound
from kvstack.vault.pool_settings import KEYS_AS_RESOURCES
from kvstack.vault.records import Key, KeyVersion, Vault


class GivenKey(msgspec.Struct, frozen=True, rename={"key_ops": "keyOps", "key_size": "keySize"}):
    """What a client gives of a key."""

    kty: str | None = None
    key_ops: list[Any] | None = None
    key_size: int | None = None
    curveName: str | None = None  # noqa: N815
    attributes: GivenAttributes | None = None
    rotationPolicy: GivenRotationPolicy | None = None  # noqa: N815
    release_policy: GivenReleasePolicy | None = None


class PutKey(msgspec.Struct, frozen=True):
    """What a client gives to have a key be there."""

    properties: GivenKey
    tags: dict[str, str] | None = None


def create_key(asked: Asked) -> Answer:
    """Keys_CreateIfNotExist, ManagedHsmKeys_CreateIfNotExist: one that is there stays as it is."""
    given = asked.document(PutKey)
    home = home_of(asked)
    key = asked.names["key"]
    try:
        found = asked.service.get_key(asked.caller, home.name, key, newest=True)
    except NotFound:
        found = _made(asked, home, key, given)
    return answered(_document(asked, home, found))


def get_key(asked: Asked) -> Answer:
    """Keys_Get, ManagedHsmKeys_Get: the newest version."""
    home = home_of(asked)
    found = asked.service.get_key(asked.caller, home.name, asked.names["key"], newest=True)
    return answered(_document(asked, home, found))


def list_keys(asked: Asked) -> Answer:
    """Keys_List, ManagedHsmKeys_List."""
    home = home_of(asked)
    found = asked.service.list_keys(asked.caller, home.name)
    return listed(asked, found, lambda one: one.folded, lambda one: _document(asked, home, one))


def get_key_version(asked: Asked) -> Answer:
    """Keys_GetVersion, ManagedHsmKeys_GetVersion."""
    home = home_of(asked)
    found = asked.service.get_key(asked.caller, home.name, asked.names["key"], version=asked.names["version"].lower())
    return answered(_version(asked, home, found))


def list_key_versions(asked: Asked) -> Answer:
    """Keys_ListVersions, ManagedHsmKeys_ListVersions."""
    home = home_of(asked)
    found = asked.service.list_key_versions(asked.caller, home.name, asked.names["key"])
    return listed(asked, found, lambda one: one.version, lambda one: _version(asked, home, one))


def home_of(asked: Asked) -> Vault:
    """Return the vault or Managed HSM of the path, which has to be in the path's group. Raises Refusal for a Managed
    HSM that keeps its keys to itself."""
    if "/managedhsms/" in "/".join(asked.request.path).lower():
        found = asked.service.get_managed_hsm(asked.caller, asked.name, resource_group=asked.group)
        if found.pool is not None and found.pool.activated is not None and not found.pool.keys_as_resources:
            words = f"Keys of the Managed HSM '{found.name}' are not there for resource manager: its setting "
            words += f"{KEYS_AS_RESOURCES} is false. An administrator inside it may change that."
            raise Refusal(refused(403, "KeyManagementNotAllowed", words))
        return found
    return asked.service.get_vault(asked.caller, asked.name, resource_group=asked.group)


def _made(asked: Asked, home: Vault, key: str, given: PutKey) -> KeyVersion:
    wanted = given.properties
    if wanted.kty is None:
        raise bad_request("`properties.kty` is missing.")
    rotation = wanted.rotationPolicy
    return asked.service.create_key(
        asked.caller,
        home.name,
        key,
        specification=specification_of(wanted.kty, wanted.key_size, wanted.curveName),
        operations=operations_of(wanted.key_ops),
        **made_with(wanted.attributes),
        tags=given.tags,
        rotation=UNSET if rotation is None else policy_of(rotation),
        exportable=exportable_by(wanted.attributes),
        release_policy=release_policy_of(wanted.release_policy),
        only_if_absent=True,
    )


def _document(asked: Asked, home: Vault, one: Key | KeyVersion) -> dict[str, Any]:
    specification, uri = one.specification, f"{asked.vault_uri(home)}keys/{one.name}"
    properties: dict[str, Any] = {
        "attributes": attributes_of(one, home.recovery_level),
        "kty": specification.type,
        "keyOps": sorted(one.operations),
        "keyUri": uri,
        "keyUriWithVersion": f"{uri}/{one.version}",
    }
    if specification.size is not None:
        properties["keySize"] = specification.size
    if specification.curve is not None:
        properties["curveName"] = specification.curve
    document = {
        "id": f"{path_of(home, asked.subscription)}/keys/{one.name}",
        "name": one.name,
        "type": f"{_kind(home)}/keys",
        "tags": dict(one.tags),
        "properties": properties,
    }
    return document if home.pool is not None else document | {"location": home.location}


def _version(asked: Asked, home: Vault, one: KeyVersion) -> dict[str, Any]:
    document = _document(asked, home, one)
    return document | {
        "id": f"{document['id']}/versions/{one.version}",
        "name": one.version,
        "type": f"{_kind(home)}/keys/versions",
    }


def _kind(home: Vault) -> str:
    return "Microsoft.KeyVault/vaults" if home.pool is None else MANAGED_HSMS


def _operations(prefix: str, collection: str, versions: tuple[str, ...]) -> tuple[Operation, ...]:
    keys = (
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault"
        f"/{collection}/{{name}}/keys"
    )
    one = f"{keys}/{{key}}"
    return (
        Operation(f"{prefix}_List", "GET", keys, list_keys, versions),
        Operation(f"{prefix}_Get", "GET", one, get_key, versions),
        Operation(f"{prefix}_CreateIfNotExist", "PUT", one, create_key, versions),
        Operation(f"{prefix}_ListVersions", "GET", f"{one}/versions", list_key_versions, versions),
        Operation(f"{prefix}_GetVersion", "GET", f"{one}/versions/{{version}}", get_key_version, versions),
    )


OPERATIONS: Final = (
    *_operations("Keys", "vaults", KEY_VAULT),
    *_operations("ManagedHsmKeys", "managedHSMs", MANAGED_HSM),
)
