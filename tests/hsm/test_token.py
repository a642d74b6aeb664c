"""A vault's token: private on disk, its keys closed to everybody, and nothing outside its folder touched."""

import os
import stat
from pathlib import Path

import pytest

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration, PinSource, read_configuration, write_configuration
from kvstack.hsm.connection import Connection
from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.pkcs11_kek import Pkcs11KeyEncryptionKey
from kvstack.hsm.protocol import HsmError, HsmUnavailable
from kvstack.hsm.token import initialise_token
from kvstack.terms.algorithm import ALGORITHMS
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.examples import EC, RSA, key

pytestmark = requires_softhsm


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_everything_in_its_folder_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        initialise_token(tmp_path / "hsm", module=softhsm())
    finally:
        os.umask(before)
    for path in [tmp_path / "hsm", *(tmp_path / "hsm").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_nothing_of_the_process_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "/somewhere/else.conf")
    initialise_token(tmp_path / "hsm", module=softhsm())
    assert os.environ["SOFTHSM2_CONF"] == "/somewhere/else.conf"


def test_its_keys_are_closed_to_everybody(module: Pkcs11Module) -> None:
    def attributes(connection: Connection) -> None:
        session = connection.sessions.borrow()
        cryptoki = connection.cryptoki
        root, kek = connection.root(session), connection.kek
        for handle in (root, kek):
            assert cryptoki.attribute(session, handle, ck.CKA_VALUE) is None
            for attribute, value in {
                ck.CKA_PRIVATE: b"\1",
                ck.CKA_SENSITIVE: b"\1",
                ck.CKA_EXTRACTABLE: b"\0",
                ck.CKA_MODIFIABLE: b"\0",
            }.items():
                assert cryptoki.attribute(session, handle, attribute) == value
            for change in ({ck.CKA_EXTRACTABLE: True}, {ck.CKA_DECRYPT: True}, {ck.CKA_LABEL: b"x"}):
                with pytest.raises(CryptokiError):
                    cryptoki.change(session, handle, change)
        mechanisms = {handle: cryptoki.attribute(session, handle, ck.CKA_ALLOWED_MECHANISMS) for handle in (root, kek)}
        assert mechanisms[root] == ck.CKM_AES_KEY_WRAP_PAD.to_bytes(8, "little")
        assert mechanisms[kek] == ck.CKM_AES_GCM.to_bytes(8, "little")
        connection.sessions.give_back(session)

    module.run(attributes)


def test_the_token_files_hold_neither_a_known_key_nor_the_pin(module: Pkcs11Module) -> None:
    folder = Path(module.configuration.tokens)
    secret = os.urandom(32)

    def store(connection: Connection) -> None:
        # Stored like the root and the key-encryption key, which nobody knows and so nobody can search for.
        session = connection.sessions.borrow()
        connection.cryptoki.create(
            session,
            {
                ck.CKA_CLASS: ck.CKO_SECRET_KEY,
                ck.CKA_KEY_TYPE: ck.CKK_AES,
                ck.CKA_TOKEN: True,
                ck.CKA_PRIVATE: True,
                ck.CKA_SENSITIVE: True,
                ck.CKA_EXTRACTABLE: False,
                ck.CKA_VALUE: secret,
            },
        )
        connection.sessions.give_back(session)

    module.run(store)
    made = key(Pkcs11Keys(module, "token"), RSA)
    pin = Path(module.configuration.pin_source.file).read_bytes()
    content = b"".join(path.read_bytes() for path in files(folder))
    assert len(content) > 2000
    assert secret not in content
    assert pin not in content
    # A private object is encrypted as a whole, its modulus too.
    assert made.material.public.n not in content


def test_wrapped_keys_leave_no_trace_in_the_token(module: Pkcs11Module) -> None:
    folder = Path(module.configuration.tokens)
    before = {path: path.read_bytes() for path in files(folder)}
    provider = Pkcs11Keys(module)
    provider.sign(key(provider, EC), ALGORITHMS["ES256"], bytes(32))
    assert {path: path.read_bytes() for path in files(folder)} == before


def test_a_vaults_folder_can_be_moved(tmp_path: Path) -> None:
    made = initialise_token(tmp_path / "before", module=softhsm())
    write_configuration(made.configuration, tmp_path / "before" / "hsm.json")
    opened = Pkcs11Module.open(made.configuration)
    wrapped = Pkcs11KeyEncryptionKey(opened).wrap(bytes(32), b"vault")
    opened.close()
    (tmp_path / "before").rename(tmp_path / "after")
    moved = Pkcs11Module.open(read_configuration(tmp_path / "after" / "hsm.json"))
    assert Pkcs11KeyEncryptionKey(moved).unwrap(wrapped, b"vault") == bytes(32)
    moved.close()


def test_the_callers_pin_is_used_and_not_kept(tmp_path: Path) -> None:
    environ = {"HSM_PIN": "a-pin-of-my-own"}
    made = initialise_token(
        tmp_path / "hsm", module=softhsm(), pin_source=PinSource(environment="HSM_PIN"), environ=environ
    )
    Pkcs11Module.open(made.configuration, environ).close()
    assert not any(b"a-pin-of-my-own" in path.read_bytes() for path in files(tmp_path))


def test_initialising_again_after_an_interruption_makes_another_token(tmp_path: Path) -> None:
    # The first one's configuration was never written.
    initialise_token(tmp_path / "hsm", module=softhsm())
    second = initialise_token(tmp_path / "hsm", module=softhsm()).configuration
    opened = Pkcs11Module.open(second)
    assert Pkcs11KeyEncryptionKey(opened).wrap(bytes(32), b"")
    opened.close()


def test_an_existing_token_is_adopted_with_its_pin(tmp_path: Path, token: HsmConfiguration) -> None:
    environ = {"SOFTHSM2_CONF": str(Path(token.tokens).parent / "softhsm2.conf")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", environ["SOFTHSM2_CONF"])
        with pytest.raises(HsmError, match="needs its PIN"):
            initialise_token(tmp_path / "other", module=softhsm(), adopt=True)
        with pytest.raises(HsmUnavailable, match="no token of the label `nobody's`; there are `kvstack`"):
            initialise_token(
                tmp_path / "other", module=softhsm(), label="nobody's", adopt=True, pin_source=token.pin_source
            )
        adopted = initialise_token(tmp_path / "other", module=softhsm(), adopt=True, pin_source=token.pin_source)
        opened = Pkcs11Module.open(adopted.configuration)
        assert Pkcs11KeyEncryptionKey(opened).id != f"pkcs11-{token.kek}"
        opened.close()


def test_a_label_too_long_for_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HsmError, match="at most 32 bytes"):
        initialise_token(tmp_path, module=softhsm(), label="x" * 33)


def test_a_missing_module_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HsmUnavailable, match="is not there") as failure:
        initialise_token(tmp_path / "hsm", module=tmp_path / "libsofthsm2.so")
    assert "apt install softhsm2" in str(failure.value)


def test_a_file_that_is_no_module_is_told(tmp_path: Path) -> None:
    (tmp_path / "libsofthsm2.so").write_text("not a library")
    with pytest.raises(HsmUnavailable, match="cannot be loaded"):
        initialise_token(tmp_path / "hsm", module=tmp_path / "libsofthsm2.so")
