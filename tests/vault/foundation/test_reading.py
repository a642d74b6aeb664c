"""Who only reads waits for nobody, sees the store as it is at one instant, and changes nothing."""

from pathlib import Path

import pytest

from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.audit import AuditLog
from kvstack.vault.faults import StoreBusy
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, unlock
from kvstack.vault.service import VaultService
from kvstack.vault.store import Store
from tests.vault.foundation.test_audit import AUDIT_KEY, record
from tests.vault.foundation.things import THINGS, Thing, get, opened, put, scan

APPLE = Thing("fruit", "apple")
PEAR = Thing("fruit", "pear")


def test_a_reading_waits_for_no_writer_and_no_writer_for_it(path: Path, store: Store) -> None:
    put(store, APPLE)
    other = opened(path, busy_seconds=0.01)
    with store.transaction() as tx:
        THINGS.put(tx, PEAR)
        with other.reading() as seen:
            assert THINGS.scan(seen) == [APPLE]
        with pytest.raises(StoreBusy), other.transaction():
            pass
    with other.reading() as seen:
        assert THINGS.scan(seen) == [APPLE, PEAR]
        put(store, Thing("fruit", "plum"))


def test_a_reading_sees_one_instant_whatever_is_committed_meanwhile(path: Path, store: Store) -> None:
    put(store, APPLE)
    other = opened(path)
    for number in range(1, 4):
        with store.reading() as tx:
            before = THINGS.scan(tx)
            put(other, Thing("fruit", str(number)))
            assert THINGS.get(tx, "fruit", str(number)) is None
            assert THINGS.scan(tx) == before
        assert get(store, "fruit", str(number)) == Thing("fruit", str(number))


def test_nothing_is_changed_in_a_reading(path: Path, store: Store) -> None:
    put(store, APPLE)
    with pytest.raises(RuntimeError, match="only reads"), store.reading() as tx:
        THINGS.delete(tx, "fruit", "apple")
    with pytest.raises(RuntimeError, match="only reads"), store.reading():
        put(store, PEAR)
    assert scan(store) == scan(opened(path)) == [APPLE]


def test_a_reading_within_a_transaction_sees_what_it_changed(store: Store) -> None:
    with store.transaction() as tx:
        THINGS.put(tx, APPLE)
        with store.reading() as seen:
            assert THINGS.scan(seen) == [APPLE]
        THINGS.put(tx, PEAR)
    assert scan(store) == [APPLE, PEAR]


def test_what_was_read_is_recorded_before_it_is_answered_where_it_has_no_file_yet(path: Path, store: Store) -> None:
    log = AuditLog(store, AUDIT_KEY)
    for number in range(40):
        with store.reading() as tx:
            log.append(tx, record(number))
        other = opened(path)
        assert len(list(AuditLog(other, AUDIT_KEY).records())) == number + 1
        other.close()


def test_a_vault_is_read_and_its_keys_are_used_while_another_process_writes(tmp_path: Path) -> None:
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access)
    service = VaultService(unlocked)
    me = service.operator
    service.create_vault(me, "dev")
    service.set_secret(me, "dev", "s", SecretValue("v"))
    service.create_key(me, "dev", "k", specification=KeySpecification("EC", curve="P-256"))
    for _ in range(20):
        service.get_secret(me, "dev", "s")
    writer = unlock(tmp_path)
    # Were one of these to wait, it would for 10 seconds, and be refused.
    with writer.store.transaction():
        assert service.get_secret(me, "dev", "s").value == SecretValue("v")
        assert service.get_secret_properties(me, "dev", "s").name == "s"
        assert service.list_secrets(me, "dev")
        assert service.list_secret_versions(me, "dev", "s")
        assert service.get_key(me, "dev", "k").name == "k"
        signature = service.sign(me, "dev", "k", algorithm="ES256", digest=bytes(32))
        assert service.verify(me, "dev", "k", algorithm="ES256", digest=bytes(32), signature=signature.value)
        assert service.get_vault(me, "dev").name == "dev"
        assert service.list_vaults(me)
        assert service.snapshot(me).secrets
        assert service.who_can(me, "Microsoft.KeyVault/vaults/secrets/getSecret/action", service.top, data=True)
    writer.close()
    unlocked.close()
