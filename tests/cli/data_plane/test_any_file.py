"""Whatever a file holds that a command is given: one error in words, and a database that is as it was."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kvstack.hsm.find import find_module
from kvstack.hsm.security_domain_transfer import transfer_key
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.vault.service.pools import custodian_pair

POOL = "treasury"
NEW = f"{VAULT}/new"
OPTIONS = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# `FILE` is where the file is named, `OUT` a new one.
COMMANDS = (
    ("secret", "restore", VAULT, "--file", "FILE"),
    ("key", "restore", VAULT, "--file", "FILE"),
    ("certificate", "restore", VAULT, "--file", "FILE"),
    ("key", "import", NEW, "--file", "FILE"),
    ("key", "import", NEW, "--file", "FILE", "--password-file", "FILE"),
    ("key", "create", NEW, "--type", "RSA", "--exportable", "--release-policy", "FILE"),
    ("key", "set-attributes", f"{VAULT}/signing", "--release-policy", "FILE"),
    ("key", "release", f"{VAULT}/signing", "--attestation", "FILE", "--file", "OUT"),
    ("key", "authority", "trust", "https://attest.example.org", "--file", "FILE"),
    ("certificate", "import", NEW, "--file", "FILE"),
    ("certificate", "import", NEW, "--file", "FILE", "--password-file", "FILE"),
    ("certificate", "pending", "merge", f"{VAULT}/asked", "--file", "FILE"),
    ("certificate", "create", NEW, "--policy", "FILE"),
)
PREPARE = ("hsm", "security-domain", "prepare", "--out", "OUT")
# The same of a Managed HSM, and of what asks for private keys.
OF_POOLS = (
    ("hsm", "restore", POOL, "--file", "FILE", "--yes"),
    ("hsm", "restore", POOL, "--file", "FILE", "--key", "k", "--yes"),
    ("hsm", "security-domain", "join", POOL, "--file", "FILE", "--custodian-key", "KEY"),
    ("hsm", "security-domain", "join", POOL, "--file", "DOMAIN", "--custodian-key", "FILE"),
    ("hsm", "security-domain", "upload", "empty-hsm", "--file", "FILE", "--custodian-key", "KEY"),
    ("hsm", "security-domain", "upload", "empty-hsm", "--file", "DOMAIN", "--custodian-key", "FILE"),
    ("hsm", "security-domain", "download", "empty-hsm", "--custodian", "FILE", "--quorum", "2", "--file", "OUT"),
    (*PREPARE, "--file", "FILE", "--custodian-key", "KEY", "--transfer-key", "CERTIFICATE"),
    (*PREPARE, "--file", "DOMAIN", "--custodian-key", "FILE", "--transfer-key", "CERTIFICATE"),
    (*PREPARE, "--file", "DOMAIN", "--custodian-key", "KEY", "--custodian-key", "KEY-TOO", "--transfer-key", "FILE"),
    ("hsm", "recover", "--key", "FILE", "--no-hsm"),
)

_NAMES = st.sampled_from(
    ["kty", "k", "n", "e", "d", "crv", "x", "y", "keys", "version", "anyOf", "authority", "format", "id", "custodians"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6) | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=4), inner, max_size=4),
)
_BEGINNINGS = (
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----BEGIN PRIVATE KEY-----\nMII",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    b"kvstack backup 1\n",
    b"kvstack managed hsm backup 1\n" + b"0" * 32 + b"\n",
    b"0\x82\x01\x00\x02\x01\x03",
    b"eyJhbGciOiJSUzI1NiJ9.e30.",
    b"subject: ",
    b"",
)
CONTENTS = (
    st.tuples(st.sampled_from(_BEGINNINGS), st.binary(max_size=120)).map(b"".join)
    | _JSON.map(json.dumps).map(str.encode)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
DEEP, DEEP_NAMED = b"[" * 15_000, b'{"custodians":[{"y":' + b'{"a":' * 3_000


def rows(folder: Path) -> dict[str, list[Any]]:
    """Everything in the database but the record of who asked for what."""
    (database,) = folder.rglob("vault.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [name for name in tables if name not in ("audit", "audit_checkpoints", "ledger")]
        return {name: opened.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in kept}


def check(shell: Shell, command: tuple[str, ...], content: bytes, **places: Path) -> None:
    """Give a command a file with this content. It is refused, as no such file is any good."""
    file, out = shell.folder.parent / "file", shell.folder.parent / "out"
    file.write_bytes(content)
    named = {"FILE": file, "OUT": out, **places}
    before = rows(shell.folder)
    result = shell(*(str(named.get(word, word)) for word in command))
    assert (result.code, result.out) == (1, b""), (command, result)
    assert result.err.count("error:") == 1, (command, result)
    assert "Traceback" not in result.err
    assert rows(shell.folder) == before
    assert not out.exists()


@pytest.fixture
def vault(shell: Shell) -> Shell:
    shell.good("certificate", "create", f"{VAULT}/asked", "--subject", "CN=asked", "--issuer", "Unknown")
    return shell


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@given(content=CONTENTS)
@example(content=DEEP)
@example(content=DEEP_NAMED)
@example(content=b'{"\xff":1}')
@OPTIONS
def test_a_vault(vault: Shell, command: tuple[str, ...], content: bytes) -> None:
    check(vault, command, content)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, dict[str, Path]]:
    """A folder with an activated Managed HSM, one that waits, and its custodians' files. Nothing here changes it."""
    if find_module() is None:
        pytest.skip("needs a PKCS#11 module (SoftHSM2)")
    folder = tmp_path_factory.mktemp("pools")
    (folder / "project").mkdir()
    shell = Shell(folder / "project")
    options = []
    for number in range(3):
        public, private = custodian_pair(number)
        (folder / f"{number}.pem").write_bytes(public)
        (folder / f"{number}.key").write_bytes(private)
        options += ["--custodian", str(folder / f"{number}.pem")]
    shell.good("init", "--hsm", "--recovery-key", str(folder / "0.pem"))
    shell.good("managed-hsm", "create", POOL)
    shell.good("managed-hsm", "create", "empty-hsm")
    domain = folder / "domain"
    shell.good("hsm", "security-domain", "download", POOL, *options, "--quorum", "2", "--file", str(domain))
    certificate = folder / "transfer.pem"
    made = load_der_x509_certificate(transfer_key(POOL, datetime(2026, 3, 1, tzinfo=UTC)).certificate)
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    keys = {"KEY": folder / "0.key", "KEY-TOO": folder / "1.key"}
    return shell, {"DOMAIN": domain, "CERTIFICATE": certificate, **keys}


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_POOLS, ids=" ".join)
@given(content=CONTENTS)
@example(content=DEEP)
@example(content=DEEP_NAMED)
@example(content=b'{"\xff":1}')
@OPTIONS
def test_a_managed_hsm(pool: tuple[Shell, dict[str, Path]], command: tuple[str, ...], content: bytes) -> None:
    shell, places = pool
    check(shell, command, content, **places)
