"""The key-encryption key in the token: what it wraps opens under its own context only."""

import pytest

from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey
from kvstack.hsm.protocol import DecryptionFailed
from tests.hsm.conftest import requires_softhsm

pytestmark = requires_softhsm
DATA_KEY = bytes(range(32))


def test_a_data_key_comes_back_after_opening_again(module: Pkcs11Module) -> None:
    wrapped = Pkcs11KeyEncryptionKey(module).wrap(DATA_KEY, b"vault")
    identity = Pkcs11KeyEncryptionKey(module).id
    module.close()
    again = Pkcs11Module.open(module.configuration)
    kek = Pkcs11KeyEncryptionKey(again)
    assert kek.unwrap(wrapped, b"vault") == DATA_KEY
    assert kek.id == identity
    assert len(wrapped) == 60
    assert DATA_KEY not in wrapped
    again.close()


def test_another_context_or_a_changed_byte_is_refused(module: Pkcs11Module) -> None:
    kek = Pkcs11KeyEncryptionKey(module)
    wrapped = kek.wrap(DATA_KEY, b"vault")
    for context in (b"", b"vault2", b"Vault"):
        with pytest.raises(DecryptionFailed):
            kek.unwrap(wrapped, context)
    for position in (0, 12, 44, 59):
        changed = bytearray(wrapped)
        changed[position] ^= 1
        with pytest.raises(DecryptionFailed):
            kek.unwrap(bytes(changed), b"vault")
    for noise in (b"", bytes(27), bytes(28), bytes(60), wrapped[:-1]):
        with pytest.raises(DecryptionFailed):
            kek.unwrap(noise, b"vault")
    assert kek.unwrap(wrapped, b"vault") == DATA_KEY


def test_an_empty_context_is_a_context(module: Pkcs11Module) -> None:
    kek = Pkcs11KeyEncryptionKey(module)
    assert kek.unwrap(kek.wrap(DATA_KEY, b""), b"") == DATA_KEY
