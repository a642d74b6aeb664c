"""Open keys: a bounded number of them, and never one destroyed while somebody works with it."""

import itertools
import threading

from hypothesis import given
from hypothesis import strategies as st

from kvstack.hsm.handles import HandleCache, OpenKey


class Module:
    """Counts handles up, and knows which are still there."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.there: set[int] = set()

    def open(self) -> int:
        handle = next(self._numbers)
        self.there.add(handle)
        return handle

    def discard(self, handle: int) -> None:
        self.there.remove(handle)  # a KeyError where it is destroyed twice


def test_a_key_is_opened_once() -> None:
    module = Module()
    cache = HandleCache(4, module.discard)
    first = cache.borrow("a", b"blob", module.open)
    cache.give_back(first)
    assert cache.borrow("a", b"blob", module.open) is first
    assert module.there == {1}


def test_the_least_recently_used_key_makes_room() -> None:
    module = Module()
    cache = HandleCache(2, module.discard)
    for name in ("a", "b", "a", "c"):
        cache.give_back(cache.borrow(name, b"", module.open))
    assert module.there == {1, 3}
    assert len(cache) == 2


def test_a_key_in_use_outlives_its_place() -> None:
    module = Module()
    cache = HandleCache(1, module.discard)
    used = cache.borrow("a", b"", module.open)
    cache.give_back(cache.borrow("b", b"", module.open))
    assert used.handle in module.there
    cache.give_back(used)
    assert module.there == {2}


def test_a_dropped_key_goes_when_its_last_user_is_done() -> None:
    module = Module()
    cache = HandleCache(4, module.discard)
    one, two = (cache.borrow("a", b"", module.open) for _ in range(2))
    cache.drop("a")
    cache.drop("a")
    cache.give_back(one)
    assert module.there == {1}
    cache.give_back(two)
    assert not module.there


def test_other_material_under_the_same_name_is_another_key() -> None:
    module = Module()
    cache = HandleCache(4, module.discard)
    cache.give_back(cache.borrow("a", b"one", module.open))
    assert cache.borrow("a", b"two", module.open).handle == 2
    assert module.there == {2}


@given(
    st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["use", "hold", "drop", "let"])))
)
def test_no_order_of_calls_loses_or_keeps_a_handle(bound: int, calls: list[tuple[str, str]]) -> None:
    module = Module()
    cache = HandleCache(bound, module.discard)
    held: list[OpenKey] = []
    for name, call in calls:
        match call:
            case "use":
                cache.give_back(cache.borrow(name, b"", module.open))
            case "hold":
                held.append(cache.borrow(name, b"", module.open))
            case "drop":
                cache.drop(name)
            case _ if held:
                cache.give_back(held.pop())
        assert len(cache) <= bound
        assert {key.handle for key in held} <= module.there
        assert len(module.there) <= bound + len(held)
    for key in held:
        cache.give_back(key)
    for name in "abcdef":
        cache.drop(name)
    assert not module.there


def test_threads_share_it() -> None:
    module = Module()
    guard = threading.Lock()

    def opened() -> int:
        with guard:
            return module.open()

    cache = HandleCache(3, module.discard)
    lost: list[int] = []

    def work(offset: int) -> None:
        for turn in range(500):
            key = cache.borrow("abcdef"[(turn * offset) % 6], b"", opened)
            if key.handle not in module.there:
                lost.append(key.handle)
            cache.give_back(key)

    workers = [threading.Thread(target=work, args=(offset,)) for offset in range(1, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not lost
    assert len(module.there) == len(cache) <= 3
