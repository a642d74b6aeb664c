"""Requests that arrive together are answered together: one commit for all that wait at the same moment."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")
Outcome = tuple[Any, Exception | None]


class Together:
    """Does work in rounds. batch: makes everything done in a block one commit; threads: where rounds are done, on the
    event loop itself for None; at_once: how many rounds may be on at the same moment, where there are threads.

    While one round is worked on, or waits for the disk, the next requests arrive and make the next one. Each stands for
    itself: one that is refused undoes only itself; where the commit fails all of the round failed.
    """

    def __init__(
        self,
        batch: Callable[[], AbstractContextManager[None]],
        threads: Executor | None = None,
        *,
        at_once: int = 1,
    ) -> None:
        self._batch = batch
        self._threads = threads
        self._free = at_once
        self._begun = False
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []

    async def done(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises, once it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((future, work))
        if not self._begun:
            self._begun = True
            loop.call_soon(self._round)
        return await future

    def _round(self) -> None:
        self._begun = False
        if not self._waiting or not self._free:
            return
        waiting, self._waiting = self._waiting, []
        work = [one for _, one in waiting]
        futures = [future for future, _ in waiting]
        if self._threads is None:
            _tell(futures, self._outcomes(work))
            return
        self._free -= 1
        begun = asyncio.get_running_loop().run_in_executor(self._threads, self._outcomes, work)
        begun.add_done_callback(lambda ended: self._ended(futures, ended))

    def _ended(self, futures: Sequence["asyncio.Future[Any]"], ended: "asyncio.Future[list[Outcome]]") -> None:
        self._free += 1
        _tell(futures, ended.result())
        self._round()

    def _outcomes(self, work: Sequence[Callable[[], Any]]) -> list[Outcome]:
        if len(work) == 1:
            return [_outcome(work[0])]
        try:
            with self._batch():
                return [_outcome(one) for one in work]
        except Exception as error:  # noqa: BLE001  # every one of them is told
            return [(None, error)] * len(work)


def _outcome(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001  # whoever waits for it is told
        return None, error


def _tell(futures: Sequence["asyncio.Future[Any]"], outcomes: Sequence[Outcome]) -> None:
    for future, (value, wrong) in zip(futures, outcomes, strict=True):
        if future.done():
            continue  # the client went away
        if wrong is None:
            future.set_result(value)
        else:
            future.set_exception(wrong)
