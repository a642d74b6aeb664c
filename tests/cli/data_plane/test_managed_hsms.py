"""Managed HSMs on the command line: the whole life, what is told, what is refused; and runs that are killed."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from kvstack.hsm.find import find_module
from tests.cli.data_plane.shell import ROOT, Shell
from tests.vault.service.pools import custodian_pair

POOL = "treasury"
DIGEST = hashlib.sha256(b"message").hexdigest()

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)


class Custodians:
    """Files of custodians' keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for number in range(3):
            public, private = custodian_pair(number)
            (folder / f"{number}.pem").write_bytes(public)
            (folder / f"{number}.key").write_bytes(private)

    @property
    def given(self) -> tuple[str, ...]:
        """The options that name them all."""
        return tuple(word for number in range(3) for word in ("--custodian", str(self.folder / f"{number}.pem")))

    def keys(self, *numbers: int) -> tuple[str, ...]:
        """The options that name some of their private keys."""
        return tuple(word for number in numbers for word in ("--custodian-key", str(self.folder / f"{number}.key")))


@pytest.fixture
def people(tmp_path: Path) -> Custodians:
    return Custodians(tmp_path / "custodians")


@pytest.fixture(scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shell = Shell(tmp_path_factory.mktemp("store"))
    shell.good("init", "--hsm")
    return shell.folder


@pytest.fixture
def fresh(tmp_path: Path, _store: Path) -> Shell:
    """A folder with a vault on SoftHSM and nothing in it."""
    return _copied(_store, tmp_path / "project")


@pytest.fixture(scope="module")
def _pool(tmp_path_factory: pytest.TempPathFactory, _store: Path) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    people, shell = Custodians(folder / "custodians"), _copied(_store, folder / "project")
    shell.good("managed-hsm", "create", POOL, "--tokens", "2")
    shell.good(
        "hsm", "security-domain", "download", POOL, *people.given, "--quorum", "2", "--file", str(folder / "domain")
    )
    for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
        shell.good("managed-hsm", "role", "assign", POOL, "--principal", _operator(shell), "--role", role)
    shell.good("key", "create", f"{POOL}/k", "--type", "EC-HSM")
    return folder


@pytest.fixture
def pool(tmp_path: Path, _pool: Path) -> Shell:
    """A folder with the Managed HSM `treasury` of two tokens, activated, with the key `k`."""
    return _copied(_pool / "project", tmp_path / "project")


@pytest.fixture
def domain(_pool: Path) -> str:
    """The file of its security domain."""
    return str(_pool / "domain")


def _copied(prepared: Path, target: Path) -> Shell:
    shutil.copytree(prepared, target)
    return Shell(target)


def _operator(shell: Shell) -> str:
    found: str = shell.good("access", "list", "--json").json["role_assignments"][0]["principal_id"]
    return found


def _signed(shell: Shell) -> str:
    found: str = shell.good("key", "sign", f"{POOL}/k", "--algorithm", "ES256", "--digest", DIGEST, "--json").json[
        "signature"
    ]
    return found


def test_it_is_made_and_shown_and_waits_for_its_activation(fresh: Shell) -> None:
    made = fresh.good("managed-hsm", "create", POOL, "--tokens", "2", "--tag", "team=money", "--json").json
    assert (made["name"], made["tokens"], made["activated"], made["security_domain"]) == (POOL, 2, None, None)
    assert (made["tags"], "sku" in made) == ({"team": "money"}, False)
    assert f"{POOL} local 2 no 90 days no" in fresh.good("managed-hsm", "list").words
    assert "activated no" in fresh.good("managed-hsm", "show", POOL).words
    health = fresh("managed-hsm", "tokens", POOL)
    assert (health.code, health.words.count("without domain")) == (0, 2)
    refused = fresh.refused("key", "create", f"{POOL}/k", "--type", "EC-HSM")
    assert "is not activated" in refused
    assert f"kvstack hsm security-domain download {POOL}" in refused
    assert "`treasury` is a Managed HSM" in fresh.refused("vault", "show", POOL)


def test_the_security_domain_is_a_private_file_and_written_again_where_it_was_lost(
    fresh: Shell, people: Custodians, tmp_path: Path
) -> None:
    fresh.good("managed-hsm", "create", POOL)
    file = tmp_path / "domain"
    download = ("hsm", "security-domain", "download", POOL, *people.given, "--quorum", "2", "--file")
    done = fresh.good(*download, str(file))
    assert f"activated Managed HSM {POOL}: any 2 of 3 custodians restore it" in done.words
    assert file.stat().st_mode & 0o777 == 0o600
    assert "there is a file" in fresh.refused(*download, str(file))
    again = tmp_path / "again"
    fresh.good(*download, str(again))
    assert again.read_bytes() == file.read_bytes()
    other = tmp_path / "other"
    others = (*people.given[:-2], "--custodian", str(ROOT / "LICENSE"))
    assert "LICENSE: this is no custodian's" in fresh.refused(
        "hsm", "security-domain", "download", POOL, *others, "--quorum", "2", "--file", str(other)
    )
    assert "is activated already" in fresh.refused(
        "hsm", "security-domain", "download", POOL, *people.given, "--quorum", "3", "--file", str(other)
    )
    assert not other.exists()


def test_the_folder_can_be_moved_and_looked_at_from_elsewhere(
    pool: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pool.folder)
    Shell(Path()).good("managed-hsm", "update", POOL, "--tokens", "3")
    monkeypatch.chdir(tmp_path)
    moved = Shell(pool.folder.rename(tmp_path / "moved"))
    states = [one["state"] for one in moved("managed-hsm", "tokens", POOL, "--json").json["tokens"]]
    assert states == ["ready", "ready", "without_domain"]
    _signed(moved)


def test_keys_work_with_its_name(pool: Shell) -> None:
    signature = _signed(pool)
    checked = pool.good(
        "key", "verify", f"{POOL}/k", "--algorithm", "ES256", "--digest", DIGEST, "--signature", signature, "--json"
    )
    assert checked.json["valid"] is True
    assert "the Managed HSM, wrapped under its security domain" in pool.good("key", "show", f"{POOL}/k").words
    assert "takes no EC key" in pool.refused("key", "create", f"{POOL}/soft", "--type", "EC")
    assert "neither secrets nor certificates" in pool.refused("secret", "set", f"{POOL}/s", stdin=b"value")
    for verb in ("delete", "recover", "delete"):
        pool.good("key", verb, f"{POOL}/k")
    assert "k" in pool.good("key", "list-deleted", POOL).words
    pool.good("key", "purge", f"{POOL}/k", "--yes")
    assert pool.good("key", "list", POOL, "--json").json == {"keys": []}


def test_roles_are_given_seen_and_taken(pool: Shell) -> None:
    somebody = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
    given = pool.good(
        "managed-hsm", "role", "assign", POOL, "--principal", somebody, "--type", "user",
        "--role", "managed hsm crypto auditor", "--scope", "/keys/k", "--json",
    ).json  # fmt: skip
    assert (given["role"], given["scope"]) == ("Managed HSM Crypto Auditor", "/keys/k")
    assert "Managed HSM Crypto Auditor /keys/k" in pool.good("managed-hsm", "role", "list", POOL).words
    assert (
        "took `Managed HSM Crypto Auditor` at /keys/k"
        in pool.good("managed-hsm", "role", "remove", POOL, given["id"]).words
    )
    signer = "Microsoft.KeyVault/managedHsm/keys/sign/action"
    own = pool.good("managed-hsm", "role", "define", POOL, "Signer", "--data-action", signer, "--json").json
    assert (own["built_in"], own["data_actions"]) == (False, [signer])
    assert "Signer its own" in pool.good("managed-hsm", "role", "definitions", POOL).words
    pool.good("managed-hsm", "role", "undefine", POOL, own["id"])
    assert "Signer" not in pool.good("managed-hsm", "role", "definitions", POOL).words
    assert "did you mean" in pool.refused(
        "managed-hsm", "role", "assign", POOL, "--principal", somebody, "--type", "user", "--role", "Managed HSM Bakup"
    )


def test_it_is_deleted_recovered_and_purged_with_its_tokens(pool: Shell) -> None:
    tokens = pool.folder / ".kvstack/hsm/tokens"
    assert len(list(tokens.iterdir())) == 3
    pool.good("managed-hsm", "delete", POOL)
    assert f"kvstack managed-hsm recover {POOL}" in pool.refused("managed-hsm", "show", POOL)
    assert f"kvstack managed-hsm recover {POOL}" in pool.refused("key", "show", f"{POOL}/k")
    assert f"kvstack managed-hsm recover {POOL}" in pool.refused("managed-hsm", "create", POOL)
    assert POOL in pool.good("managed-hsm", "list-deleted").words
    pool.good("managed-hsm", "recover", POOL)
    _signed(pool)
    pool.good("managed-hsm", "delete", POOL)
    assert "nothing was done" in pool.refused("managed-hsm", "purge", POOL)
    assert pool.good("managed-hsm", "purge", POOL, "--yes", "--json").json["left"] == []
    assert len(list(tokens.iterdir())) == 1


def test_a_lost_token_is_told_and_another_joins(pool: Shell, people: Custodians, domain: str) -> None:
    lost = pool.good("managed-hsm", "tokens", POOL, "--json").json["tokens"][0]
    _lose(pool, lost["serial"])
    health = pool("managed-hsm", "tokens", POOL, "--json")
    assert (health.code, [one["state"] for one in health.json["tokens"]]) == (1, ["lost", "ready"])
    _signed(pool)
    pool.good("managed-hsm", "update", POOL, "--tokens", "3")
    join = ("hsm", "security-domain", "join", POOL, "--file", domain)
    assert "needs the keys of 2 of its custodians" in pool.refused(*join, *people.keys(1))
    assert "1 token of Managed HSM treasury joined" in pool.good(*join, *people.keys(1, 2)).words
    health = pool("managed-hsm", "tokens", POOL, "--json")
    assert [one["state"] for one in health.json["tokens"]] == ["lost", "ready", "ready"]


def test_everything_comes_back_in_another_store(pool: Shell, people: Custodians, domain: str, tmp_path: Path) -> None:
    signature, backup = _signed(pool), str(tmp_path / "backup")
    pool.good("hsm", "backup", POOL, "--file", backup)
    other = Shell(tmp_path / "other")
    other.folder.mkdir()
    other.good("init", "--hsm")
    other.good("managed-hsm", "create", POOL)
    upload = ("hsm", "security-domain", "upload", POOL, "--file", domain)
    assert "needs the keys of 2" in other.refused(*upload, *people.keys(0))
    assert "is not activated" in other.refused("hsm", "restore", POOL, "--file", backup, "--yes")
    other.good(*upload, *people.keys(0, 2))
    assert "nothing was done" in other.refused("hsm", "restore", POOL, "--file", backup)
    restored = other.good("hsm", "restore", POOL, "--file", backup, "--yes", "--json").json
    assert (restored["keys"], restored["gone"]) == (["k"], [])
    for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
        other.good("managed-hsm", "role", "assign", POOL, "--principal", _operator(other), "--role", role)
    check = ("key", "verify", f"{POOL}/k", "--algorithm", "ES256", "--digest", DIGEST, "--signature")
    assert other.good(*check, signature, "--json").json["valid"] is True
    assert pool.good(*check, _signed(other), "--json").json["valid"] is True
    other.good("key", "delete", f"{POOL}/k")
    one = ("hsm", "restore", POOL, "--file", backup, "--key", "k")
    assert "is soft-deleted" in other.refused(*one)
    other.good("key", "purge", f"{POOL}/k", "--yes")
    assert "restored key treasury/k with 1 version" in other.good(*one).words


def test_an_encrypted_key_of_a_custodian_needs_its_password(
    fresh: Shell, people: Custodians, domain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.good("managed-hsm", "create", POOL)
    private = load_pem_private_key((people.folder / "0.key").read_bytes(), None)
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    (people.folder / "0.key").write_bytes(locked)
    upload = ("hsm", "security-domain", "upload", POOL, "--file", domain, *people.keys(0, 1))
    assert "0.key: the custodian's private key is encrypted" in fresh.refused(*upload)
    monkeypatch.setenv("CUSTODIAN", "wrong")
    assert "its password is wrong" in fresh.refused(*upload, "--password-env", "CUSTODIAN")
    monkeypatch.setenv("CUSTODIAN", "open sesame")
    fresh.good(*upload, "--password-env", "CUSTODIAN")


@pytest.mark.parametrize("content", [b"", b"\0", b"{}", b"kvstack managed hsm backup 1\n", b"\xff" * 500])
def test_files_that_are_something_else_are_one_clear_error(
    pool: Shell, fresh_file: Path, people: Custodians, content: bytes
) -> None:
    fresh_file.write_bytes(content)
    file = str(fresh_file)
    assert "this is no backup of a Managed HSM" in pool.refused("hsm", "restore", POOL, "--file", file, "--yes")
    assert "this is no backup of a Managed HSM" in pool.refused("hsm", "restore", POOL, "--file", file, "--key", "k")
    assert "this is no security domain" in pool.refused(
        "hsm", "security-domain", "join", POOL, "--file", file, *people.keys(0, 1)
    )
    assert "this is no custodian's private key" in pool.refused(
        "hsm", "security-domain", "join", POOL, "--file", file, "--custodian-key", file
    )


@pytest.fixture
def fresh_file(tmp_path: Path) -> Path:
    return tmp_path / "something"


def test_a_creation_killed_at_any_instant_is_done_or_leaves_nothing_that_stays(fresh: Shell) -> None:
    tokens = fresh.folder / ".kvstack/hsm/tokens"
    outcomes = set()
    for delay in _instants(fresh, "managed-hsm", "create", "another", "--tokens", "3"):
        _killed(fresh, delay, "managed-hsm", "create", POOL, "--tokens", "3")
        done = POOL in fresh.good("managed-hsm", "list").words
        outcomes.add((done, len(list(tokens.iterdir()))))
        if not done:
            fresh.good("managed-hsm", "create", POOL, "--tokens", "3")
        assert len(fresh.good("managed-hsm", "tokens", POOL, "--json").json["tokens"]) == 3
        assert len(list(tokens.iterdir())) == 7
        fresh.good("managed-hsm", "delete", POOL)
        fresh.good("managed-hsm", "purge", POOL, "--yes")
        assert len(list(tokens.iterdir())) == 4
    assert any(not done for done, _ in outcomes)
    fresh.good("audit", "verify")


def test_an_activation_killed_at_any_instant_is_finished_by_asking_again(
    fresh: Shell, people: Custodians, tmp_path: Path
) -> None:
    def download(name: str, file: Path) -> tuple[str, ...]:
        return ("hsm", "security-domain", "download", name, *people.given, "--quorum", "2", "--file", str(file))

    fresh.good("managed-hsm", "create", "another", "--tokens", "2")
    outcomes = set()
    for number, delay in enumerate(_instants(fresh, *download("another", tmp_path / "another"))):
        fresh.good("managed-hsm", "create", POOL, "--tokens", "2")
        file = tmp_path / f"domain-{number}"
        _killed(fresh, delay, *download(POOL, file))
        outcomes.add(file.exists())
        if not file.exists():
            fresh.good(*download(POOL, file))
        assert fresh.good("managed-hsm", "tokens", POOL).words.count("ready") == 2
        operator = _operator(fresh)
        fresh.good("managed-hsm", "role", "assign", POOL, "--principal", operator, "--role", "Managed HSM Crypto User")
        fresh.good("key", "create", f"{POOL}/k", "--type", "EC-HSM")
        fresh.good("managed-hsm", "delete", POOL)
        fresh.good("managed-hsm", "purge", POOL, "--yes")
    assert False in outcomes


def _instants(shell: Shell, *arguments: str) -> list[float]:
    """Return when to kill a command: spread over the second half of what one of its kind takes, where its work is."""
    began = time.monotonic()
    assert shell.process(*arguments).code == 0
    whole = time.monotonic() - began
    return [whole * (0.5 + part / 16) for part in range(8)]


def _killed(shell: Shell, delay: float, *arguments: str) -> None:
    """Start a command and kill it after a while, as the power would; it may be done by then."""
    running = subprocess.Popen(
        shell.command(*arguments),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        running.wait(delay)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGKILL)
        running.wait()


def _lose(shell: Shell, serial: str) -> None:
    """Take a token's files away, as if its disk had gone."""
    hsm = shell.folder / ".kvstack/hsm"
    (folder,) = [path for path in (hsm / "tokens").iterdir() if path.name.replace("-", "").endswith(serial)]
    shutil.rmtree(folder)
    (hsm / f"token-copies/{folder.name}.object").unlink()


def test_who_can_do_what_inside_is_told_from_local_roles(pool: Shell) -> None:
    somebody = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
    give = ("managed-hsm", "role", "assign", POOL, "--principal", somebody, "--type", "user")
    pool.good(*give, "--role", "Managed HSM Crypto User", "--scope", "/keys/k")
    said = pool.good("access", "who-can", "keys/sign", f"{POOL}/keys/k").words
    assert f"{somebody} Managed HSM Crypto User /keys/k in managed_hsm/{POOL}" in said
    assert f"operator Managed HSM Crypto User / in managed_hsm/{POOL}" in said
    assert somebody not in pool.good("access", "who-can", "keys/sign", f"managed_hsm/{POOL}/keys").text
    assert pool.good("access", "explain", somebody, "keys/sign", f"{POOL}/keys/k").text.splitlines() == [
        f"{somebody} can sign with keys at managed_hsm/{POOL}/keys/k.",
        f"  `Managed HSM Crypto User` at /keys/k in managed_hsm/{POOL}",
    ]
    assert pool.good("access", "explain", somebody, "hsm/random", POOL).text.splitlines() == [
        f"{somebody} cannot draw random bytes at managed_hsm/{POOL}.",
        "  no role that reaches it there allows that",
        f"  the least that would: `Managed HSM Crypto User` at / in managed_hsm/{POOL}",
    ]
    asked = pool.good("access", "who-can", "keys/sign", f"{POOL}/keys/k", "--json").json
    assert (asked["action"], asked["scope"]) == (
        "Microsoft.KeyVault/managedHsm/keys/sign/action",
        f"managed_hsm/{POOL}/keys/k",
    )
    (by,) = [one["by"] for one in asked["principals"] if one["principal_id"] == somebody]
    assert (by["role"], by["local_scope"], by["scope"]) == (
        "Managed HSM Crypto User",
        "/keys/k",
        f"managed_hsm/{POOL}/keys/k",
    )
    assert f"/keys/k in managed_hsm/{POOL} always" in pool.good("access", "list", somebody).words
    assert pool.good("access", "list", somebody, "--scope", "subscription", "--json").json["role_assignments"][0][
        "local_scope"
    ] == ("/keys/k")
    assert pool.good("access", "list", somebody, "--scope", "resource_group/other").text.startswith("No role")
    assert "operator" in pool.good("access", "who-can", "vaults/delete", POOL).text
    assert "it holds keys, and nobody can read secrets in it" in pool.refused("access", "who-can", "secrets/get", POOL)
    pool.good("vault", "create", "plain")
    assert "is a right inside a Managed HSM" in pool.refused("access", "who-can", "hsm/random", "plain")
