"""The operations on secrets as resources: set, changed and looked at, never read. What is inside a vault takes the
rights to its data, as everywhere."""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from kvstack.server.answer import Answer, answered
from kvstack.server.attributes import GivenAttributes, attributes_of, changed_by, made_with
from kvstack.server.resource_manager.context import VAULTS, Asked, listed, path_of
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.keys import home_of
from kvstack.server.resource_manager.routes import Operation
from kvstack.server.resource_manager.versions import KEY_VAULT
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import NotFound
from kvstack.vault.records import Secret, SecretVersion, Vault


class GivenSecret(msgspec.Struct, frozen=True, rename="camel"):
    """What a client gives of a secret."""

    value: str | None = None
    content_type: str | None = None
    attributes: GivenAttributes | None = None

    def __repr__(self) -> str:
        return "GivenSecret(****)"


class PutSecret(msgspec.Struct, frozen=True):
    """What a client gives to set a secret, or to change one."""

    properties: GivenSecret
    tags: dict[str, str] | None = None

    def __repr__(self) -> str:
        return "PutSecret(****)"


def put_secret(asked: Asked) -> Answer:
    """Secrets_CreateOrUpdate: a new secret, or a new version."""
    given = asked.document(PutSecret)
    wanted, home, name = given.properties, home_of(asked), asked.names["secret"]
    if wanted.value is None:
        raise bad_request("`properties.value` is missing.")
    there = _is_there(asked, home, name)
    made = asked.service.set_secret(
        asked.caller,
        home.name,
        name,
        SecretValue(wanted.value),
        content_type=wanted.content_type or "",
        **made_with(wanted.attributes),
        tags=given.tags,
    )
    return answered(_document(asked, home, made), 200 if there else 201)


def patch_secret(asked: Asked) -> Answer:
    """Secrets_Update: the attributes of the newest version; what is not given stays."""
    given = asked.document(PutSecret)
    wanted, home = given.properties, home_of(asked)
    if wanted.value is not None:
        raise bad_request("`properties.value`: another value is another version, which PUT makes.")
    changed = asked.service.update_secret(
        asked.caller,
        home.name,
        asked.names["secret"],
        content_type=UNSET if wanted.content_type is None else wanted.content_type,
        **changed_by(wanted.attributes),
        tags=UNSET if given.tags is None else given.tags,
    )
    return answered(_document(asked, home, changed))


def get_secret(asked: Asked) -> Answer:
    """Secrets_Get: without its value."""
    home = home_of(asked)
    found = asked.service.get_secret_properties(asked.caller, home.name, asked.names["secret"], newest=True)
    return answered(_document(asked, home, found))


def list_secrets(asked: Asked) -> Answer:
    """Secrets_List."""
    home = home_of(asked)
    found = asked.service.list_secrets(asked.caller, home.name)
    return listed(asked, found, lambda one: one.folded, lambda one: _document(asked, home, one))


def _is_there(asked: Asked, home: Vault, name: str) -> bool:
    """Tell whether a secret is there to whom may know; whether it was made or changed is all that hangs on it."""
    try:
        asked.service.get_secret_properties(asked.caller, home.name, name, newest=True)
    except NotFound:
        return False
    return True


def _document(asked: Asked, home: Vault, one: Secret | SecretVersion) -> dict[str, Any]:
    uri = f"{asked.vault_uri(home)}secrets/{one.name}"
    properties: dict[str, Any] = {
        "attributes": attributes_of(one, home.recovery_level),
        "secretUri": uri,
        "secretUriWithVersion": f"{uri}/{one.version}",
    }
    if one.content_type:
        properties["contentType"] = one.content_type
    return {
        "id": f"{path_of(home, asked.subscription)}/secrets/{one.name}",
        "name": one.name,
        "type": f"{VAULTS}/secrets",
        "location": home.location,
        "tags": dict(one.tags),
        "properties": properties,
    }


_LIST: Final = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}/secrets"
_ONE: Final = f"{_LIST}/{{secret}}"
OPERATIONS: Final = (
    Operation("Secrets_List", "GET", _LIST, list_secrets, KEY_VAULT),
    Operation("Secrets_Get", "GET", _ONE, get_secret, KEY_VAULT),
    Operation("Secrets_CreateOrUpdate", "PUT", _ONE, put_secret, KEY_VAULT),
    Operation("Secrets_Update", "PATCH", _ONE, patch_secret, KEY_VAULT),
)
