"""Requests that arrive together are answered together: one commit for all that wait at the same moment."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


class Together:
    """Runs short reads on the event loop, a round at a time. batch: makes everything done in a block one commit.

    While one round is worked on, the next requests arrive. Each stands for itself: one that is refused undoes only
    itself; where the commit fails all of the round failed.
    """

    def __init__(self, batch: Callable[[], AbstractContextManager[None]]) -> None:
        self._batch = batch
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []

    async def done(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises, once it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._round)
        self._waiting.append((future, work))
        return await future

    def _round(self) -> None:
        waiting, self._waiting = self._waiting, []
        outcomes: list[tuple[Any, Exception | None]]
        if len(waiting) == 1:
            outcomes = [_outcome(waiting[0][1])]
        else:
            try:
                with self._batch():
                    outcomes = [_outcome(work) for _, work in waiting]
            except Exception as error:  # noqa: BLE001  # every one of them is told
                outcomes = [(None, error)] * len(waiting)
        for (future, _), (value, wrong) in zip(waiting, outcomes, strict=True):
            if future.done():
                continue  # the client went away
            if wrong is None:
                future.set_result(value)
            else:
                future.set_exception(wrong)


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001  # whoever waits for it is told
        return None, error
