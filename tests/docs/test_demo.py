"""`make demo` tells the whole story, with an HSM and without."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from tests.docs.shell import ROOT, put_kvstack


def _place(link: Path) -> str:
    """Return the folder a process works in, empty where it has ended or is somebody else's."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--no-hsm"]], ids=["as it comes", "without an HSM"])
def test_the_demo_runs_to_its_end(tmp_path: Path, arguments: list[str]) -> None:
    programs = put_kvstack(tmp_path / "bin")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    finished = subprocess.run(
        [ROOT / "scripts" / "demo.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**environment, "PYTHONPATH": str(ROOT), "KVSTACK_VAR_env": "must not matter"},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "KeyNearExpiry: later/sealing, expires " in finished.stdout, "the webhook was told"
    assert not [one for one in Path("/proc").glob("[0-9]*/cwd") if str(tmp_path) in _place(one)], "and has ended"
    where = "the HSM" if find_module() and not arguments else "the vault's encrypted store"
    assert re.fullmatch(
        rf"demo: \d+ commands, every one as expected, in \d+ seconds; keys in {where}\.",
        finished.stdout.splitlines()[-1],
    )
    assert not list(tmp_path.glob("kvstack-demo.*"))
    if not arguments and not find_module():
        pytest.skip("no PKCS#11 module is found: the demo ran with software keys")


@pytest.mark.slow
def test_the_demo_of_the_server_runs_to_its_end(tmp_path: Path) -> None:
    programs = put_kvstack(tmp_path / "bin")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    finished = subprocess.run(
        [ROOT / "scripts" / "demo-server.sh"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**environment, "PYTHONPATH": str(ROOT), "AZURE_CLIENT_SECRET": "must not matter"},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "read db-password: 24 characters" in finished.stdout
    assert "signed and verified: True" in finished.stdout
    assert not [one for one in Path("/proc").glob("[0-9]*/cwd") if str(tmp_path) in _place(one)], "and has ended"
    assert not list(tmp_path.glob("kvstack-demo.*"))
