"""Managed HSMs outside their store: full backup and restore, one key, a lost one's security domain in a new one."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import HsmError
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.service import VaultService
from tests.vault.service.pools import DIGEST, EC_HSM, OCT_HSM, POOL, RSA_HSM, PoolWorld, audited, custodians, keys_of

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path / "store")
    yield made
    made.unlocked.close()


def _content(service: VaultService, world: PoolWorld) -> tuple[object, ...]:
    operator = world.operator
    return (
        service.list_keys(operator, POOL),
        service.list_deleted_keys(operator, POOL),
        tuple(service.list_key_versions(operator, POOL, key.name) for key in service.list_keys(operator, POOL)),
        service.list_local_assignments(operator, POOL),
        service.list_local_roles(operator, POOL),
    )


def test_a_disaster_is_survived_by_a_quorum_and_by_no_fewer(tmp_path: Path) -> None:
    first = PoolWorld.made(tmp_path / "first")
    document = first.pool(tokens=2)
    for name, specification in (("k", EC_HSM), ("rsa", RSA_HSM), ("aes", OCT_HSM)):
        first.service.create_key(first.operator, POOL, name, specification=specification, tags={"of": name})
    old = first.service.create_key(first.operator, POOL, "k", specification=EC_HSM)
    first.service.create_key(first.operator, POOL, "k", specification=EC_HSM)
    signature = first.signed(version=old.version)
    user = first.local("Managed HSM Crypto User", scope="/keys/k")
    blob = first.service.backup_managed_hsm(first.operator, POOL)
    first.unlocked.close()

    second = PoolWorld.made(tmp_path / "second")
    service, operator = second.service, second.operator
    service.create_managed_hsm(operator, POOL)
    with pytest.raises(Forbidden, match="is not activated"):
        service.restore_managed_hsm(operator, POOL, blob)
    for too_few in (keys_of(0), keys_of(1, 1), keys_of(5, 6), ()):
        with pytest.raises(HsmError, match="needs the keys of 2 of its custodians"):
            service.upload_security_domain(operator, POOL, document, too_few)
        assert [one.state for one in service.managed_hsm_health(operator, POOL)] == ["without_domain"]
        with pytest.raises(Forbidden, match="is not activated"):
            service.list_keys(operator, POOL)
    service.upload_security_domain(operator, POOL, document, keys_of(2, 1))
    with pytest.raises(Conflict, match="is activated already"):
        service.upload_security_domain(operator, POOL, document, keys_of(2, 1))
    restored = service.restore_managed_hsm(operator, POOL, blob)
    assert (restored.keys, restored.gone) == (("aes", "k", "rsa"), ())
    # Who administers this one still does, and gives himself the rest.
    second.give(operator, "Managed HSM Crypto User")
    assert second.verified(signature, version=old.version)
    fresh = second.signed(version=old.version)
    assert second.verified(fresh, version=old.version)
    assert len(service.list_key_versions(operator, POOL, "k")) == 3
    # The people of the first store have their roles again.
    assert service.sign(user, POOL, "k", algorithm="ES256", digest=DIGEST).value
    with pytest.raises(Forbidden):
        service.get_key(user, POOL, "rsa")
    second.unlocked.close()


def test_a_full_restore_brings_everything_back_to_what_it_was(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    for name in ("k", "deleted", "changed"):
        service.create_key(operator, POOL, name, specification=EC_HSM, tags={"before": "yes"})
    service.delete_key(operator, POOL, "deleted")
    service.define_local_role(
        operator, POOL, name="Own", data_actions=["Microsoft.KeyVault/managedHsm/keys/sign/action"]
    )
    there.local("Own", scope="/keys/k")
    before, signature = _content(service, there), there.signed()
    blob = service.backup_managed_hsm(operator, POOL)
    service.update_key(operator, POOL, "changed", tags={}, enabled=False)
    service.create_key(operator, POOL, "changed", specification=RSA_HSM)
    service.recover_key(operator, POOL, "deleted")
    service.delete_key(operator, POOL, "k")
    service.purge_key(operator, POOL, "k")
    service.create_key(operator, POOL, "later", specification=EC_HSM)
    there.local("Managed HSM Crypto User")
    assert _content(service, there) != before
    service.backup_managed_hsm(operator, POOL)
    restored = service.restore_managed_hsm(operator, POOL, blob)
    assert (restored.keys, restored.gone) == (("changed", "deleted", "k"), ("later",))
    assert _content(service, there) == before
    assert there.verified(signature)
    assert there.verified(there.signed())
    assert audited(there, "FullRestore") == ["Success"]


def test_where_there_are_keys_a_full_restore_needs_a_backup_of_them_made_just_before(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    blob = service.backup_managed_hsm(operator, POOL)
    there.clock.advance(timedelta(minutes=31))
    with pytest.raises(Forbidden, match="no backup of it was made in the last 30 minutes") as refused:
        service.restore_managed_hsm(operator, POOL, blob)
    assert refused.value.inner == "BackupRequired"
    service.backup_managed_hsm(operator, POOL)
    service.restore_managed_hsm(operator, POOL, blob)


def test_purge_protection_holds_against_a_restore(there: PoolWorld) -> None:
    there.pool(purge_protection=True)
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    blob = service.backup_managed_hsm(operator, POOL)
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    before = _content(service, there)
    with pytest.raises(Forbidden, match="would destroy versions of 1 keys"):
        service.restore_managed_hsm(operator, POOL, blob)
    assert _content(service, there) == before
    assert service.restore_managed_hsm(operator, POOL, service.backup_managed_hsm(operator, POOL)).gone == ()


def test_one_key_is_restored_where_its_name_is_free(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    service.create_key(operator, POOL, "other", specification=EC_HSM)
    signature, versions = there.signed(), service.list_key_versions(operator, POOL, "k")
    blob = service.backup_managed_hsm(operator, POOL)
    with pytest.raises(Conflict, match="there is a key `k`"):
        service.restore_managed_hsm_key(operator, POOL, blob, "K")
    service.delete_key(operator, POOL, "k")
    with pytest.raises(Conflict, match="is soft-deleted"):
        service.restore_managed_hsm_key(operator, POOL, blob, "k")
    service.purge_key(operator, POOL, "k")
    service.delete_key(operator, POOL, "other")
    with pytest.raises(NotFound, match="there is no key `nowhere` in the backup"):
        service.restore_managed_hsm_key(operator, POOL, blob, "nowhere")
    service.restore_managed_hsm_key(operator, POOL, blob, "k")
    assert service.list_key_versions(operator, POOL, "k") == versions
    assert there.verified(signature)
    assert [key.name for key in service.list_deleted_keys(operator, POOL)] == ["other"]


def test_a_key_that_was_deleted_when_the_backup_was_made_comes_back_alive(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    service.delete_key(operator, POOL, "k")
    blob = service.backup_managed_hsm(operator, POOL)
    service.purge_key(operator, POOL, "k")
    assert service.restore_managed_hsm_key(operator, POOL, blob, "k").deletion is None
    assert there.verified(there.signed())


def test_a_backup_opens_under_its_own_security_domain_only(tmp_path: Path) -> None:
    first = PoolWorld.made(tmp_path / "first")
    first.pool()
    blob = first.service.backup_managed_hsm(first.operator, POOL)
    first.unlocked.close()
    second = PoolWorld.made(tmp_path / "second")
    second.pool()
    mine = second.service.backup_managed_hsm(second.operator, POOL)
    with pytest.raises(BadParameter, match="the backup is of the security domain"):
        second.service.restore_managed_hsm(second.operator, POOL, blob)
    # With this domain's name on it, it is still that one's.
    renamed = mine[:62] + blob[62:]
    with pytest.raises(BadParameter, match="the backup does not open"):
        second.service.restore_managed_hsm(second.operator, POOL, renamed)
    second.unlocked.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_backup_that_was_changed_anywhere_changes_nothing(
    changed_backup: tuple[PoolWorld, bytes], data: st.DataObject
) -> None:
    there, blob = changed_backup
    place = data.draw(st.integers(0, len(blob) - 1))
    how = data.draw(st.sampled_from(("flip", "cut", "add")))
    match how:
        case "flip":
            wrong = blob[:place] + bytes([blob[place] ^ data.draw(st.integers(1, 255))]) + blob[place + 1 :]
        case "cut":
            wrong = blob[:place]
        case _:
            wrong = blob[:place] + data.draw(st.binary(min_size=1, max_size=20)) + blob[place:]
    before = _content(there.service, there)
    if wrong != blob:
        with pytest.raises(KvstackError):
            there.service.restore_managed_hsm(there.operator, POOL, wrong)
        with pytest.raises(KvstackError):
            there.service.restore_managed_hsm_key(there.operator, POOL, wrong, "k")
    assert _content(there.service, there) == before


@pytest.fixture
def changed_backup(there: PoolWorld) -> tuple[PoolWorld, bytes]:
    there.pool()
    there.service.create_key(there.operator, POOL, "k", specification=EC_HSM)
    return there, there.service.backup_managed_hsm(there.operator, POOL)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.binary(max_size=300))
def test_what_is_no_security_domain_activates_nothing(provisioned: PoolWorld, document: bytes) -> None:
    with pytest.raises(BadParameter, match="this is no security domain, or it was changed"):
        provisioned.service.upload_security_domain(provisioned.operator, POOL, document, keys_of(0, 1))


@pytest.fixture
def provisioned(there: PoolWorld) -> PoolWorld:
    there.service.create_managed_hsm(there.operator, POOL)
    return there


def test_a_security_domain_that_was_changed_activates_nothing(tmp_path: Path) -> None:
    first = PoolWorld.made(tmp_path / "first")
    document = first.pool()
    first.unlocked.close()
    second = PoolWorld.made(tmp_path / "second")
    second.service.create_managed_hsm(second.operator, POOL)
    for wrong in (document.replace(b'"quorum": 2', b'"quorum": 3'), document.replace(POOL.encode(), b"elsewher")):
        assert wrong != document
        with pytest.raises(KvstackError):
            second.service.upload_security_domain(second.operator, POOL, wrong, keys_of(0, 1, 2))
        assert [one.state for one in second.service.managed_hsm_health(second.operator, POOL)] == ["without_domain"]
    second.unlocked.close()


def test_rights_to_a_domain_and_to_backups_are_local_ones(there: PoolWorld) -> None:
    document = there.pool()
    service = there.service
    blob = service.backup_managed_hsm(there.operator, POOL)
    owner, user = there.person("Owner"), there.local("Managed HSM Crypto User")
    for caller in (owner, user):
        with pytest.raises(Forbidden):
            service.download_security_domain(caller, POOL, custodians(), 2)
        with pytest.raises(Forbidden):
            service.join_security_domain(caller, POOL, document, keys_of(0, 1))
        with pytest.raises(Forbidden):
            service.backup_managed_hsm(caller, POOL)
        with pytest.raises(Forbidden):
            service.restore_managed_hsm(caller, POOL, blob)
    service.restore_managed_hsm(there.local("Managed HSM Restore"), POOL, blob)


def test_a_new_token_does_not_join_another_s_domain(tmp_path: Path) -> None:
    first = PoolWorld.made(tmp_path / "first")
    foreign = first.pool()
    first.unlocked.close()
    second = PoolWorld.made(tmp_path / "second")
    second.pool()
    second.service.update_managed_hsm(second.operator, POOL, tokens=2)
    with pytest.raises(BadParameter, match="this is the security domain"):
        second.service.join_security_domain(second.operator, POOL, foreign, keys_of(0, 1))
    second.unlocked.close()


def test_a_backup_tells_nothing_of_what_is_in_it_and_everything_is_audited_by_name(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "recognisable", specification=EC_HSM, tags={"tag-of-it": "value-of-it"})
    blob = service.backup_managed_hsm(operator, POOL)
    service.restore_managed_hsm(operator, POOL, blob)
    for words in (b"recognisable", b"tag-of-it", b"value-of-it", POOL.encode(), operator.id.encode()):
        assert words not in blob
    with pytest.raises(Forbidden):
        service.backup_managed_hsm(there.person(), POOL)
    assert audited(there, "FullBackup") == ["Success", "ForbiddenByRbac"]
    resource = next(one.resource for one in there.unlocked.audit.records() if one.operation == "FullBackup")
    assert resource.endswith(f"/providers/Microsoft.KeyVault/managedHSMs/{POOL}")
    assert there.unlocked.audit.verify().problem is None
