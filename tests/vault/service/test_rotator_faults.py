"""Whatever happens to a rotation, in whichever phase: nobody gets a value that does not work, and one version a date.

What is killed is a rotator's caller, before or after the rotator has done what it was asked: what was committed stays,
and another service goes on. The rotator of this process does to its passwords what a real one does to a database's.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.terms.generator import Generator
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.rotation_attempt import ATTEMPTS, Answer
from kvstack.vault.rotator_call import RotatorCall
from tests.vault.service.rotators import FAILED, MONTHLY, REFUSED, VAULT, Database, Rotating
from tests.vault.service.world import StartClock, World

OUTCOMES = ("ok", "fails", "refuses", "killed before", "killed after", "done but fails", "hangs")
PHASES = ("create", "set", "test", "finish", "rollback")
DATES = 2


class Killed(BaseException):
    """What ends the process, for what has to survive it."""


class Faulty(Database):
    """Does to its n-th call what it is told; after that, all is well."""

    def __init__(self, outcome: Callable[[int, RotatorCall], str]) -> None:
        super().__init__("user:first")
        self._outcome = outcome
        self.tested: set[str] = set()

    def ask(self, call: RotatorCall) -> Answer:
        match self._outcome(len(self.calls), call):
            case "killed before":
                self.calls.append(call)
                raise Killed
            case "killed after":
                self._done(call)
                raise Killed
            case "fails":
                self.calls.append(call)
                return FAILED
            case "hangs":
                self.calls.append(call)
                return Answer("failed", "did not finish in 60 seconds")
            case "refuses":
                self.calls.append(call)
                return REFUSED
            case "done but fails":
                self._done(call)
                return FAILED
            case _:
                return self._done(call)

    def _done(self, call: RotatorCall) -> Answer:
        answer = super().ask(call)
        if call.phase == "test" and answer.outcome == "taken":
            self.tested.add(call.id)
        return answer


def live_through(outcome: Callable[[int, RotatorCall], str]) -> Faulty:
    """Live through two dates with these faults, and require at every moment what always holds."""
    database = Faulty(outcome)
    with tempfile.TemporaryDirectory() as folder:
        unlocked = initialise(
            Path(folder), hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock()
        )
        world = World(unlocked)
        world.service.create_vault(world.operator, VAULT)
        world.service.put_subscription(world.operator, "told", command=("true",))
        world.service.set_secret(
            world.operator, VAULT, "s", SecretValue("user:first"), rotation=MONTHLY, generator=Generator(20)
        )
        for date in range(1, DATES + 1):
            world.clock.advance(timedelta(days=33))
            # Every half an hour, for longer than any number of the faults drawn here lasts.
            for _ in range(80):
                run(world, database)
                require_sound(world, database)
                if len(versions(world)) == 1 + date and not underway(world):
                    break
                world.clock.advance(timedelta(minutes=31))
            assert len(versions(world)) == 1 + date
        require_ended(world, database)
        unlocked.close()
    return database


def run(world: World, database: Faulty) -> None:
    """Run what is due as a process of its own would: nothing in memory is left from the one before."""
    service = Rotating(world.unlocked)
    service.database = database
    world.service = service
    try:
        service.run_due(SYSTEM)
    except Killed:
        return


def versions(world: World) -> list[str]:
    return [one.version for one in world.service.list_secret_versions(world.operator, VAULT, "s")]


def underway(world: World) -> bool:
    with world.unlocked.store.transaction() as tx:
        return any(row.underway is not None for row in ATTEMPTS.scan(tx))


def require_sound(world: World, database: Faulty) -> None:
    there = world.service.get_secret(world.operator, VAULT, "s")
    assert there.value is not None
    assert there.value.reveal().decode() in database.works
    assert set(versions(world)[1:]) <= database.tested


def require_ended(world: World, database: Faulty) -> None:
    """Nothing is left of what did not come to be, and each version was told once."""
    assert not underway(world)
    ids = {call.id for call in database.calls}
    for given_up in ids - set(versions(world)):
        phases = [call.phase for call in database.calls if call.id == given_up]
        assert phases[-1] == "rollback"
        assert "finish" not in phases
    for made in versions(world)[1:]:
        phases = [call.phase for call in database.calls if call.id == made]
        assert phases[-1] == "finish"
        assert "rollback" not in phases
    told = Counter(event.type for event in world.service.list_events(world.operator) if event.subject == "s")
    assert told["Microsoft.KeyVault.SecretNewVersionCreated"] == 1 + DATES
    assert told["kvstack.RotationFailed"] == len(ids) - DATES


def in_phases(faults: Sequence[tuple[str, str]]) -> Callable[[int, RotatorCall], str]:
    """Return faults in the first calls of these phases, one after the other."""
    left = list(faults)

    def outcome(_: int, call: RotatorCall) -> str:
        if left and left[0][0] == call.phase:
            return left.pop(0)[1]
        return "ok"

    return outcome


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_any_fault_in_any_phase(phase: str, outcome: str) -> None:
    before = [("test", "refuses")] if phase == "rollback" else []
    database = live_through(in_phases([*before, (phase, outcome)]))
    assert phase in database.phases


@pytest.mark.slow
@pytest.mark.parametrize("first", PHASES[:3])
def test_any_two_faults_in_a_row(first: str) -> None:
    for one, phase, two in itertools.product(OUTCOMES[1:], PHASES, OUTCOMES[1:]):
        live_through(in_phases([(first, one), (phase, two)]))


@settings(max_examples=25)
@given(outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=14))
def test_any_faults_in_any_calls(outcomes: list[str]) -> None:
    live_through(lambda number, _: outcomes[number] if number < len(outcomes) else "ok")
