"""Azure's own client for vaults, unmodified: keys and secrets as resources, made, listed, changed, never read."""

from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient

from tests.e2e.command_line import copied
from tests.server.resource_manager.clients import management
from tests.server.served import READER, SHOP, Served

OWN = "local"


def key(**properties: Any) -> dict[str, Any]:
    return {"properties": {"kty": "EC", "curveName": "P-256"} | properties, "tags": {"a": "b"}}


def test_a_key_is_made_once_and_is_the_data_planes_key(vaults: Any, managed: Served) -> None:
    made = vaults.keys.create_if_not_exist(OWN, SHOP, "Arm", key(keyOps=["sign", "verify"]))
    assert made.name == "Arm"
    assert made.type == "Microsoft.KeyVault/vaults/keys"
    assert made.id.endswith(f"/providers/Microsoft.KeyVault/vaults/{SHOP}/keys/Arm")
    properties = made.properties
    assert (properties.kty, properties.curve_name, properties.key_ops) == ("EC", "P-256", ["sign", "verify"])
    assert properties.key_uri == f"{managed.url()}/keys/Arm"
    assert made.tags == {"a": "b"}
    with KeyClient(managed.url(), managed.credential(), **managed.transport) as keys:
        assert keys.get_key("arm").id == properties.key_uri_with_version
        keys.rotate_key("arm")
    again = vaults.keys.create_if_not_exist(OWN, SHOP, "arm", key(kty="RSA", keySize=2048))
    assert (again.properties.kty, again.tags) == ("EC", {"a": "b"})
    versions = list(vaults.keys.list_versions(OWN, SHOP, "Arm"))
    assert len(versions) == 2
    one = vaults.keys.get_version(OWN, SHOP, "Arm", versions[0].name)
    assert one.properties.key_uri_with_version == f"{managed.url()}/keys/Arm/{versions[0].name}"
    assert vaults.keys.get(OWN, SHOP, "ARM").properties.attributes.enabled
    assert "Arm" in [found.name for found in vaults.keys.list(OWN, SHOP)]


def test_a_keys_rotation_is_set_when_it_is_made(vaults: Any, managed: Served) -> None:
    policy = {
        "attributes": {"expiryTime": "P90D"},
        "lifetimeActions": [{"action": {"type": "rotate"}, "trigger": {"timeAfterCreate": "P30D"}}],
    }
    vaults.keys.create_if_not_exist(OWN, SHOP, "turning", key(rotationPolicy=policy))
    with KeyClient(managed.url(), managed.credential(), **managed.transport) as keys:
        assert keys.get_key_rotation_policy("turning").expires_in == "P90D"


def test_a_secret_is_set_changed_and_never_told(vaults: Any, managed: Served) -> None:
    value = "a value nobody is told here"
    body = {"properties": {"value": value, "contentType": "text/plain"}, "tags": {"a": "b"}}
    made = vaults.secrets.create_or_update(OWN, SHOP, "Arm", body)
    assert made.type == "Microsoft.KeyVault/vaults/secrets"
    assert (made.properties.content_type, made.properties.value) == ("text/plain", None)
    assert made.properties.secret_uri == f"{managed.url()}/secrets/Arm"
    with SecretClient(managed.url(), managed.credential(), **managed.transport) as secrets:
        assert secrets.get_secret("arm").id == made.properties.secret_uri_with_version
        assert secrets.get_secret("arm").value == value
    changed = vaults.secrets.update(OWN, SHOP, "Arm", {"properties": {"attributes": {"enabled": False}}, "tags": {}})
    assert not changed.properties.attributes.enabled
    assert vaults.secrets.get(OWN, SHOP, "Arm").properties.value is None
    listed = {one.name: one for one in vaults.secrets.list(OWN, SHOP)}
    assert listed["Arm"].properties.value is None
    with pytest.raises(HttpResponseError) as refusal:
        vaults.secrets.update(OWN, SHOP, "Arm", {"properties": {"value": value}})
    assert value not in str(refusal.value)
    with pytest.raises(ResourceNotFoundError):
        vaults.secrets.get(OWN, SHOP, "nowhere")


def test_no_file_of_the_server_and_no_line_of_its_log_holds_a_value(owned_vault: Path, tmp_path: Path) -> None:
    value = "canary-4e1f1c55"
    server = Served(copied(owned_vault, tmp_path / "stack"))
    try:
        with management(server, KeyVaultManagementClient) as client:
            client.secrets.create_or_update(OWN, SHOP, "kept", {"properties": {"value": value}})
            for wrong in (
                {"value": value, "attributes": {"exp": value}},
                {"value": value * 3000},
                {"value": [value]},
                {"value": value, "contentType": value * 30},
            ):
                with pytest.raises(HttpResponseError) as refusal:
                    client.secrets.create_or_update(OWN, SHOP, "refused", {"properties": wrong})
                assert value not in str(refusal.value)
        ended = server.stop()
        assert value not in ended.out + ended.err + str(server.lines)
        files = [path for path in server.folder.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert [path for path in files if value.encode() in path.read_bytes()] == []
    finally:
        server.kill()


def test_seeing_a_vault_is_no_right_to_what_is_in_it(managed: Served) -> None:
    with management(managed, KeyVaultManagementClient, READER) as reader:
        assert reader.vaults.get(OWN, SHOP).name == SHOP
        with pytest.raises(HttpResponseError) as refusal:
            reader.secrets.create_or_update(OWN, SHOP, "mine", {"properties": {"value": "v"}})
        assert refusal.value.status_code == 403
        with pytest.raises(HttpResponseError) as refusal:
            reader.keys.create_if_not_exist(OWN, SHOP, "mine", key())
        assert refusal.value.status_code == 403


def test_what_is_in_a_vault_of_another_group_is_not_there(vaults: Any) -> None:
    for listed in (vaults.keys.list, vaults.secrets.list):
        with pytest.raises(ResourceNotFoundError):
            list(listed("elsewhere", SHOP))


@pytest.mark.parametrize(
    "properties",
    [
        {"kty": None},
        {"kty": "DSA"},
        {"curveName": "P-1"},
        {"keyOps": ["dance"]},
        {"attributes": {"exp": 10**30}},
        {"rotationPolicy": {"lifetimeActions": [{"action": {"type": "explode"}}]}},
        {"rotationPolicy": {"attributes": {"expiryTime": "P1D"}}},
        {"release_policy": {"data": "!!"}},
    ],
)
def test_a_key_nobody_can_make_is_not_made(vaults: Any, properties: dict[str, Any]) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        vaults.keys.create_if_not_exist(OWN, SHOP, "never", key(**properties))
    assert refusal.value.status_code == 400
    with pytest.raises(ResourceNotFoundError):
        vaults.keys.get(OWN, SHOP, "never")
