"""Sealed values are read in their own place only, and not at all once their key is gone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.software_kek import SoftwareKeyEncryptionKey
from kvstack.vault.barrier import Barrier
from kvstack.vault.data_key import DATA_KEYS
from kvstack.vault.faults import StoreFault, Tampered, TamperedRow, TamperedValue
from kvstack.vault.store import Store
from tests.vault.foundation.things import by_hand, kept_track_of, new_store, undone

PLACE = ("vault-1", "secrets", "db-password", "v1", "value")
CANARY = b"canary-5e1f-never-in-a-file"

Parts = tuple[Store, SoftwareKeyEncryptionKey, Barrier]


@pytest.fixture
def parts(path: Path) -> Iterator[Parts]:
    store = Store.open(path)
    kek = SoftwareKeyEncryptionKey(bytes(range(32)))
    barrier = Barrier.create(store, kek)
    for scope in ("vault-1", "vault-2"):
        with store.transaction() as tx:
            barrier.create_data_key(tx, scope)
    yield store, kek, barrier
    store.close()


def unlocked_again(path: Path, kek: SoftwareKeyEncryptionKey) -> tuple[Store, Barrier]:
    store = kept_track_of(Store.open(path, existing=True))
    return store, Barrier.unlock(store, kek)


def test_a_sealed_value_is_opened_by_another_process(path: Path, parts: Parts) -> None:
    _, kek, barrier = parts
    sealed = barrier.seal("vault-1", PLACE, CANARY)
    store, again = unlocked_again(path, kek)
    assert again.open("vault-1", PLACE, sealed) == CANARY
    assert again.fingerprint(PLACE, CANARY) == barrier.fingerprint(PLACE, CANARY)
    store.close()


def test_two_seals_of_one_value_differ(parts: Parts) -> None:
    barrier = parts[2]
    assert barrier.seal("vault-1", PLACE, CANARY) != barrier.seal("vault-1", PLACE, CANARY)


@pytest.mark.parametrize("part", range(len(PLACE)))
def test_a_value_moved_to_another_place_is_refused(parts: Parts, part: int) -> None:
    barrier = parts[2]
    sealed = barrier.seal("vault-1", PLACE, CANARY)
    elsewhere = (*PLACE[:part], "elsewhere", *PLACE[part + 1 :])
    with pytest.raises(TamperedValue, match="elsewhere"):
        barrier.open("vault-1", elsewhere, sealed)


@pytest.mark.parametrize("place", [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("abc", "")])
def test_places_that_read_alike_are_different_places(parts: Parts, place: tuple[str, ...]) -> None:
    barrier = parts[2]
    sealed = barrier.seal("vault-1", ("", "abc"), b"")
    with pytest.raises(TamperedValue):
        barrier.open("vault-1", place, sealed)
    assert barrier.fingerprint(place, b"") != barrier.fingerprint(("", "abc"), b"")


def test_a_value_of_another_vault_is_refused(parts: Parts) -> None:
    barrier = parts[2]
    with pytest.raises(TamperedValue):
        barrier.open("vault-2", PLACE, barrier.seal("vault-1", PLACE, CANARY))


def test_a_value_edited_in_any_byte_or_cut_is_refused(parts: Parts) -> None:
    barrier = parts[2]
    sealed = barrier.seal("vault-1", PLACE, CANARY)
    edited = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for value in (*edited, *(sealed[:length] for length in range(len(sealed)))):
        with pytest.raises(TamperedValue):
            barrier.open("vault-1", PLACE, value)


def test_a_vaults_values_are_gone_with_its_data_key(path: Path, parts: Parts) -> None:
    store, kek, barrier = parts
    sealed = barrier.seal("vault-1", PLACE, CANARY)
    with by_hand(path) as database:
        rows = database.execute("SELECT * FROM data_keys WHERE scope = 'vault-1'").fetchall()
    with store.transaction() as tx:
        wrapped = DATA_KEYS.get(tx, "vault-1")
        assert wrapped is not None
        barrier.destroy_data_key(tx, "vault-1")
    with pytest.raises(StoreFault, match="no data key"):
        barrier.open("vault-1", PLACE, sealed)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert wrapped.wrapped not in files

    with by_hand(path) as database:
        database.executemany(f"INSERT INTO data_keys VALUES ({', '.join('?' * len(rows[0]))})", rows)
    for opener in (barrier, unlocked_again(path, kek)[1]):
        with pytest.raises(TamperedRow, match="vault-1"):
            opener.open("vault-1", PLACE, sealed)


def test_a_data_key_of_an_undone_transaction_is_not_used(parts: Parts) -> None:
    store, _, barrier = parts
    with undone(store) as tx:
        barrier.create_data_key(tx, "vault-3")
        barrier.seal("vault-3", PLACE, CANARY)
    with pytest.raises(StoreFault, match="no data key"):
        barrier.seal("vault-3", PLACE, CANARY)


def test_another_key_encryption_key_is_told_apart(path: Path, parts: Parts) -> None:
    other = SoftwareKeyEncryptionKey(bytes(32))
    with pytest.raises(StoreFault, match=other.id) as caught:
        unlocked_again(path, other)
    assert parts[1].id in str(caught.value)
    assert not isinstance(caught.value, Tampered)


def test_a_data_key_edited_or_of_another_vault_is_refused(path: Path, parts: Parts) -> None:
    kek = parts[1]
    with by_hand(path) as database:
        database.execute(
            "UPDATE data_keys SET body = (SELECT body FROM data_keys WHERE scope = 'vault-2') WHERE scope = 'vault-1'"
        )
    with pytest.raises(Tampered):
        unlocked_again(path, kek)[1].seal("vault-1", PLACE, CANARY)
    with by_hand(path) as database:
        database.execute(
            "UPDATE data_keys SET body = (SELECT body FROM data_keys WHERE scope = 'vault-2') WHERE scope = 'store'"
        )
    with pytest.raises(StoreFault):
        unlocked_again(path, kek)


def test_fingerprints_need_the_vault(tmp_path: Path, parts: Parts) -> None:
    barrier = parts[2]
    other_store = kept_track_of(Store.open(tmp_path / "other.db"))
    other = Barrier.create(other_store, SoftwareKeyEncryptionKey(bytes(32)))
    assert barrier.fingerprint(("v", "n"), b"password") == barrier.fingerprint(("v", "n"), b"password")
    prints = {
        barrier.fingerprint(("v", "n"), b"password"),
        barrier.fingerprint(("v", "n"), b"password1"),
        barrier.fingerprint(("v", "m"), b"password"),
        other.fingerprint(("v", "n"), b"password"),
    }
    assert len(prints) == 4
    assert all(len(one) == 64 for one in prints)


def test_derived_keys_are_hkdf(path: Path) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    key = os.urandom(32)
    barrier = Barrier(new_store(path), SoftwareKeyEncryptionKey(bytes(32)), key)
    assert barrier.mac_key == HKDF(SHA256(), 32, b"kvstack store", b"rows").derive(key)
    assert barrier.audit_key == HKDF(SHA256(), 32, b"kvstack store", b"audit").derive(key)


def test_no_value_and_no_key_is_in_a_file_or_a_repr(path: Path, parts: Parts) -> None:
    store, kek, barrier = parts
    with store.transaction() as tx:
        row = DATA_KEYS.get(tx, "vault-1")
    assert row is not None
    key = kek.unwrap(row.wrapped, b"kvstack data key\x00vault-1")
    sealed = barrier.seal("vault-1", PLACE, CANARY)
    (path.parent / "sealed").write_bytes(sealed)
    for _ in range(2):
        files = b"".join(file.read_bytes() for file in path.parent.iterdir())
        for secret in (CANARY, key, barrier.mac_key, barrier.audit_key, bytes(range(32))):
            assert secret not in files
            assert secret.hex() not in repr(barrier)
        store.close()
