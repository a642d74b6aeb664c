"""DNS rebinding, for real: a name server that changes its mind, a webhook at a public address, and a trap at home."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.shell import ROOT
from tests.e2e.rebinding import PUBLIC

_APART = ["unshare", "--net", "--mount", "--map-root-user"]


def delivered(folder: Path, answers: list[list[str]]) -> dict[str, Any]:
    """Deliver once for each answer, in a network of its own; the machine's is out of reach there."""
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    command = (
        f'ip link set lo up && ip address add {PUBLIC}/32 dev lo && mount --bind {resolv} /etc/resolv.conf && exec "$@"'
    )
    run = [sys.executable, "-m", "tests.e2e.rebinding", str(folder), json.dumps(answers)]
    ran = subprocess.run(
        [*_APART, "sh", "-c", command, "sh", *run], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if any(shutil.which(one) is None for one in ("unshare", "ip", "mount")):
        pytest.skip("DNS rebinding in a network of its own: there is no `unshare`, `ip` or `mount`")
    tried = subprocess.run([*_APART, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip("DNS rebinding in a network of its own: this machine allows no namespaces")


def test_a_name_that_moves_home_after_it_was_looked_at_reaches_nothing_there(tmp_path: Path) -> None:
    found = delivered(tmp_path, [[PUBLIC], ["127.0.0.1"]])
    assert found["told"][0] == {"delivered": 1, "why": []}
    (why,) = found["told"][1]["why"]
    assert "an address of this machine" in why
    assert (found["asked"], found["reached"], found["caught"]) == (2, 1, 0)


def test_both_in_one_answer_reach_nothing_at_all(tmp_path: Path) -> None:
    found = delivered(tmp_path, [[PUBLIC, "127.0.0.1"]])
    (why,) = found["told"][0]["why"]
    assert "an address of this machine" in why
    assert (found["asked"], found["reached"], found["caught"]) == (1, 0, 0)
