"""A secret value is where it was asked for and nowhere else: not in errors, notes, files, or another verb's answer."""

from pathlib import Path

import pytest

from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Result, Shell

CANARY = b"canary-7c1f5e0a9b3d"
SECRET = f"{VAULT}/canary"

# Every verb, in an order in which each finds what it needs; {out} is a folder outside the project.
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("secret", "set", SECRET),
    # Its only version: with another one that is enabled it would be that one's value.
    ("secret", "set-attributes", SECRET, "--disabled", "--json"),
    ("secret", "show", SECRET, "--value"),
    ("secret", "set-attributes", SECRET, "--enabled"),
    ("secret", "set", SECRET, "--content-type", "text/plain", "--tag", "a=b", "--json"),
    ("secret", "set", SECRET, "--expires", "tomorrow"),
    ("secret", "set", f"{VAULT}/_"),
    ("secret", "set", "nowhere/canary"),
    ("secret", "set", SECRET, "--content-type", "x" * 300),
    ("secret", "show", SECRET),
    ("secret", "show", SECRET, "--json"),
    ("secret", "list", VAULT, "--json"),
    ("secret", "list-versions", SECRET, "--json"),
    ("secret", "download", SECRET, "--file", "{out}/there"),
    ("secret", "rotation-policy", "update", SECRET, "--every", "P30D", "--length", "20", "--json"),
    ("secret", "rotate", SECRET, "--json"),
    # A rotator that prints whatever it is asked, values and all, and takes nothing.
    ("secret", "set", SECRET, "--content-type", "text/plain"),
    ("secret", "rotation-policy", "update", SECRET, "--every", "P30D", "--rotator-command", "sh -c 'cat >&2; exit 1'"),
    ("secret", "rotate", SECRET, "--json"),
    ("secret", "rotate", SECRET),
    ("secret", "rotation-status", SECRET, "--json"),
    ("secret", "rotation-status", SECRET),
    ("secret", "rotation-policy", "show", SECRET, "--json"),
    ("secret", "delete", SECRET, "--json"),
    ("secret", "set", SECRET),
    ("secret", "list-deleted", VAULT, "--json"),
    ("secret", "recover", SECRET, "--json"),
    ("key", "create", f"{VAULT}/k", "--type", "oct", "--json"),
    ("key", "encrypt", f"{VAULT}/k", "--json"),
    ("key", "encrypt", f"{VAULT}/k", "--algorithm", "A128GCM"),
    ("key", "wrap", f"{VAULT}/k"),
    ("key", "sign", f"{VAULT}/signing", "--json"),
    ("key", "sign", f"{VAULT}/signing", "--digest", "00"),
    ("key", "verify", f"{VAULT}/signing", "--signature", "AAAA"),
    ("key", "decrypt", f"{VAULT}/k"),
    ("key", "unwrap", f"{VAULT}/k"),
    ("key", "show", f"{VAULT}/k", "--json"),
    ("key", "rotate", f"{VAULT}/k", "--json"),
    ("vault", "show", VAULT, "--json"),
    ("vault", "list", "--json"),
    ("access", "list", "--json"),
    ("run-due", "--json"),
    ("run-due", "--at", "2999-01-01T00:00:00Z", "--json"),
    ("hsm", "info", "--json"),
    ("hsm", "recover", "--key", "{out}/there"),
    ("init",),
    ("audit", "verify", "--json"),
    ("audit", "tail", "-n", "1000", "--json"),
    ("secret", "delete", SECRET),
    ("secret", "purge", SECRET, "--yes", "--json"),
    ("vault", "delete", VAULT, "--json"),
    ("vault", "list-deleted", "--json"),
    ("vault", "purge", VAULT, "--yes"),
)


@pytest.fixture(params=["software", "hsm"])
def project(request: pytest.FixtureRequest) -> Shell:
    found: Shell = request.getfixturevalue({"software": "shell", "hsm": "hsm"}[request.param])
    return found


def test_a_value_is_nowhere_it_was_not_asked_for(project: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "there").write_bytes(CANARY)
    for command in COMMANDS:
        arguments = [argument.format(out=out) for argument in command]
        result = project(*arguments, stdin=CANARY)
        told = result.out + result.err.encode()
        assert CANARY not in told, arguments
        assert b"Traceback" not in told, arguments
        assert _nowhere(project.folder), arguments


def test_a_value_is_where_it_was_asked_for(project: Shell, tmp_path: Path) -> None:
    project.good("secret", "set", SECRET, stdin=CANARY)
    shown = project.good("secret", "show", SECRET, "--value")
    assert shown == Result(0, CANARY, "")
    project.good("secret", "download", SECRET, "--file", str(tmp_path / "value"))
    assert (tmp_path / "value").read_bytes() == CANARY
    assert _nowhere(project.folder)


def _nowhere(folder: Path) -> bool:
    return not any(CANARY in path.read_bytes() for path in folder.rglob("*") if path.is_file())
