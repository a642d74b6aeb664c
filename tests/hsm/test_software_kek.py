"""The key-encryption key in a file: private, whole, and bound to what it wrapped."""

import stat
from pathlib import Path

import pytest

from kvstack.hsm.protocol import DecryptionFailed
from kvstack.hsm.software_kek import KeyFileUnusable, SoftwareKeyEncryptionKey

DATA_KEY = bytes(range(32))


def test_a_data_key_comes_back_under_its_context(tmp_path: Path) -> None:
    wrapped = SoftwareKeyEncryptionKey.create(tmp_path / "kek").wrap(DATA_KEY, b"vault")
    again = SoftwareKeyEncryptionKey.open(tmp_path / "kek")
    assert again.unwrap(wrapped, b"vault") == DATA_KEY
    assert len(wrapped) == 60
    assert DATA_KEY not in wrapped


@pytest.mark.parametrize("position", [0, 11, 12, 43, 44, 59])
def test_a_changed_byte_is_refused(position: int) -> None:
    kek = SoftwareKeyEncryptionKey(bytes(32))
    wrapped = bytearray(kek.wrap(DATA_KEY, b"vault"))
    wrapped[position] ^= 1
    with pytest.raises(DecryptionFailed):
        kek.unwrap(bytes(wrapped), b"vault")


@pytest.mark.parametrize("context", [b"", b"vault2", b"Vault"])
def test_another_context_is_refused(context: bytes) -> None:
    kek = SoftwareKeyEncryptionKey(bytes(32))
    with pytest.raises(DecryptionFailed):
        kek.unwrap(kek.wrap(DATA_KEY, b"vault"), context)


@pytest.mark.parametrize("wrapped", [b"", bytes(27), bytes(28), bytes(60)])
def test_what_was_never_wrapped_is_refused(wrapped: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        SoftwareKeyEncryptionKey(bytes(32)).unwrap(wrapped, b"vault")


def test_another_key_is_refused_and_has_another_id() -> None:
    one, two = SoftwareKeyEncryptionKey(bytes(32)), SoftwareKeyEncryptionKey(bytes([1]) * 32)
    assert one.id != two.id
    with pytest.raises(DecryptionFailed):
        two.unwrap(one.wrap(DATA_KEY, b""), b"")


def test_the_id_stays_and_neither_it_nor_the_repr_shows_the_key(tmp_path: Path) -> None:
    kek = SoftwareKeyEncryptionKey.create(tmp_path / "kek")
    key = (tmp_path / "kek").read_bytes()
    assert SoftwareKeyEncryptionKey.open(tmp_path / "kek").id == kek.id
    assert key.hex()[:8] not in kek.id + repr(kek)


def test_the_file_is_private_and_alone(tmp_path: Path) -> None:
    SoftwareKeyEncryptionKey.create(tmp_path / "keys" / "kek")
    assert stat.S_IMODE((tmp_path / "keys" / "kek").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["kek"]


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    SoftwareKeyEncryptionKey.create(tmp_path / "kek")
    before = (tmp_path / "kek").read_bytes()
    with pytest.raises(KeyFileUnusable, match="is there already"):
        SoftwareKeyEncryptionKey.create(tmp_path / "kek")
    assert (tmp_path / "kek").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["kek"]


def test_a_missing_damaged_or_public_file_says_how_to_mend_it(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    with pytest.raises(KeyFileUnusable, match="cannot be read"):
        SoftwareKeyEncryptionKey.open(path)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable, match="damaged: it has 5 bytes instead of 32"):
        SoftwareKeyEncryptionKey.open(path)
    path.write_bytes(bytes(32))
    path.chmod(0o644)
    with pytest.raises(KeyFileUnusable, match="everybody") as failure:
        SoftwareKeyEncryptionKey.open(path)
    assert f"chmod 600 {path}" in str(failure.value)
