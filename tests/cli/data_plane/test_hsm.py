"""`kvstack hsm`: what a token can do is told, and what to do when it is not there."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.hsm.conftest import requires_softhsm

KEY = f"{VAULT}/signing"


@pytest.fixture(scope="session")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recovery key: `private.pem` under the password `open sesame`, `public.pem`, `other.pem`."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    folder = tmp_path_factory.mktemp("recovery")
    key, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    (folder / "private.pem").write_bytes(private)
    (folder / "public.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "other.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


def test_a_token_is_told_with_what_works_there(hsm: Shell) -> None:
    words = hsm.good("hsm", "info").words
    assert "-HSM keys made in the HSM, kept in the vault wrapped by its root key" in words
    document = hsm.good("hsm", "info", "--json").json
    assert document["kind"] == "pkcs11"
    assert document["token"]["label"] == "kvstack"
    assert document["key_types"]["RSA-HSM"] is True
    assert document["algorithms"]["ES256"] is True
    assert "CKM_AES_GCM" in document["mechanisms"]


def test_a_vault_without_one_says_so(shell: Shell) -> None:
    assert "unavailable" in shell.good("hsm", "info").text
    assert shell.good("hsm", "info", "--json").json["kind"] == "software"


def test_its_module_goes_to_a_process_of_its_own_and_back_and_keys_work_in_both(hsm: Shell) -> None:
    assert hsm.good("hsm", "isolate", "on", "--json").json == {"isolated": True}
    assert json.loads((hsm.folder / ".kvstack" / "hsm" / "hsm.json").read_bytes())["isolated"] is True
    hsm.good("key", "create", KEY, "--type", "EC-HSM")
    assert "where it is used" in hsm.good("hsm", "isolate", "off").text
    signed = hsm.good("key", "sign", KEY, "--out", str(hsm.folder / "signature"), stdin=b"payload")
    assert "ES256" in signed.err


@pytest.mark.parametrize(
    ("stack", "isolated"),
    [
        ("stack: s\nbackend: {type: embedded, hsm: {isolated: true}}\n", True),
        ("stack: s\nbackend: {type: embedded, hsm: {isolated: false}}\n", False),
        ("stack: s\nbackend: {type: embedded}\n", False),
        ("stack: s\nbackend: {hsm: {isolated: true}}\nvaults: {no such thing}\n", True),  # it may mean it
    ],
)
def test_a_stack_that_wants_it_isolated_is_heard_by_verbs_that_do_not_read_the_stack(
    hsm: Shell, stack: str, isolated: bool
) -> None:
    (hsm.folder / "kvstack.yaml").write_text(stack)
    assert hsm.good("hsm", "info", "--json").json["isolated"] is isolated
    hsm.good("key", "create", KEY, "--type", "EC-HSM")
    if isolated:
        assert "wants" in hsm.refused("hsm", "isolate", "off")
    # What the vault was made with is not changed by a verb that only opens it.
    assert "isolated" not in json.loads((hsm.folder / ".kvstack" / "hsm" / "hsm.json").read_bytes())


@requires_softhsm
def test_a_new_vault_of_a_stack_that_wants_it_isolated_is_made_so(tmp_path: Path) -> None:
    (tmp_path / "kvstack.yaml").write_text("stack: s\nbackend: {type: embedded, hsm: {isolated: true}}\n")
    Shell(tmp_path).good("init", "--hsm")
    assert json.loads((tmp_path / ".kvstack" / "hsm" / "hsm.json").read_bytes())["isolated"] is True


def test_a_vault_without_one_has_nothing_to_isolate(shell: Shell) -> None:
    assert "there is no module to isolate" in shell.refused("hsm", "isolate", "on")


def test_a_wrong_pin_is_said_and_nothing_opened(hsm: Shell) -> None:
    pin = hsm.folder / ".kvstack" / "hsm" / "pin"
    pin.write_text("1234567")
    for command in (["secret", "show", f"{VAULT}/db-password", "--value"], ["hsm", "info"]):
        said = hsm.refused(*command)
        assert "PIN" in said
        assert "1234567" not in said


@pytest.mark.parametrize("lost", ["hsm", "hsm/tokens", "hsm/pin", "hsm/hsm.json"])
def test_a_missing_token_is_said(hsm: Shell, lost: str) -> None:
    path = hsm.folder / ".kvstack" / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    said = hsm.refused("secret", "show", f"{VAULT}/db-password", "--value")
    assert "Traceback" not in said


def test_a_recovered_vault_has_everything_but_what_the_token_alone_had(empty: Shell, recovery: Path) -> None:
    empty.good("init", "--recovery-key", str(recovery / "public.pem"))
    empty.good("vault", "create", VAULT, "--sku", "premium")
    empty.good("secret", "set", f"{VAULT}/db-password", stdin=b"hunter2")
    kinds = ["RSA"] if "unavailable" in empty.good("hsm", "info").text else ["RSA", "EC-HSM"]
    for kind in kinds:
        empty.good("key", "create", f"{VAULT}/{kind.lower()}", "--type", kind)
    shutil.rmtree(empty.folder / ".kvstack" / "hsm")
    shutil.rmtree(empty.folder / ".kvstack" / "keys")
    empty.refused("secret", "list", VAULT)
    private = str(recovery / "private.pem")
    said = empty.refused("hsm", "recover", "--key", private)
    assert "its password is wrong" in said
    password = recovery / "password"
    password.write_text("open sesame\n")
    result = empty.good("hsm", "recover", "--key", private, "--password-file", str(password))
    assert "2 data keys wrapped anew" in result.text
    assert ("ec-hsm" in result.text) == ("EC-HSM" in kinds)
    assert empty.good("secret", "show", f"{VAULT}/db-password", "--value").out == b"hunter2"
    assert empty.good("key", "sign", f"{VAULT}/rsa", stdin=b"x").text
    if "EC-HSM" in kinds:
        assert "1 version of -HSM keys cannot be used" in result.err
        assert "another root" in empty.refused("key", "sign", f"{VAULT}/ec-hsm", stdin=b"x")
        empty.good("key", "rotate", f"{VAULT}/ec-hsm")
        empty.good("key", "sign", f"{VAULT}/ec-hsm", stdin=b"x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--key", "/nowhere.pem"], "/nowhere.pem: No such file"),
        (["--key", __file__], "no private key in PEM"),
        (["--key", "other.pem"], "without a recovery key"),
        (["--key", "private.pem", "--password-env", "KVSTACK_NO_SUCH"], "KVSTACK_NO_SUCH is not set"),
        (["--key", "private.pem", "--password-file", "/nowhere"], "/nowhere: No such file"),
        (["--key", "private.pem", "--password-file", "a", "--password-env", "B"], "not in both"),
        ([], "Missing option '--key'"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, recovery: Path, options: list[str], words: str) -> None:
    options = [str(recovery / option) if option in ("other.pem", "private.pem") else option for option in options]
    assert words in shell.refused("hsm", "recover", *options)


def test_an_existing_token_is_taken_with_its_pin(hsm: Shell, empty: Shell) -> None:
    """A token that was made by its security officer: here, by another vault."""
    tokens = hsm.folder / ".kvstack" / "hsm"
    (empty.folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {tokens / 'tokens'}\nobjectstore.backend = file\n"
    )
    environment = {
        "SOFTHSM2_CONF": str(empty.folder / "softhsm2.conf"),
        "TOKEN_PIN": (tokens / "pin").read_text().strip(),
    }
    made = empty.process("init", "--token-label", "kvstack", "--pin-env", "TOKEN_PIN", environment=environment)
    assert made.code == 0, made
    assert "environment variable TOKEN_PIN" in made.text
    assert empty.process("vault", "list", environment=environment).text == "No vaults.\n"
    assert "TOKEN_PIN is not set" in empty.process("vault", "list").err
