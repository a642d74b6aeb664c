"""The scheduler of a server: what is due is done, what fails is told and tried again, and it stops when told to."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kvstack.server.log import Log
from kvstack.server.scheduler import Scheduler
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.caller import Caller
from kvstack.vault.delivery_policy import DeliveryReport
from kvstack.vault.due import DueReport
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.service.world import START, StartClock, World

VAULT = "payments-dev"
LONGEST = 30.0


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.log = Log(lambda line: self.all.append(json.loads(line)), lambda: START)

    def events(self) -> list[str]:
        return [line["event"] for line in self.all]


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[World]:
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    world = World(unlocked)
    world.service.create_vault(world.operator, VAULT, soft_delete_retention_days=7)
    yield world
    unlocked.close()


def delete(world: World, name: str) -> datetime:
    from kvstack.terms.secret import SecretValue

    world.service.set_secret(world.operator, VAULT, name, SecretValue("v"))
    deletion = world.service.delete_secret(world.operator, VAULT, name).deletion
    assert deletion is not None
    return deletion.scheduled_purge


def test_what_is_due_is_done_and_told(dev: World) -> None:
    delete(dev, "gone")
    lines = Lines()
    scheduler = Scheduler(dev.service, lines.log, longest=LONGEST)
    assert scheduler.once() == LONGEST
    assert lines.all == []
    dev.clock.advance(timedelta(days=8))
    scheduler.once()
    (line,) = lines.all
    assert (line["event"], line["action"], line["vault"], line["name"]) == ("done", "purge", VAULT, "gone")
    assert dev.service.list_deleted_secrets(dev.operator, VAULT) == ()


def test_it_rests_until_the_next_date_and_never_longer_than_it_may(dev: World) -> None:
    until = delete(dev, "gone")
    scheduler = Scheduler(dev.service, Lines().log, longest=LONGEST)
    dev.clock.set(until - timedelta(seconds=12))
    assert scheduler.once() == 12
    dev.clock.set(until - timedelta(seconds=90))
    assert scheduler.once() == LONGEST


def test_a_stepped_clock_is_told_once_and_not_at_every_run(dev: World) -> None:
    delete(dev, "gone")
    lines = Lines()
    scheduler = Scheduler(dev.service, lines.log, longest=LONGEST)
    dev.clock.advance(timedelta(days=400))
    scheduler.once()
    scheduler.once()
    assert lines.events() == ["the clock stepped: what is due is held back"]
    dev.service.confirm_clock(dev.operator, "it is right")
    scheduler.once()
    assert lines.events()[1:] == ["done"]


class Failing:
    """A vault whose runs fail as often as it is told to."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.runs = 0

    def run_due(self, caller: Caller) -> DueReport:
        self.runs += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return DueReport(())

    def deliver_events(self, caller: Caller) -> DeliveryReport:
        return DeliveryReport()

    def next_due(self, within: timedelta) -> timedelta | None:
        return None


def test_what_fails_is_told_without_its_words_and_the_loop_goes_on() -> None:
    lines = Lines()
    failing = Failing(KvstackError("the HSM is away", "Plug it in."), ValueError("canary-value"), None)
    scheduler = Scheduler(failing, lines.log, longest=LONGEST)
    assert [scheduler.once() for _ in range(3)] == [LONGEST] * 3
    assert lines.all[0]["problems"] == ["the HSM is away. Plug it in."]
    assert lines.all[1]["defect"] == "ValueError"
    assert "canary-value" not in json.dumps(lines.all)
    assert len(lines.all) == 2


def test_it_stops_at_once_however_long_it_would_rest() -> None:
    failing = Failing()
    scheduler = Scheduler(failing, Lines().log, longest=3600)
    scheduler.start()
    scheduler.stop()
    assert not scheduler.alive
