"""Azure's own clients for what is inside a Managed HSM, unmodified: its security domain, roles, settings, backups."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.administration import (
    KeyVaultAccessControlClient,
    KeyVaultBackupClient,
    KeyVaultDataAction,
    KeyVaultPermission,
    KeyVaultRoleScope,
    KeyVaultSettingsClient,
)
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.securitydomain import SecurityDomainClient
from azure.keyvault.securitydomain.models import SecurityDomain

from tests.e2e.command_line import begun, ended, without_defects
from tests.server.data_plane.hsms import (
    CONTAINER,
    ELSEWHERE,
    NAMES,
    ROLES,
    TREASURY,
    client,
    custodian,
    host,
    hsm_token,
    url,
    wanted,
)
from tests.server.served import APP, READER, STRANGER, Served

V = "api-version=2025-07-01"
SAS = {"sas_token": "sv=2026&sig=CANARY-of-a-storage-account"}


@pytest.fixture(scope="module")
def access(active: Served) -> Iterator[Any]:
    with client(KeyVaultAccessControlClient, active) as found:
        yield found


@pytest.fixture(scope="module")
def settings(active: Served) -> Iterator[Any]:
    with client(KeyVaultSettingsClient, active) as found:
        yield found


@pytest.fixture(scope="module")
def keeper(active: Served) -> Iterator[Any]:
    with client(KeyVaultBackupClient, active) as found:
        yield found


def test_it_is_of_no_use_before_its_security_domain_was_downloaded(two: Served) -> None:
    with client(SecurityDomainClient, two, ELSEWHERE) as domains:
        assert domains.get_download_status().status == "InProgress"
        assert domains.get_upload_status().status == "InProgress"
    with client(KeyClient, two, ELSEWHERE) as idle, pytest.raises(HttpResponseError) as refusal:
        idle.create_key("k", "EC-HSM")
    assert refusal.value.status_code == 403
    assert "not activated" in str(refusal.value)


def test_the_download_activates_it_and_gives_the_same_again(two: Served, domain: str) -> None:
    with client(SecurityDomainClient, two, polling_interval=0) as domains:
        assert domains.get_download_status().status == "Success"
        assert str(domains.begin_download(wanted(*NAMES)).result().value) == domain
        with pytest.raises(HttpResponseError) as refusal:
            domains.begin_download(wanted("dave", "erin", "frank"))
        assert refusal.value.status_code == 409


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"certificates": []}, "custodians"),
        ({"certificates": [{"x5c": []}] * 3}, "x5c"),
        ({"certificates": [{"x5c": ["AAAA"]}] * 3}, "x5c"),
        ({"certificates": [{"x5c": ["é"]}] * 3}, "x5c"),
        ({"certificates": [custodian(name).jwk | {"n": "AQAB"} for name in NAMES]}, "another key"),
        ({"certificates": [custodian("alice").jwk] * 3}, "same key"),
        ({"required": 1}, "quorum"),
        ({"required": 4}, "quorum"),
        ({"required": None}, "required"),
        ({"certificates": [custodian("alice").jwk] * 11}, "at most 10"),
    ],
)
def test_custodians_who_are_none_activate_nothing(two: Served, changed: dict[str, Any], words: str) -> None:
    body = {"certificates": [custodian(name).jwk for name in NAMES], "required": 2} | changed
    answer = two.ask(
        "POST",
        f"/securitydomain/download?{V}",
        host=host(two, ELSEWHERE),
        token=hsm_token(two),
        json_body={name: value for name, value in body.items() if value is not None},
    )
    assert (answer.status, answer.code) == (400, "BadParameter"), answer
    assert words in answer.json["error"]["message"]


def test_a_role_is_given_looked_at_and_taken_away(access: Any) -> None:
    name = uuid.uuid4()
    role = f"Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/{ROLES['Managed HSM Crypto Auditor']}"
    made = access.create_role_assignment(KeyVaultRoleScope.KEYS, role, STRANGER, name=name)
    assert (made.name, made.type) == (str(name), "Microsoft.Authorization/roleAssignments")
    assert made.role_assignment_id == f"/keys/providers/Microsoft.Authorization/roleAssignments/{name}"
    assert (made.properties.scope, made.properties.principal_id, made.properties.role_definition_id) == (
        "/keys", STRANGER, role
    )  # fmt: skip
    assert access.get_role_assignment("/keys", name).role_assignment_id == made.role_assignment_id
    with pytest.raises(ResourceExistsError) as again:
        access.create_role_assignment("/keys", role, STRANGER)
    assert again.value.error is not None
    assert again.value.error.code == "RoleAssignmentExists"
    # It is at its scope and at no other.
    for scope in ("/", "/keys/other"):
        with pytest.raises(ResourceNotFoundError):
            access.get_role_assignment(scope, name)
        access.delete_role_assignment(scope, name)
    assert str(name) in {one.name for one in access.list_role_assignments("/")}
    access.delete_role_assignment("/keys", name)
    access.delete_role_assignment("/keys", name)
    with pytest.raises(ResourceNotFoundError):
        access.get_role_assignment("/keys", name)


def test_assignments_are_listed_at_above_and_below_a_scope_page_by_page(active: Served, access: Any) -> None:
    made = [
        access.create_role_assignment(f"/keys/key-{at}", ROLES["Managed HSM Crypto User"], STRANGER) for at in range(30)
    ]
    there = {one.name for one in access.list_role_assignments("/")}
    assert {one.name for one in made} < there
    assert {one.properties.scope for one in access.list_role_assignments("/keys/key-7")} == {"/", "/keys/key-7"}
    token = hsm_token(active)
    path = f"/providers/Microsoft.Authorization/roleAssignments?{V}&$filter="
    found = active.ask("GET", f"{path}atScope()", host=host(active), token=token).json["value"]
    assert {one["properties"]["scope"] for one in found} == {"/"}
    pages = 0
    names, following = set(), f"{path}principalId%20eq%20'{STRANGER}'&maxresults=7"
    while following:
        answer = active.ask("GET", following, host=host(active), token=token)
        names |= {one["name"] for one in answer.json["value"]}
        following = (answer.json.get("nextLink") or "").removeprefix(url(active))
        pages += 1
    assert (names, pages) == ({one.name for one in made}, 5)
    for one in made:
        access.delete_role_assignment(one.properties.scope, one.name)
    assert active.ask("GET", f"{path}x", host=host(active), token=token).code == "InvalidFilter"


def test_a_role_of_its_own_is_defined_changed_and_removed(access: Any) -> None:
    signs = KeyVaultPermission(data_actions=[KeyVaultDataAction.SIGN_HSM_KEY])
    made = access.set_role_definition("/", role_name="Signer", description="Signs.", permissions=[signs])
    assert (made.role_name, made.role_type, made.assignable_scopes) == ("Signer", "CustomRole", ["/"])
    assert made.permissions[0].data_actions == ["Microsoft.KeyVault/managedHsm/keys/sign/action"]
    changed = access.set_role_definition(
        "/",
        name=made.name,
        role_name="Signer",
        permissions=[KeyVaultPermission(data_actions=signs.data_actions, not_data_actions=["*/verify/action"])],
    )
    assert changed.permissions[0].not_data_actions == ["*/verify/action"]
    assert access.get_role_definition("/", made.name).id == made.id
    roles = {one.role_name: one.role_type for one in access.list_role_definitions("/")}
    assert roles == dict.fromkeys(ROLES, "AKVBuiltInRole") | {"Signer": "CustomRole"}
    given = access.create_role_assignment("/keys/signing", made.id, STRANGER)
    with pytest.raises(ResourceExistsError):
        access.delete_role_definition("/", made.name)
    access.delete_role_assignment("/keys/signing", given.name)
    access.delete_role_definition("/", made.name)
    access.delete_role_definition("/", made.name)
    with pytest.raises(ResourceNotFoundError):
        access.get_role_definition("/", made.name)
    with pytest.raises(HttpResponseError):
        access.delete_role_definition("/", ROLES["Managed HSM Administrator"])


def test_its_last_administrator_cannot_be_taken_away(access: Any) -> None:
    (own,) = (
        one
        for one in access.list_role_assignments("/")
        if one.properties.role_definition_id.endswith(ROLES["Managed HSM Administrator"])
    )
    with pytest.raises(HttpResponseError) as refusal:
        access.delete_role_assignment("/", own.name)
    assert refusal.value.status_code == 403


def test_who_has_no_role_inside_can_do_nothing(active: Served) -> None:
    for kind, deed in (
        (KeyVaultAccessControlClient, lambda it: list(it.list_role_assignments("/"))),
        (KeyVaultAccessControlClient, lambda it: it.create_role_assignment("/", ROLES["Managed HSM Backup"], READER)),
        (KeyVaultSettingsClient, lambda it: it.get_setting("AllowKeyManagementOperationsThroughARM")),
        (KeyVaultBackupClient, lambda it: it.begin_backup(CONTAINER, **SAS)),
        (KeyVaultBackupClient, lambda it: it.begin_restore(f"{CONTAINER}/mhsm-x", **SAS)),
        (KeyVaultBackupClient, lambda it: it.begin_backup("https://nobody.named.it/c", **SAS)),
        (SecurityDomainClient, lambda it: it.begin_download(wanted(*NAMES))),
        (SecurityDomainClient, lambda it: it.get_transfer_key()),
        (SecurityDomainClient, lambda it: it.begin_upload(SecurityDomain(value="x"))),
        (SecurityDomainClient, lambda it: it.get_download_status()),
    ):
        with client(kind, active, who=READER) as stranger, pytest.raises(HttpResponseError) as refusal:
            deed(stranger)
        assert refusal.value.status_code == 403, deed


def test_the_setting_lets_keys_be_there_for_resource_manager(active: Served, settings: Any, keys: Any) -> None:
    name = "AllowKeyManagementOperationsThroughARM"
    keys.create_key("managed", "EC-HSM")
    path = (
        f"/subscriptions/{active.subscription}/resourceGroups/local/providers/Microsoft.KeyVault"
        f"/managedHSMs/{TREASURY}/keys?api-version=2026-02-01"
    )

    def asked() -> Any:
        return active.ask("GET", path, host=active.management, token=active.management_token())

    (there,) = settings.list_settings()
    assert (there.name, there.getboolean()) == (name, False)
    assert (asked().status, asked().code) == (403, "KeyManagementNotAllowed")
    setting = settings.get_setting(name)
    setting.value = "true"
    assert settings.update_setting(setting).getboolean() is True
    assert settings.get_setting(name.lower()).getboolean() is True
    assert "managed" in {one["name"] for one in asked().json["value"]}
    setting.value = "perhaps"
    with pytest.raises(HttpResponseError) as refusal:
        settings.update_setting(setting)
    assert refusal.value.status_code == 400
    with pytest.raises(ResourceNotFoundError):
        settings.get_setting("other")


def test_a_backup_is_made_checked_and_restored_in_full_and_by_key(
    active: Served, keeper: Any, keys: Any, backups: Path
) -> None:
    made = keys.create_key("kept", "EC-HSM")
    keeper.begin_pre_backup(CONTAINER, **SAS).wait()
    poller = keeper.begin_backup(CONTAINER, **SAS)
    folder = poller.result().folder_url
    assert folder.startswith(f"{CONTAINER}/mhsm-{TREASURY}-")
    (kept,) = backups.glob("*/*")
    assert folder.endswith(kept.parent.name)
    assert kept.stat().st_mode & 0o077 == 0
    assert b"CANARY" not in kept.read_bytes()
    # A poller can be taken up by another program.
    again = keeper.begin_backup(CONTAINER, **SAS, continuation_token=poller.continuation_token())
    assert again.status() == "Succeeded"

    keys.begin_delete_key("kept", _polling_interval=0).result()
    keys.purge_deleted_key("kept")
    keeper.begin_restore(folder, **SAS, key_name="kept").wait()
    assert keys.get_key("kept").id == made.id
    with pytest.raises(ResourceExistsError):
        keeper.begin_restore(folder, **SAS, key_name="kept")
    with pytest.raises(ResourceNotFoundError):
        keeper.begin_restore(folder, **SAS, key_name="absent")

    keys.create_key("later", "EC-HSM")
    keeper.begin_pre_restore(folder, use_managed_identity=True).wait()
    assert keys.get_key("later")
    restored = keeper.begin_restore(folder, use_managed_identity=True)
    assert restored.result() is None
    with pytest.raises(ResourceNotFoundError):
        keys.get_key("later")
    assert keys.get_cryptography_client("kept").sign(SignatureAlgorithm.es256, b"d" * 32).signature


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.blob.core.windows.net/hsm",
        "https://169.254.169.254/latest",
        "https://backups.blob.core.windows.net/hsm/..",
        "https://backups.blob.core.windows.net/other",
        "file:///etc/passwd",
        "/etc",
        "",
    ],
)
def test_nothing_is_kept_where_the_operator_named_no_folder(active: Served, address: str) -> None:
    body = {"storageResourceUri": address, "token": SAS["sas_token"], "useManagedIdentity": False}
    for path in ("backup", "prebackup"):
        answer = active.ask("POST", f"/{path}?{V}", host=host(active), token=hsm_token(active), json_body=body)
        assert (answer.status, answer.code) == (400, "BadParameter")
        assert b"CANARY" not in answer.body


@pytest.mark.parametrize("folder", ["..", "../..", "mhsm-x/../..", ".", "", "mhsm-absent", "/etc/passwd", "mhsm-x\0"])
def test_no_folder_leads_out_of_the_container(active: Served, folder: str) -> None:
    storage = {"storageResourceUri": CONTAINER, "token": "t"}
    for path, name in (("restore", "folderToRestore"), ("prerestore", "folderToRestore"), ("keys/k/restore", "folder")):
        answer = active.ask(
            "PUT",
            f"/{path}?{V}",
            host=host(active),
            token=hsm_token(active),
            json_body={"sasTokenParameters": storage, name: folder},
        )
        assert (answer.status, answer.code) == (404, "BackupNotFound"), answer


def test_a_job_that_never_was_has_no_status(active: Served) -> None:
    for path in ("backup/0123/pending", "restore/0123/pending"):
        answer = active.ask("GET", f"/{path}?{V}", host=host(active), token=hsm_token(active))
        assert (answer.status, answer.code) == (404, "JobNotFound")


def test_a_backup_without_a_token_of_either_kind_is_refused(active: Served) -> None:
    answer = active.ask(
        "POST",
        f"/backup?{V}",
        host=host(active),
        token=hsm_token(active),
        json_body={"storageResourceUri": CONTAINER},
    )
    assert (answer.status, answer.code) == (400, "BadParameter")


def prepared(folder: Path, domain: str, transfer_key: dict[str, Any]) -> str:
    """What two custodians make of the security domain, far from the Managed HSM, for its transfer key."""
    (folder / "domain").write_text(domain)
    (folder / "transfer-key").write_text(json.dumps(transfer_key))
    for name in ("alice", "bob"):
        (folder / name).write_bytes(custodian(name).private)
    named = {"file": "domain", "transfer-key": "transfer-key", "out": "prepared"}
    files = [word for option, file in named.items() for word in (f"--{option}", str(folder / file))]
    keys = [word for name in ("alice", "bob") for word in ("--custodian-key", str(folder / name))]
    ran = without_defects(ended(begun(folder, "hsm", "security-domain", "prepare", *files, *keys)))
    assert ran.code == 0, ran
    return (folder / "prepared").read_text()


def test_another_one_takes_the_security_domain_and_the_backup(
    active: Served, domain: str, keeper: Any, keys: Any, tmp_path: Path
) -> None:
    signed = keys.create_key("travels", "EC-HSM")
    folder = keeper.begin_backup(CONTAINER, **SAS).result().folder_url
    with client(SecurityDomainClient, active, ELSEWHERE, polling_interval=0) as domains:
        transfer = domains.get_transfer_key().transfer_key
        assert (transfer.kty, transfer.alg) == ("RSA", "RSA-OAEP-256")
        value = prepared(tmp_path, domain, transfer.as_dict())
        with pytest.raises(HttpResponseError) as refusal:
            domains.begin_upload(SecurityDomain(value=value.replace('"shares":[', '"shares":[' + "x")))
        assert refusal.value.status_code == 400
        domains.begin_upload(SecurityDomain(value=value)).wait()
        assert domains.get_upload_status().status == "Success"
        # What was sent opens nothing a second time.
        with pytest.raises(HttpResponseError) as spent:
            domains.begin_upload(SecurityDomain(value=value))
        assert spent.value.status_code == 400
    with client(KeyVaultBackupClient, active, ELSEWHERE) as other:
        other.begin_restore(folder, **SAS).wait()
    with client(KeyClient, active, ELSEWHERE) as there:
        found = there.get_key("travels")
        assert (found.key.x, found.properties.version) == (signed.key.x, signed.properties.version)


def test_a_token_for_vaults_opens_no_managed_hsm_and_the_other_way_round(active: Served) -> None:
    for_vaults, for_hsms = active.token(), hsm_token(active)
    for path in ("/keys", "/settings", "/providers/Microsoft.Authorization/roleAssignments", "/securitydomain/upload"):
        answer = active.ask("GET", f"{path}?{V}", host=host(active), token=for_vaults)
        assert (answer.status, answer.code) == (401, "Unauthorized")
        assert f'resource="https://managedhsm.localhost:{active.port}"' in answer.headers["www-authenticate"]
    assert active.ask("GET", f"/keys?{V}", token=for_hsms).status == 401
    assert active.ask("GET", f"/keys?{V}", host=host(active), token=for_hsms).status == 200


def test_a_vault_has_none_of_these_operations_and_a_managed_hsm_no_secrets(active: Served) -> None:
    for path in ("/settings", "/providers/Microsoft.Authorization/roleAssignments", "/securitydomain/upload"):
        assert active.ask("GET", f"{path}?{V}", token=active.token()).status == 404
    assert active.ask("GET", f"/secrets/x?{V}", host=host(active), token=hsm_token(active)).status == 400


def test_what_a_storage_account_is_opened_by_stands_nowhere(active: Served) -> None:
    assert not any("CANARY" in str(line) for line in active.lines)
    for path in active.folder.rglob("*"):
        if path.is_file():
            assert b"CANARY-of-a-storage" not in path.read_bytes(), path


def test_the_asynchronous_clients_do_the_same(active: Served) -> None:
    asyncio.run(_asynchronous(active))


async def _asynchronous(active: Served) -> None:
    from azure.identity.aio import ClientSecretCredential
    from azure.keyvault.administration.aio import (
        KeyVaultAccessControlClient,
        KeyVaultBackupClient,
        KeyVaultSettingsClient,
    )
    from azure.keyvault.securitydomain.aio import SecurityDomainClient

    how = active.transport
    credential = ClientSecretCredential(
        active.tenant,
        APP,
        active.secret(),
        authority=f"https://{active.login}",
        disable_instance_discovery=True,
        **how,
    )
    async with credential:
        async with KeyVaultAccessControlClient(url(active), credential, **how) as access:
            made: Any = await access.create_role_assignment("/keys", ROLES["Managed HSM Crypto User"], READER)
            found = [one.name async for one in access.list_role_assignments("/keys")]
            assert made.name in found
            await access.delete_role_assignment("/keys", made.name)
            assert len([one async for one in access.list_role_definitions("/")]) >= len(ROLES)
        async with KeyVaultSettingsClient(url(active), credential, **how) as settings:
            assert [one.name async for one in settings.list_settings()]
        async with KeyVaultBackupClient(url(active), credential, **how) as keeper:
            poller = await keeper.begin_backup(CONTAINER, **SAS)
            folder = str((await poller.result()).folder_url)
            await (await keeper.begin_pre_restore(folder, **SAS)).wait()
            await (await keeper.begin_restore(folder, **SAS)).wait()
        async with SecurityDomainClient(url(active), credential, **how) as domains:
            assert (await domains.get_download_status()).status == "Success"
