"""A backup brings a key or a secret back as it was, for the store that made it and nobody else."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, VaultError
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.vault.service.world import START, World

VAULT = "payments-dev"
EC256 = KeySpecification("EC", None, "P-256")
DIGEST = hashlib.sha256(b"message").digest()
EARLIER: dict[str, Any] = {"enabled": False, "expires": START + timedelta(days=1), "tags": {"a": "1"}}


def made_secret(dev: World) -> None:
    for value in (b"\0\xff\n", b"second"):
        dev.service.set_secret(dev.operator, VAULT, "Pass", SecretValue(value), content_type="x/y", tags={"v": "2"})
    first = dev.service.list_secret_versions(dev.operator, VAULT, "pass")[0]
    dev.service.update_secret(dev.operator, VAULT, "pass", version=first.version, enabled=True, tags={"v": "1"})


def test_a_secret_comes_back_with_every_version_and_its_attributes(dev: World) -> None:
    made_secret(dev)
    before = dev.service.list_secret_versions(dev.operator, VAULT, "pass")
    listed = dev.service.list_secrets(dev.operator, VAULT)
    blob = dev.service.backup_secret(dev.operator, VAULT, "pass")
    assert b"second" not in blob
    dev.service.delete_secret(dev.operator, VAULT, "pass")
    dev.service.purge_secret(dev.operator, VAULT, "pass")
    assert dev.service.restore_secret(dev.operator, VAULT, blob).name == "Pass"
    assert dev.service.list_secret_versions(dev.operator, VAULT, "pass") == before
    assert dev.service.list_secrets(dev.operator, VAULT) == listed
    values = [dev.service.get_secret(dev.operator, VAULT, "pass", version=one.version).value for one in before]
    assert values == [SecretValue(b"\0\xff\n"), SecretValue(b"second")]


def test_in_another_vault_it_has_that_vaults_fingerprints(dev: World) -> None:
    made_secret(dev)
    dev.service.create_vault(dev.operator, "other-dev")
    dev.service.restore_secret(dev.operator, "other-dev", dev.service.backup_secret(dev.operator, VAULT, "pass"))
    (item,) = dev.service.list_secrets(dev.operator, "other-dev")
    expected = dev.service.fingerprint(dev.operator, "other-dev", "pass", SecretValue(b"second"))
    assert (item.vault, item.fingerprint) == ("other-dev", expected)
    assert dev.service.get_secret(dev.operator, "other-dev", "pass").fingerprint == expected


def test_a_key_comes_back_with_every_version_and_its_attributes(dev: World) -> None:
    first = dev.service.create_key(dev.operator, VAULT, "Signing", specification=EC256)
    dev.service.rotate_key(dev.operator, VAULT, "signing")
    signature = dev.service.sign(dev.operator, VAULT, "signing", algorithm="ES256", digest=DIGEST)
    dev.service.update_key(dev.operator, VAULT, "signing", version=first.version, **EARLIER)
    before = dev.service.list_key_versions(dev.operator, VAULT, "signing")
    blob = dev.service.backup_key(dev.operator, VAULT, "signing")
    dev.service.delete_key(dev.operator, VAULT, "signing")
    dev.service.purge_key(dev.operator, VAULT, "signing")
    dev.service.restore_key(dev.operator, VAULT, blob)
    assert dev.service.list_key_versions(dev.operator, VAULT, "signing") == before
    again = dev.service.sign(dev.operator, VAULT, "signing", algorithm="ES256", digest=DIGEST)
    for value in (signature.value, again.value):
        assert dev.service.verify(
            dev.operator, VAULT, "signing", algorithm="ES256", digest=DIGEST, signature=value, version=before[1].version
        )


@pytest.mark.parametrize("deleted", [False, True])
def test_a_backup_is_restored_only_where_its_name_is_free(dev: World, deleted: bool) -> None:
    made_secret(dev)
    dev.service.create_key(dev.operator, VAULT, "pass", specification=EC256)
    secret, key = (
        dev.service.backup_secret(dev.operator, VAULT, "pass"),
        dev.service.backup_key(dev.operator, VAULT, "pass"),
    )
    if deleted:
        dev.service.delete_secret(dev.operator, VAULT, "pass")
        dev.service.delete_key(dev.operator, VAULT, "pass")
    words = "is soft-deleted and keeps its name" if deleted else "restored only where its name is free"
    with pytest.raises(Conflict, match=words):
        dev.service.restore_secret(dev.operator, VAULT, secret)
    with pytest.raises(Conflict, match=words):
        dev.service.restore_key(dev.operator, VAULT, key)


def test_another_store_does_not_open_it(dev: World, tmp_path: Path) -> None:
    made_secret(dev)
    blob = dev.service.backup_secret(dev.operator, VAULT, "pass")
    unlocked = initialise(tmp_path / "other", hsm=False, prepare=initialise_access)
    service = VaultService(unlocked)
    service.create_vault(service.operator, VAULT)
    with pytest.raises(BadParameter, match="does not open"):
        service.restore_secret(service.operator, VAULT, blob)
    unlocked.close()


def test_a_backup_of_a_secret_is_none_of_a_key(dev: World) -> None:
    made_secret(dev)
    with pytest.raises(BadParameter, match="none of a key"):
        dev.service.restore_key(dev.operator, VAULT, dev.service.backup_secret(dev.operator, VAULT, "pass"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_backup_is_refused_and_nothing_is_stored(dev: World, data: st.DataObject) -> None:
    if not dev.service.list_secrets(dev.operator, VAULT):
        made_secret(dev)
        dev.service.create_vault(dev.operator, "empty-dev")
    blob = dev.service.backup_secret(dev.operator, VAULT, "pass")
    place = data.draw(st.integers(0, len(blob) - 1))
    wrong = data.draw(
        st.sampled_from(
            [blob[:place], blob + b"x", blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :], blob[place + 1 :]]
        )
        | st.binary(max_size=200)
    )
    with pytest.raises(VaultError):
        dev.service.restore_secret(dev.operator, "empty-dev", wrong)
    assert not dev.service.list_secrets(dev.operator, "empty-dev")


def test_backup_and_restore_take_their_rights(dev: World) -> None:
    made_secret(dev)
    blob = dev.service.backup_secret(dev.operator, VAULT, "pass")
    dev.service.create_vault(dev.operator, "other-dev")
    reader = dev.person("Key Vault Secrets User")
    with pytest.raises(Forbidden):
        dev.service.backup_secret(reader, VAULT, "pass")
    with pytest.raises(Forbidden):
        dev.service.restore_secret(reader, "other-dev", blob)
    officer = dev.person("Key Vault Secrets Officer")
    dev.service.restore_secret(officer, "other-dev", dev.service.backup_secret(officer, VAULT, "pass"))
    with pytest.raises(NotFound):
        dev.service.backup_secret(officer, VAULT, "nothing")
    with pytest.raises(Forbidden):
        dev.service.backup_key(officer, VAULT, "nothing")
