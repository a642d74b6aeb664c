"""Processes take turns: who waits is next, who has the turn may come back for a while, and nobody waits for ever."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kvstack.vault.faults import CorruptStore, StoreBusy, StoreFault
from kvstack.vault.turn import Turn


class Clock:
    """Time that passes where somebody waits. while_waiting: what happens then, once for each look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.while_waiting: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.while_waiting:
            self.while_waiting.pop(0)()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def turn(folder: Path, clock: Clock, seconds: float = 10) -> Turn:
    # Locks of files belong to who opened them: two of these keep each other out as two processes do.
    return Turn(folder / "vault.db", seconds, clock, clock.pause)


def test_who_comes_second_waits_until_the_first_is_done(tmp_path: Path, clock: Clock) -> None:
    first, second = turn(tmp_path, clock), turn(tmp_path, clock)
    first.take()
    clock.while_waiting = [lambda: None, lambda: None, first.give]
    second.take()
    assert clock.while_waiting == []
    second.give()


def test_who_waits_is_before_who_has_had_his_while(tmp_path: Path, clock: Clock) -> None:
    order: list[str] = []
    first, second, third = (turn(tmp_path, clock) for _ in range(3))

    def first_again() -> None:
        """While the second waits, the first gives, and somebody whose while is over tries to get in."""
        first.give()
        clock.now += 1
        clock.while_waiting.append(lambda: None)
        with pytest.raises(StoreBusy):
            Turn(tmp_path / "vault.db", 0, clock, clock.pause).take()
        order.append("another could not pass")

    first.take()
    clock.while_waiting = [first_again]
    second.take()
    order.append("second")
    second.give()
    third.take()
    third.give()
    assert order == ["another could not pass", "second"]


def test_who_has_the_turn_comes_back_for_a_while_before_who_waits(tmp_path: Path, clock: Clock) -> None:
    first, second = turn(tmp_path, clock), turn(tmp_path, clock)
    came_back: list[float] = []

    def back() -> None:
        first.give()
        first.take()
        came_back.append(clock.now)

    first.take()
    clock.while_waiting = [back, back, back, first.give]
    second.take()
    assert len(came_back) == 3
    second.give()


def test_nobody_waits_for_ever(tmp_path: Path, clock: Clock) -> None:
    first, second = turn(tmp_path, clock), turn(tmp_path, clock, seconds=2)
    first.take()
    with pytest.raises(StoreBusy, match="another process is using the vault"):
        second.take()
    assert 2 <= clock.now < 2.1
    first.give()
    second.take()
    second.give()


def test_a_turn_ends_with_its_process(tmp_path: Path, clock: Clock) -> None:
    child = os.fork()
    if not child:
        turn(tmp_path, clock).take()
        os._exit(0)  # with the turn
    assert os.waitpid(child, 0)[1] == 0
    own = turn(tmp_path, clock)
    own.take()
    assert clock.now == 0
    own.give()
    own.close()
    own.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "vault.db-turn").mkdir()
    with pytest.raises(CorruptStore, match="Is a directory"):
        turn(tmp_path, clock).take()
    with pytest.raises(StoreFault, match="No such file"):
        turn(tmp_path / "missing", clock).take()
