"""What is due is done exactly once: killed at any step, run by several processes at once, and by one after another."""

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kvstack.hsm.find import find_module
from kvstack.terms.certificate import CertificateKey, CertificatePolicy, Trigger
from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.rotator import Rotator
from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.e2e.command_line import OK, begun, copied, ended
from tests.e2e.forks import Forks

KILLED = -9
VAULT = "timed"
IN_HSM = KeySpecification("EC-HSM", None, "P-256")
IN_SOFTWARE = KeySpecification("EC", None, "P-256")
MONTHLY = RotationPolicy(every=duration("P30D"), expire_after=duration("P90D"), keep_previous=duration("P7D"))
WEB = CertificatePolicy(
    subject="CN=web", key=CertificateKey(type="EC"), validity_months=2, renew=Trigger(days_before_expiry=31)
)
# Each thing as it is after one run, whoever ran it: how many versions it has.
DONE = {
    VAULT: 1,
    f"{VAULT}/keys/in-hsm": 2,
    f"{VAULT}/keys/in-software": 2,
    f"{VAULT}/keys/followed": 3,
    f"{VAULT}/keys/web": 2,
    f"{VAULT}/secrets/drawn": 2,
    f"{VAULT}/secrets/asked": 2,
    f"{VAULT}/secrets/web": 2,
}


class Due:
    """A vault in which something of every kind is going to be due at a time. folder: where it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = (datetime.now(UTC) + timedelta(days=33)).isoformat()
        unlocked = initialise(folder, hsm=True, prepare=initialise_access, simulated_clock=True)
        service = VaultService(unlocked)
        me = service.operator
        service.create_vault(me, VAULT, sku="premium", soft_delete_retention_days=7)
        service.create_key(me, VAULT, "in-hsm", specification=IN_HSM, rotation=MONTHLY)
        service.create_key(me, VAULT, "in-software", specification=IN_SOFTWARE, rotation=MONTHLY)
        service.create_key(me, VAULT, "followed", specification=IN_SOFTWARE, rotation=MONTHLY)
        service.rotate_key(me, VAULT, "followed")
        service.set_secret(me, VAULT, "drawn", SecretValue("first"), rotation=MONTHLY, generator=Generator())
        # A program that takes every call, without a word.
        asked = replace(MONTHLY, rotator=Rotator(command=("true",)))
        service.set_secret(me, VAULT, "asked", SecretValue("first"), rotation=asked, generator=Generator())
        service.create_certificate(me, VAULT, "web", policy=WEB)
        service.set_secret(me, VAULT, "gone", SecretValue("v"))
        service.delete_secret(me, VAULT, "gone")
        unlocked.close()

    def require_done(self, forks: Forks, folder: Path, when: str) -> None:
        """Run once more, and find everything done, and nothing twice."""
        ran = forks.run("-C", str(folder), "run-due", "--at", self.at)
        assert ran.code == OK, f"{when}\n{ran}"
        again: Any = forks.run("-C", str(folder), "run-due", "--at", self.at, "--json").json
        assert again["due"] == [], when
        found = forks.facts(folder)
        assert found["audit"] is None, when
        assert found["things"] == DONE, when
        # Of one that was followed 33 days ago the first version has ended, the second has seven days left.
        listed: Any = forks.run("-C", str(folder), "key", "list-versions", f"{VAULT}/followed", "--json").json
        assert [one["enabled"] for one in listed["versions"]] == [False, True, True], when


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> Due:
    if find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    return Due(tmp_path_factory.mktemp("due"))


def test_killed_at_steps_all_over_a_run(due: Due, forks: Forks, tmp_path: Path) -> None:
    folder = copied(due.folder, tmp_path / "whole")
    assert forks.run("-C", str(folder), "run-due", "--at", due.at, steps=0).code == OK
    steps = len(forks.steps)
    due.require_done(forks, folder, "not killed")
    killed = 0
    # Every second or so: the nightly test of `slow` takes them all.
    for step in range(1, steps, max(1, steps // 25)):
        killed += _killed_at(due, forks, tmp_path / "stack", step)
    assert killed >= 20


@pytest.mark.slow
def test_killed_at_every_step_of_a_run(due: Due, forks: Forks, tmp_path: Path) -> None:
    folder = copied(due.folder, tmp_path / "whole")
    assert forks.run("-C", str(folder), "run-due", "--at", due.at, steps=0).code == OK
    steps = len(forks.steps)
    assert sum(_killed_at(due, forks, tmp_path / "stack", step) for step in range(1, steps + 1)) >= steps * 9 // 10


@pytest.mark.slow
def test_killed_at_random_instants_again_and_again(due: Due, forks: Forks, tmp_path: Path) -> None:
    chance = random.Random(11)
    for turn in range(10):
        folder = copied(due.folder, tmp_path / "stack")
        for _ in range(4):
            forks.run("-C", str(folder), "run-due", "--at", due.at, kill_after=chance.uniform(0, 0.4))
        due.require_done(forks, folder, f"turn {turn}")
        shutil.rmtree(folder)


def test_four_processes_at_once_do_each_thing_once_between_them(due: Due, forks: Forks, tmp_path: Path) -> None:
    folder = copied(due.folder, tmp_path / "stack")
    running = [begun(folder, "run-due", "--at", due.at, "--json") for _ in range(4)]
    finished = [ended(one) for one in running]
    assert {one.code for one in finished} == {OK}, [str(one) for one in finished]
    done = [(thing["action"], thing["name"]) for one in finished for thing in one.json["done"]]
    assert sorted(done) == [
        ("disable-previous", "followed"),
        ("purge", "gone"),
        ("renew", "web"),
        ("rotate", "asked"),
        ("rotate", "drawn"),
        ("rotate", "followed"),
        ("rotate", "in-hsm"),
        ("rotate", "in-software"),
    ]
    due.require_done(forks, folder, "four at once")


def _killed_at(due: Due, forks: Forks, folder: Path, step: int) -> bool:
    copied(due.folder, folder)
    ran = forks.run("-C", str(folder), "run-due", "--at", due.at, steps=step)
    assert ran.code in (OK, KILLED), f"{step}\n{ran}"
    due.require_done(forks, folder, f"killed before step {step}")
    shutil.rmtree(folder)
    return ran.code == KILLED
