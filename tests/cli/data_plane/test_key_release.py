"""Releasing a key by the command line: authorities, policies, attestations, and what is refused."""

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kvstack.hsm.plain_key import of_private
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.fakes.attestation import Authority, Environment, policy, text

AUTHORITY = Authority()
ENVIRONMENT = Environment()
KEY = f"{VAULT}/leaves"


def token(**more: Any) -> bytes:
    claims = ENVIRONMENT.claims(AUTHORITY.url, time.time(), **{"x-ms-attestation-type": "sevsnpvm", **more})
    return AUTHORITY.token(claims).encode() + b"\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "policy.json").write_bytes(policy(AUTHORITY.url))
    (folder / "other.json").write_bytes(policy("https://other.example.com"))
    (folder / "jwks.json").write_bytes(AUTHORITY.jwks())
    return folder


@pytest.fixture
def made(shell: Shell, files: Path) -> Shell:
    shell.good("key", "create", KEY, "--type", "EC", "--exportable", "--release-policy", str(files / "policy.json"))
    shell.good("key", "authority", "trust", AUTHORITY.url, "--file", str(files / "jwks.json"))
    return shell


def test_a_key_is_released_into_a_file(made: Shell, files: Path) -> None:
    shown = made.good("key", "show", KEY, "--json").json
    assert (shown["exportable"], shown["release_policy"]["immutable"]) == (True, False)
    assert "to whom its release policy names" in made.good("key", "show", KEY).words
    out = files / "answer"
    made.good("key", "release", KEY, "--file", str(out), "--nonce", "n", stdin=token())
    private, answered = ENVIRONMENT.opened(out.read_bytes())
    assert answered["request"]["nonce"] == "n"
    assert shown["public"]["x"] == text(of_private(load_der_private_key(private, None)).public.x)
    assert "already" in made.refused("key", "release", KEY, "--file", str(out), stdin=token())
    assert "BEGIN CERTIFICATE" in made.good("key", "release-certificate", VAULT).text


def test_nothing_is_written_where_it_is_refused(made: Shell, files: Path) -> None:
    out = files / "answer"
    for content, words in ((b"", "three parts"), (b"\xff", "compact JWS"), (token(exp=1), "expired")):
        assert words in made.refused("key", "release", KEY, "--file", str(out), stdin=content)
    made.good("key", "authority", "remove", AUTHORITY.url)
    assert "nobody trusts" in made.refused("key", "release", KEY, "--file", str(out), stdin=token())
    assert not out.exists()


def test_authorities_are_listed(made: Shell) -> None:
    assert made.good("key", "authority", "list", "--json").json == {
        "authorities": [{"url": AUTHORITY.url, "keys": ["a"]}]
    }
    assert AUTHORITY.url in made.good("key", "authority", "list").words
    made.good("key", "authority", "remove", AUTHORITY.url)
    assert made.good("key", "authority", "list").words == "No authorities."
    assert "trusts no authority" in made.refused("key", "authority", "remove", AUTHORITY.url)
    assert "JSON" in made.refused("key", "authority", "trust", AUTHORITY.url, "--file", "-", stdin=b"{")


def test_a_policy_changes_until_it_is_immutable(made: Shell, files: Path) -> None:
    other = ("--release-policy", str(files / "other.json"))
    made.good("key", "set-attributes", KEY, *other, "--immutable")
    assert "immutable" in made.refused("key", "set-attributes", KEY, "--release-policy", str(files / "policy.json"))
    assert "immutable release policy" in made.good("key", "show", KEY).words
    assert "--release-policy" in made.refused("key", "set-attributes", KEY, "--immutable")


def test_an_imported_key_is_exportable_too(made: Shell, files: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    options = ("--exportable", "--release-policy", str(files / "policy.json"))
    made.good("key", "import", f"{VAULT}/in", "--file", "-", *options, stdin=pem)
    made.good("key", "release", f"{VAULT}/in", "--file", str(files / "in"), stdin=token())
    private, _ = ENVIRONMENT.opened((files / "in").read_bytes())
    key = load_der_private_key(private, None)
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == pem


@pytest.mark.parametrize(
    ("options", "words"), [(("--exportable",), "needs a release policy"), ((), "not exportable has no release policy")]
)
def test_exportable_and_policy_go_together(made: Shell, files: Path, options: tuple[str, ...], words: str) -> None:
    more = () if options else ("--release-policy", str(files / "policy.json"))
    assert words in made.refused("key", "create", f"{VAULT}/new", "--type", "EC", *options, *more)
