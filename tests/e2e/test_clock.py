"""A clock that cannot be believed purges nothing, whatever the command line is asked, until a person confirms it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.e2e.command_line import ERROR, OK, Ran, write
from tests.e2e.forks import Forks

STACK = "stack: timed\nvaults:\n  timed-one:\n    secrets:\n      kept: {value_from: {generate: {length: 9}}}\n"


class At:
    """A clock that stands at a time."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write(tmp_path, STACK)
    return tmp_path


@pytest.fixture
def run(place: Path, forks: Forks) -> Callable[..., Ran]:
    return lambda *arguments: forks.run("-C", str(place), *arguments)


def with_a_deleted_secret(place: Path, at: datetime) -> None:
    unlocked = initialise(place, hsm=False, prepare=initialise_access, clock=At(at))
    service = VaultService(unlocked)
    service.create_vault(service.operator, "former", soft_delete_retention_days=7)
    service.set_secret(service.operator, "former", "gone", SecretValue("a value"))
    service.delete_secret(service.operator, "former", "gone")
    unlocked.close()


def test_a_clock_far_ahead_purges_nothing_until_it_is_confirmed(place: Path, run: Callable[..., Ran]) -> None:
    with_a_deleted_secret(place, datetime.now(UTC) - timedelta(days=200))
    held = run("run-due")
    assert held.code == ERROR
    assert "days ahead" in held.told
    assert "gone" in run("secret", "list-deleted", "former").out
    assert run("apply", "--yes").code == OK, "what is not a purge goes on"
    assert run("run-due").code == ERROR, "an apply is no confirmation"
    assert run("run-due", "--confirm-clock", "the vault was left alone for half a year").code == OK
    assert "gone" not in run("secret", "list-deleted", "former").out
    assert run("audit", "verify").code == OK


def test_a_clock_set_back_purges_nothing_until_it_is_confirmed(place: Path, run: Callable[..., Ran]) -> None:
    with_a_deleted_secret(place, datetime.now(UTC) - timedelta(days=30))
    # The vault was used while the clock was wrong: twenty days ahead of now.
    unlocked = unlock(place, clock=At(datetime.now(UTC) + timedelta(days=1)))
    service = VaultService(unlocked)
    service.set_secret(service.operator, "former", "later", SecretValue("a value"))
    unlocked.close()
    held = run("run-due")
    assert held.code == ERROR
    assert "stepped back" in held.told
    assert "gone" in run("secret", "list-deleted", "former").out
    assert run("apply", "--yes").code == OK
    assert run("plan", "--detailed-exitcode").code == OK
    assert run("run-due", "--confirm-clock", "the clock was a day ahead").code == OK
    assert "gone" not in run("secret", "list-deleted", "former").out


def test_a_simulated_clock_moves_on_purpose_and_plans_go_by_it(place: Path, run: Callable[..., Ran]) -> None:
    assert run("init", "--no-hsm", "--simulated-clock").code == OK
    assert run("apply", "--yes").code == OK
    assert run("secret", "delete", "timed-one/kept").code == OK
    write(place, "stack: timed\nvaults:\n  timed-one: {}\n")
    assert run("apply", "--yes").code == OK
    later = datetime.now(UTC)
    for _ in range(4):
        later += timedelta(days=30)
        run("run-due", "--at", f"{later:%Y-%m-%dT%H:%M:%SZ}")
    assert "kept" not in run("secret", "list-deleted", "timed-one").out
    write(place, STACK)
    changes = run("plan", "--json").json["changes"]
    assert [change["action"] for change in changes] == ["create"], "the name is free again"


def test_looking_at_another_time_does_nothing(place: Path, run: Callable[..., Ran]) -> None:
    with_a_deleted_secret(place, datetime.now(UTC))
    shown = run("run-due", "--at", f"{datetime.now(UTC) + timedelta(days=8):%Y-%m-%dT%H:%M:%SZ}")
    assert shown.code == OK
    assert "gone" in shown.out
    assert "gone" in run("secret", "list-deleted", "former").out
    assert run("run-due").code == OK
