"""Requests that arrive together share a commit, and nothing else."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from kvstack.server.together import Together


class Batches:
    """Counts the batches; fails at the end of one where it is told to."""

    def __init__(self, failing: bool = False) -> None:
        self.done = 0
        self.failing = failing

    @contextmanager
    def __call__(self) -> Iterator[None]:
        yield
        self.done += 1
        if self.failing:
            raise OSError("the disk is full")


def results(batches: Batches, *work: Callable[[], Any]) -> list[Any]:
    async def run() -> list[Any]:
        together = Together(batches)
        return await asyncio.gather(*(together.done(one) for one in work), return_exceptions=True)

    return asyncio.run(run())


def wrong() -> None:
    raise ValueError("wrong")


def test_all_that_wait_at_one_moment_are_done_in_one_batch() -> None:
    batches = Batches()
    assert results(batches, lambda: 1, lambda: 2, lambda: 3) == [1, 2, 3]
    assert batches.done == 1


def test_one_alone_needs_no_batch() -> None:
    batches = Batches()
    assert results(batches, lambda: 1) == [1]
    assert batches.done == 0


def test_one_that_is_refused_stops_no_other() -> None:
    one, refusal, three = results(Batches(), lambda: 1, wrong, lambda: 3)
    assert (one, three) == (1, 3)
    assert isinstance(refusal, ValueError)


def test_where_the_commit_fails_nobody_is_told_that_it_was_done() -> None:
    for outcome in results(Batches(failing=True), lambda: 1, wrong):
        assert isinstance(outcome, OSError)


def test_who_went_away_is_not_waited_for() -> None:
    async def run() -> int:
        together = Together(Batches())
        gone = asyncio.ensure_future(together.done(lambda: 1))
        staying = asyncio.ensure_future(together.done(lambda: 2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await staying

    assert asyncio.run(run()) == 2


def test_a_round_on_a_thread_leaves_the_loop_free_and_the_next_one_gathers_meanwhile() -> None:
    batches = Batches()

    async def run() -> list[int]:
        loop, working, later = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def waits() -> int:
            loop.call_soon_threadsafe(working.set)
            assert later.wait(30)
            return 0

        with ThreadPoolExecutor(1) as threads:
            together = Together(batches, threads)
            begun = asyncio.ensure_future(together.done(waits))
            await working.wait()
            others = [asyncio.ensure_future(together.done(partial(int, number))) for number in (1, 2, 3)]
            await asyncio.sleep(0)
            later.set()
            return list(await asyncio.gather(begun, *others))

    assert asyncio.run(run()) == [0, 1, 2, 3]
    assert batches.done == 1
