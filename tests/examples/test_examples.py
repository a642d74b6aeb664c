"""Every example is a stack that works: made, checked, planned, applied, found unchanged, and taken down again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from kvstack.declare.stack_schema import schema
from kvstack.declare.yaml import data
from kvstack.hsm.find import find_module
from tests.hsm.pools import public_pem

EXAMPLES = Path(__file__).parents[2] / "examples"
VALUES = {"DB_PASSWORD": "correct horse", "BANK_TOKEN": "battery staple"}

# Example, environment, how many things it declares, the variables that make all its keys software keys.
CASES = [
    pytest.param("minimal", None, 2, [], id="minimal"),
    pytest.param("payments", "dev", 15, ["signing_key=RSA", "archive_key=oct"], id="payments-dev"),
    pytest.param("payments", "prod", 15, ["signing_key=RSA", "archive_key=oct"], id="payments-prod"),
    pytest.param("envelope", None, 2, ["key_type=RSA"], id="envelope"),
    pytest.param("consumer", None, 4, [], id="consumer"),
    pytest.param("rotator-postgresql", None, 2, [], id="rotator-postgresql"),
    pytest.param("platform", None, 200, ["rsa=RSA", "ec=EC", "oct=oct"], id="platform"),
]
NO_HSM = "no PKCS#11 module is found: the examples' keys of type -HSM were made as software keys"


class CommandLine:
    """The real command line in a copy of an example."""

    def __init__(self, folder: Path, environment: str | None, variables: list[str]) -> None:
        self._start = [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder)]
        self._start += ["--env", environment] if environment else []
        self._start += [part for variable in variables for part in ("--var", variable)]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a verb, require its exit code, and return its standard output."""
        finished = subprocess.run(
            [*self._start, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, **VALUES, "PYTHONPATH": str(EXAMPLES.parent)},
        )
        assert finished.returncode == code, f"{arguments}: {finished.returncode}\n{finished.stdout}\n{finished.stderr}"
        return finished.stdout


def _copied(example: str, folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / example, folder / example, ignore=shutil.ignore_patterns(".kvstack")))


def _life(kvstack: CommandLine, things: int) -> None:
    kvstack("init")
    kvstack("validate")
    planned = json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=2))
    assert planned["summary"]["create"] == things == len(planned["changes"])
    kvstack("apply", "--yes")
    assert json.loads(kvstack("plan", "--json", "--detailed-exitcode"))["changes"] == []
    kvstack("drift")
    kvstack("destroy", "--yes")
    assert len(json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=2))["changes"]) == things


@pytest.mark.slow
@pytest.mark.parametrize(("example", "environment", "things", "software"), CASES)
def test_an_example_lives_and_ends(
    tmp_path: Path, example: str, environment: str | None, things: int, software: list[str]
) -> None:
    hsm = find_module() is not None
    _life(CommandLine(_copied(example, tmp_path), environment, [] if hsm else software), things)
    if not hsm and software:
        pytest.skip(NO_HSM)


@pytest.mark.parametrize(("example", "environment", "things", "software"), CASES)
def test_an_example_needs_no_hsm_where_its_variables_say_so(
    tmp_path: Path, example: str, environment: str | None, things: int, software: list[str]
) -> None:
    kvstack = CommandLine(_copied(example, tmp_path), environment, software)
    kvstack("init", "--no-hsm")
    kvstack("apply", "--yes")
    assert json.loads(kvstack("plan", "--json"))["changes"] == []


@pytest.mark.slow
def test_both_environments_of_payments_live_side_by_side(tmp_path: Path) -> None:
    folder = _copied("payments", tmp_path)
    dev, prod = (CommandLine(folder, name, ["signing_key=RSA", "archive_key=oct"]) for name in ("dev", "prod"))
    dev("init", "--no-hsm")
    dev("apply", "--yes")
    prod("apply", "--yes")
    dev("destroy", "--yes")
    assert json.loads(prod("plan", "--json"))["changes"] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/kvstack.yaml")), ids=lambda path: path.parent.name)
def test_an_editor_is_content_with_an_example(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == EXAMPLES.parent / "schemas" / "stack.json"
    jsonschema.Draft202012Validator(schema()).validate(data(path.read_bytes(), path.name))


@pytest.mark.slow
@pytest.mark.skipif(find_module() is None, reason="no PKCS#11 module is found: a Managed HSM needs one")
def test_a_managed_hsm_is_made_activated_and_filled(tmp_path: Path) -> None:
    folder = _copied("managed-hsm", tmp_path)
    kvstack = CommandLine(folder, None, [])
    kvstack("init")
    kvstack("validate")
    first = json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=3))
    assert [change["address"] for change in first["changes"]] == ["vaulting-hsm"]
    assert {entry["address"] for entry in first["unread"]} == {
        "vaulting-hsm/keys/signing",
        "vaulting-hsm/keys/archive",
        "vaulting-hsm/roles/signer",
        "vaulting-hsm/access/payments-api/signer/keys/signing",
        "vaulting-hsm/access/auditors/managed-hsm-crypto-auditor",
    }
    aimed = json.loads(kvstack("plan", "--json", "--target", "vaulting-hsm/keys/signing"))
    assert [change["address"] for change in aimed["changes"]] == ["vaulting-hsm"]
    assert [entry["address"] for entry in aimed["unread"]] == ["vaulting-hsm/keys/signing"]
    kvstack("apply", "--yes")
    waiting = json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=3))
    assert waiting["changes"] == []
    assert all("kvstack hsm security-domain download" in entry["reason"] for entry in waiting["unread"])
    download = ["hsm", "security-domain", "download", "vaulting-hsm", "--quorum", "2", "--file", str(folder / "domain")]
    for name in ("alice", "bob", "carol"):
        (folder / f"{name}.pem").write_bytes(public_pem(name))
        download += ["--custodian", str(folder / f"{name}.pem")]
    kvstack(*download)
    # As on Azure, an administrator may not use keys until somebody, he too, gives him the role.
    for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
        kvstack("managed-hsm", "role", "assign", "vaulting-hsm", "--principal", "operator", "--role", role)
    given = "vaulting-hsm/access/payments-api"
    aimed = json.loads(kvstack("plan", "--json", "--target", given))["changes"]
    assert {change["address"] for change in aimed} == {f"{given}/signer/keys/signing", "vaulting-hsm/roles/signer"}
    assert json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=2))["summary"]["create"] == 5
    kvstack("apply", "--yes")
    assert json.loads(kvstack("plan", "--json", "--detailed-exitcode"))["changes"] == []
    kvstack("drift")
    kvstack("key", "rotate", "vaulting-hsm/signing")
    kvstack("drift")
    kvstack("key", "delete", "vaulting-hsm/archive")
    drifted = json.loads(kvstack("drift", "--json", code=2))["drift"]
    assert [(one["address"], one["what"]) for one in drifted] == [("vaulting-hsm/keys/archive", "deleted")]
    kvstack("apply", "--yes")
    kvstack("drift")
    kvstack("destroy", "--yes")
    recovered = json.loads(kvstack("plan", "--json", "--detailed-exitcode", code=2))["summary"]
    assert (recovered["recover"], recovered["create"]) == (6, 0)
    kvstack("apply", "--yes")
    assert json.loads(kvstack("plan", "--json", "--detailed-exitcode"))["changes"] == []
