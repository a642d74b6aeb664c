"""What a server needs of a Managed HSM beside its own verbs: jobs to ask about, checks, a transfer key, its setting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import DomainUnfit
from kvstack.hsm.security_domain_transfer import from_transfer, to_transfer, transfer_certificate, transfer_key
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, VaultError
from kvstack.vault.pool_rows import Job
from kvstack.vault.security_domains import READ_DOWNLOAD, READ_UPLOAD
from tests.vault.service.pools import EC_HSM, POOL, PoolWorld, audited, custodians, keys_of

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)
JOB, OTHER = Job("0a" * 16, "https://where/it/is"), Job("0b" * 16)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path / "store")
    made.pool()
    made.service.create_key(made.operator, POOL, "k", specification=EC_HSM)
    yield made
    made.unlocked.close()


class Gone(VaultError):
    """Where a backup was to be kept is not there."""

    status, code = 503, "Gone"


def test_a_job_is_told_for_a_week_to_who_may_know_of_its_kind(there: PoolWorld) -> None:
    service = there.service
    kept: list[bytes] = []
    blob = service.backup_managed_hsm(there.operator, POOL, keep=kept.append, job=JOB)
    assert kept == [blob]
    backup = there.local("Managed HSM Backup")
    told = service.get_managed_hsm_job(backup, POOL, "backup", JOB.id.upper())
    assert (told.kind, told.where, told.began <= told.ended) == ("backup", JOB.where, True)
    with pytest.raises(NotFound):
        service.get_managed_hsm_job(there.operator, POOL, "restore", JOB.id)
    with pytest.raises(Forbidden):
        service.get_managed_hsm_job(there.local("Managed HSM Restore"), POOL, "backup", JOB.id)
    there.days(8)
    service.check_managed_hsm_backup(backup, POOL, place=lambda: None, job=OTHER)
    assert service.get_managed_hsm_job(backup, POOL, "backup", OTHER.id).kind == "backup"
    with pytest.raises(NotFound):
        service.get_managed_hsm_job(backup, POOL, "backup", JOB.id)


def test_a_backup_that_could_not_be_kept_is_none(there: PoolWorld) -> None:
    def lost(_: bytes = b"") -> None:
        raise Gone("it is not there")

    with pytest.raises(Gone):
        there.service.backup_managed_hsm(there.operator, POOL, keep=lost, job=JOB)
    with pytest.raises(Gone):
        there.service.check_managed_hsm_backup(there.operator, POOL, place=lost, job=JOB)
    with pytest.raises(NotFound):
        there.service.get_managed_hsm_job(there.operator, POOL, "backup", JOB.id)
    blob = there.service.backup_managed_hsm(there.operator, POOL)
    there.days(1)
    with pytest.raises(Gone):
        there.service.backup_managed_hsm(there.operator, POOL, keep=lost)
    # It was the one of yesterday that is to be restored, and none was made since.
    with pytest.raises(Forbidden, match="no backup of it was made"):
        there.service.restore_managed_hsm(there.operator, POOL, blob)


def test_where_a_backup_comes_from_is_looked_at_for_nobody_who_may_not_restore(there: PoolWorld) -> None:
    def never() -> bytes:
        raise AssertionError("it was read")

    def nowhere() -> None:
        never()

    stranger = there.local("Managed HSM Crypto User")
    with pytest.raises(Forbidden):
        there.service.restore_managed_hsm(stranger, POOL, never)
    with pytest.raises(Forbidden):
        there.service.check_managed_hsm_restore(stranger, POOL, never, job=JOB)
    with pytest.raises(Forbidden):
        there.service.restore_managed_hsm_key(stranger, POOL, never, "k")
    with pytest.raises(Forbidden):
        there.service.check_managed_hsm_backup(stranger, POOL, place=nowhere, job=JOB)


def test_a_check_of_a_restore_refuses_what_the_restore_would_and_changes_nothing(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    blob = service.backup_managed_hsm(operator, POOL)
    service.create_key(operator, POOL, "later", specification=EC_HSM)
    service.check_managed_hsm_restore(operator, POOL, lambda: blob, job=JOB)
    assert {one.name for one in service.list_keys(operator, POOL)} == {"k", "later"}
    for changed in (blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), b"", b"kvstack"):
        with pytest.raises(BadParameter):
            service.check_managed_hsm_restore(operator, POOL, lambda changed=changed: changed, job=OTHER)  # type: ignore[misc]  # bound at once
    there.days(1)
    with pytest.raises(Forbidden, match="no backup of it was made"):
        service.check_managed_hsm_restore(operator, POOL, lambda: blob, job=OTHER)
    assert audited(there, "PreFullRestore")[0] == "Success"


def test_a_security_domain_comes_by_the_transfer_key_once(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, "other")
    assert service.security_domain_is_there(operator, POOL, READ_DOWNLOAD)
    assert not service.security_domain_is_there(operator, "other", READ_UPLOAD)
    certificate = service.get_transfer_key(operator, "other")
    assert service.get_transfer_key(operator, "other") == certificate
    domain = _document(there)
    with pytest.raises(DomainUnfit, match="needs the keys of 2"):
        to_transfer(domain, keys_of(0), certificate)
    transfer = to_transfer(domain, keys_of(0, 2), certificate)
    for changed in (b"", b"{}", transfer[:-2], transfer.replace(b'"share":"', b'"share":"AAAA', 1)):
        with pytest.raises(BadParameter):
            service.upload_transferred_security_domain(operator, "other", changed)
    # Shares for another transfer key open nothing.
    strange = to_transfer(domain, keys_of(0, 2), transfer_key("x", there.clock.now()).certificate)
    with pytest.raises(BadParameter, match="another transfer key"):
        service.upload_transferred_security_domain(operator, "other", strange)
    service.upload_transferred_security_domain(operator, "other", transfer)
    assert service.security_domain_is_there(operator, "other", READ_UPLOAD)
    with pytest.raises(BadParameter, match="no transfer key"):
        service.upload_transferred_security_domain(operator, "other", transfer)


def test_a_transfer_key_lives_a_day(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, "other")
    certificate = service.get_transfer_key(operator, "other")
    transfer = to_transfer(_document(there), keys_of(0, 1), certificate)
    there.days(1.01)
    with pytest.raises(BadParameter, match="it has ended"):
        service.upload_transferred_security_domain(operator, "other", transfer)
    assert service.get_transfer_key(operator, "other") != certificate
    for caller in (there.local("Managed HSM Backup"), there.person()):
        with pytest.raises(VaultError):
            service.get_transfer_key(caller, POOL)
        with pytest.raises(VaultError):
            service.upload_transferred_security_domain(caller, POOL, transfer)


def test_neither_a_share_nor_a_transfer_key_is_shown(there: PoolWorld) -> None:
    made = transfer_key("x", there.clock.now())
    transfer = to_transfer(_document(there), keys_of(0, 1), made.certificate)
    _, shares = from_transfer(transfer, made.private)
    assert repr(made) == "TransferKey(****)"
    for one in shares:
        opened = one.opened(b"", "")
        assert opened
        assert repr(one) == f"CarriedShare({one.fingerprint[:16]}, ****)"
        assert opened not in transfer
    for content in (b"", b"{}", b"[", b'{"x5c":["!"]}', b"-----BEGIN CERTIFICATE-----\n", b"[" * 20_000):
        with pytest.raises(DomainUnfit, match="no transfer key"):
            transfer_certificate(content)


def test_new_tokens_join_by_the_transfer_key_too(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.update_managed_hsm(operator, POOL, tokens=2)
    transfer = to_transfer(_document(there), keys_of(0, 1), service.get_transfer_key(operator, POOL))
    service.upload_transferred_security_domain(operator, POOL, transfer)
    assert [one.state for one in service.managed_hsm_health(operator, POOL)] == ["ready", "ready"]


def test_its_setting_is_an_administrators(there: PoolWorld) -> None:
    service = there.service
    user = there.local("Managed HSM Crypto User")
    assert service.keys_as_resources(user, POOL) is False
    for caller in (user, there.local("Managed HSM Policy Administrator")):
        with pytest.raises(Forbidden):
            service.set_keys_as_resources(caller, POOL, True)
    assert service.set_keys_as_resources(there.operator, POOL, True) is True
    assert service.keys_as_resources(user, POOL) is True
    assert len(audited(there, "ManagedHsmSettingPut")) == 3
    assert service.set_keys_as_resources(there.operator, POOL, False) is False


def test_what_is_purged_leaves_no_job_and_no_transfer_key(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.backup_managed_hsm(operator, POOL, job=JOB)
    service.get_transfer_key(operator, POOL)
    service.delete_managed_hsm(operator, POOL)
    service.purge_managed_hsm(operator, POOL)
    with there.unlocked.store.reading() as tx:
        for table in ("pool_jobs", "transfer_keys"):
            assert tx.reader.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (0,)


def _document(there: PoolWorld) -> bytes:
    """The security domain of the first one, as it was downloaded."""
    document: bytes = there.service.download_security_domain(there.operator, POOL, custodians(), 2)
    return document


def test_an_activated_one_takes_no_other_domain(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    transfer = to_transfer(_document(there), keys_of(0, 1), service.get_transfer_key(operator, POOL))
    with pytest.raises((BadParameter, Conflict)):
        service.upload_transferred_security_domain(operator, POOL, transfer)
