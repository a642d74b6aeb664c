"""What was worked out a moment ago for the same input, remembered in bounds."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """A pure function with a memory. most: how many answers it keeps; where there are more it begins anew, so that
    whoever asks for ever other things costs no more than without it."""

    def __init__(self, work: Callable[[K], V], *, most: int) -> None:
        self._work = work
        self._most = most
        self._known: dict[K, V] = {}

    def __call__(self, key: K) -> V:
        """Return what the function does; what it raises is not remembered."""
        try:
            return self._known[key]
        except KeyError:
            found = self._work(key)
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[key] = found
            return found
