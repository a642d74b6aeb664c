"""Azure's own client for secrets, unmodified, over real TLS, from a token to the answer."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets import ApiVersion, SecretClient

from tests.server.served import APP, OTHER, READER, SHOP, STRANGER, Served, client_program

V = "api-version=2026-04-01"


def client(served: Served, who: str = APP, vault: str = SHOP, **more: str) -> SecretClient:
    return SecretClient(served.url(vault), served.credential(who), **served.transport, **more)


@pytest.fixture(scope="module")
def secrets(served: Served) -> Iterator[SecretClient]:
    with client(served) as found:
        yield found


def inner(error: HttpResponseError) -> str:
    return str(error.error.innererror["code"]) if error.error and error.error.innererror else ""


def test_a_secret_is_set_and_read_back_with_all_that_belongs_to_it(secrets: SecretClient, served: Served) -> None:
    begins, ends = datetime(2026, 1, 2, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
    made = secrets.set_secret(
        "whole", "välue", content_type="text/plain", tags={"a": "b"}, not_before=begins, expires_on=ends
    )
    got = secrets.get_secret("whole")
    assert got.value == "välue"
    assert got.id == made.id == f"{served.url()}/secrets/whole/{made.properties.version}"
    properties = got.properties
    assert properties.enabled
    assert (properties.content_type, properties.tags) == ("text/plain", {"a": "b"})
    assert (properties.not_before, properties.expires_on) == (begins, ends)
    assert (properties.recovery_level, properties.recoverable_days) == ("Recoverable+Purgeable", 90)
    assert properties.created_on is not None
    assert properties.created_on <= datetime.now(UTC)


def test_names_are_compared_without_case_and_kept_as_they_were_first_written(secrets: SecretClient) -> None:
    secrets.set_secret("MixedCase", "v")
    assert secrets.get_secret("mixedcase").name == "MixedCase"


def test_a_version_stays_readable_when_another_one_follows(secrets: SecretClient) -> None:
    first = secrets.set_secret("versions", "one")
    secrets.set_secret("versions", "two")
    assert secrets.get_secret("versions", first.properties.version).value == "one"
    assert secrets.get_secret("versions").value == "two"
    assert len(list(secrets.list_properties_of_secret_versions("versions"))) == 2
    assert list(secrets.list_properties_of_secret_versions("never-there")) == []


def test_attributes_are_changed_and_what_is_not_given_stays(secrets: SecretClient) -> None:
    secrets.set_secret("changed", "v", tags={"a": "b"}, content_type="text/plain")
    secrets.update_secret_properties("changed", enabled=False)
    with pytest.raises(HttpResponseError) as refusal:
        secrets.get_secret("changed")
    assert (refusal.value.status_code, inner(refusal.value)) == (403, "SecretDisabled")
    properties = secrets.update_secret_properties("changed", enabled=True, content_type="other")
    assert (properties.tags, properties.content_type) == ({"a": "b"}, "other")
    assert secrets.get_secret("changed").value == "v"


def test_a_deleted_secret_is_seen_recovered_and_purged(secrets: SecretClient, served: Served) -> None:
    secrets.set_secret("deleted", "v")
    deleted = secrets.begin_delete_secret("deleted").result()
    assert deleted.recovery_id == f"{served.url()}/deletedsecrets/deleted"
    assert deleted.deleted_date is not None
    assert deleted.scheduled_purge_date is not None
    assert (deleted.scheduled_purge_date - deleted.deleted_date).days == 90
    assert "deleted" in [one.name for one in secrets.list_deleted_secrets()]
    assert secrets.get_deleted_secret("deleted").name == "deleted"
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret("deleted")
    with pytest.raises(ResourceExistsError) as conflict:
        secrets.set_secret("deleted", "again")
    assert inner(conflict.value) == "ObjectIsDeletedButRecoverable"
    secrets.begin_recover_deleted_secret("deleted").wait()
    assert secrets.get_secret("deleted").value == "v"
    secrets.begin_delete_secret("deleted").wait()
    secrets.purge_deleted_secret("deleted")
    with pytest.raises(ResourceNotFoundError):
        secrets.get_deleted_secret("deleted")
    assert secrets.set_secret("deleted", "anew").value == "anew"


def test_a_backup_brings_every_version_back(secrets: SecretClient) -> None:
    first = secrets.set_secret("backed-up", "one")
    secrets.set_secret("backed-up", "two")
    blob = secrets.backup_secret("backed-up")
    with pytest.raises(ResourceExistsError):
        secrets.restore_secret_backup(blob)
    secrets.begin_delete_secret("backed-up").wait()
    secrets.purge_deleted_secret("backed-up")
    assert secrets.restore_secret_backup(blob).name == "backed-up"
    assert secrets.get_secret("backed-up", first.properties.version).value == "one"
    with pytest.raises(HttpResponseError) as refusal:
        secrets.restore_secret_backup(blob[:-1] + b"x")
    assert refusal.value.status_code == 400


def test_a_list_comes_in_pages_and_each_thing_once(secrets: SecretClient) -> None:
    names = [f"paged-{number:02}" for number in range(60)]
    for name in names:
        secrets.set_secret(name, "v")
    pages = [list(page) for page in secrets.list_properties_of_secrets(max_page_size=25).by_page()]
    assert all(len(page) == 25 for page in pages[:-1])
    found = [str(one.name) for page in pages for one in page]
    assert sorted(set(found)) == sorted(found)
    assert set(names) <= set(found)


@pytest.mark.parametrize("version", [one for one in ApiVersion if one.value != "2016-10-01"])
def test_every_version_of_the_api_is_spoken(served: Served, version: ApiVersion) -> None:
    with client(served, api_version=version) as found:
        assert found.get_secret("greeting").value == "hello"


def test_who_may_read_may_not_write_and_is_told_by_azures_codes(served: Served) -> None:
    with client(served, READER) as reader:
        assert reader.get_secret("greeting").value == "hello"
        with pytest.raises(HttpResponseError) as refusal:
            reader.set_secret("greeting", "mine")
    assert (refusal.value.status_code, inner(refusal.value)) == (403, "ForbiddenByRbac")


@pytest.mark.parametrize(("who", "vault"), [(STRANGER, SHOP), (APP, OTHER), (APP, "not-there")])
def test_who_has_no_right_is_told_nothing(served: Served, who: str, vault: str) -> None:
    with client(served, who, vault) as stranger, pytest.raises(HttpResponseError) as refusal:
        stranger.get_secret("greeting")
    assert refusal.value.status_code == 403
    assert "denied" in refusal.value.message


def test_a_wrong_client_secret_is_told_by_the_credential(served: Served) -> None:
    with (
        SecretClient(served.url(), served.credential(APP, "wrong"), **served.transport) as wrong,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        wrong.get_secret("greeting")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_program_that_knows_nothing_of_kvstack_runs_in_the_shells_environment(
    served: Served, asynchronous: bool
) -> None:
    ran = client_program(served, _ASYNC_PROGRAM if asynchronous else _PROGRAM)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "hello\n"


_PROGRAM = """
import os
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

credential = DefaultAzureCredential(disable_instance_discovery=True)
with SecretClient(os.environ["AZURE_KEYVAULT_URL"], credential) as client:
    print(client.get_secret("greeting").value)
"""

_ASYNC_PROGRAM = """
import asyncio, os
from azure.identity.aio import ClientSecretCredential
from azure.keyvault.secrets.aio import SecretClient

async def main():
    credential = ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"],
        disable_instance_discovery=True,
    )
    async with credential, SecretClient(os.environ["AZURE_KEYVAULT_URL"], credential) as client:
        print((await client.get_secret("greeting")).value)

asyncio.run(main())
"""
