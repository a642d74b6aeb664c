"""An apply: what is independent goes on, what failed is told, and what is done is recorded before it is told."""

import threading
from pathlib import Path

import pytest

from kvstack.backends.protocol import Unread
from kvstack.render.events import Event, Failed, Finished, Skipped, Started, Waiting
from kvstack.resources.key import Key
from kvstack.state.file import FileStore
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError
from tests.apply.stacks import ALL, STACK, applied, done, opened
from tests.fakes.backend import MemoryBackend

BROKEN = KvstackError("the lid does not open", "Mend the lid.")


def store(folder: Path) -> FileStore:
    return FileStore(folder / ".kvstack/state", "s", None)


def recorded(folder: Path) -> set[str]:
    found = store(folder).read()
    return set(found.records) if found else set()


def test_everything_is_made_once_recorded_and_then_as_declared(tmp_path: Path) -> None:
    backend = MemoryBackend()
    stack = opened(tmp_path, backend)
    assert done(applied(stack)) == dict.fromkeys(ALL, "finished")
    assert recorded(tmp_path) == ALL
    again = opened(tmp_path, backend).plan()
    assert (again.changes, again.drift, again.bookkeeping, again.principals) == ((), (), (), ())
    calls = list(backend.calls)
    applied(stack)
    assert backend.calls == calls
    assert len(calls) == len(ALL)


def test_what_does_not_depend_on_a_failed_change_goes_on(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.failing["vaults/dev/keys/sign"] = BROKEN
    outcome = applied(opened(tmp_path, backend))
    assert done(outcome) == {**dict.fromkeys(ALL, "finished"), "dev/keys/sign": "failed"}
    (failed,) = outcome.failed
    assert [(found.summary, found.address) for found in failed.diagnostics] == [
        ("the lid does not open", "dev/keys/sign")
    ]
    assert recorded(tmp_path) == ALL - {"dev/keys/sign"}
    backend.failing.clear()
    assert done(applied(opened(tmp_path, backend))) == {"dev/keys/sign": "finished"}
    assert recorded(tmp_path) == ALL


def test_what_depends_on_a_failed_change_is_skipped_by_name(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.failing["vaults/dev"] = BROKEN
    outcome = applied(opened(tmp_path, backend))
    inside = {address for address in ALL if address.startswith("dev/")}
    assert done(outcome) == {
        **dict.fromkeys(inside, "skipped"), "dev": "failed", "test": "finished", "test/keys/sign": "finished",
    }  # fmt: skip
    assert {skipped.because for skipped in outcome.skipped} == {"dev failed"}
    assert not outcome.interrupted
    assert recorded(tmp_path) == {"test", "test/keys/sign"}
    assert not [call for call in backend.calls if "vaults/dev/" in call]


def test_a_commit_that_fails_undoes_and_fails_everything_in_it(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.commits_fail = 1
    outcome = applied(opened(tmp_path, backend))
    assert {address: what for address, what in done(outcome).items() if what != "skipped"} == {
        "dev": "failed", "test": "failed",
    }  # fmt: skip
    assert backend.things == {}
    assert recorded(tmp_path) == set()
    assert done(applied(opened(tmp_path, backend))) == dict.fromkeys(ALL, "finished")


def test_a_stop_finishes_what_is_in_flight_and_begins_nothing_more(tmp_path: Path) -> None:
    backend = MemoryBackend()
    stop = threading.Event()

    def tell(event: Event) -> None:
        if isinstance(event, Finished):
            stop.set()

    outcome = applied(opened(tmp_path, backend), tell=tell, stop=stop)
    assert outcome.interrupted
    finished = {address for address, what in done(outcome).items() if what == "finished"}
    assert finished == {"dev", "test"} == recorded(tmp_path)
    assert {skipped.because for skipped in outcome.skipped} == {"interrupted"}
    assert set(done(outcome)) == ALL
    assert done(applied(opened(tmp_path, backend))) == dict.fromkeys(ALL - finished, "finished")


def test_a_stop_after_the_last_change_interrupts_nothing(tmp_path: Path) -> None:
    backend, stop = MemoryBackend(), threading.Event()
    applied(opened(tmp_path, backend, "stack: s\nvaults: {dev: {}}\n"), tell=lambda _: stop.set(), stop=stop)
    outcome = applied(opened(tmp_path, backend, "stack: s\nvaults: {dev: {}}\n"), stop=stop)
    assert not outcome.interrupted


def test_slow_changes_are_made_at_once(tmp_path: Path) -> None:
    backend = MemoryBackend()
    # Each waits until the other has begun: one after another they would never end.
    both = threading.Barrier(2, timeout=10)
    for name in ("sign", "wrap"):
        backend.slow[f"vaults/dev/keys/{name}"] = both.wait
    backend.slow["vaults/test/keys/sign"] = lambda: None
    told: list[Event] = []
    outcome = applied(opened(tmp_path, backend), tell=told.append, workers=3)
    assert done(outcome) == dict.fromkeys(ALL, "finished")
    waits = {str(event.address): event.what for event in told if isinstance(event, Waiting)}
    assert waits["dev/keys/wrap"] == "making wrap"


def test_no_more_slow_changes_than_workers_are_made_at_once(tmp_path: Path) -> None:
    backend = MemoryBackend()
    running, most = [0], [0]
    guard = threading.Lock()

    def work() -> None:
        with guard:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.01)
        with guard:
            running[0] -= 1

    names = [f"key-{number}" for number in range(8)]
    keys = ", ".join(f"{name}: {{type: EC}}" for name in names)
    for name in names:
        backend.slow[f"vaults/dev/keys/{name}"] = work
    applied(opened(tmp_path, backend, f"stack: s\nvaults: {{dev: {{keys: {{{keys}}}}}}}\n"), workers=2)
    assert most == [2]


def test_a_slow_change_that_fails_takes_none_along(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.slow = {"vaults/dev/keys/sign": lambda: None, "vaults/dev/keys/wrap": lambda: None}
    backend.failing["vaults/dev/keys/wrap"] = BROKEN
    outcome = applied(opened(tmp_path, backend))
    assert done(outcome)["dev/keys/wrap"] == "failed"
    assert done(outcome)["dev/keys/sign"] == "finished"


def test_what_is_told_to_be_finished_is_recorded_already(tmp_path: Path) -> None:
    backend = MemoryBackend()
    told: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, Finished):
            told.append(event.address)
            assert (event.address in recorded(tmp_path)) == (event.action is not Action.DELETE)

    applied(opened(tmp_path, backend), tell=tell)
    applied(opened(tmp_path, backend, "stack: s\n"), tell=tell)
    assert len(told) == 2 * len(ALL)
    assert recorded(tmp_path) == set()


def test_everything_that_ends_began_and_ends_once(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.failing["vaults/dev/secrets/db"] = BROKEN
    told: list[Event] = []
    applied(opened(tmp_path, backend), tell=told.append)
    begun = [event.address for event in told if isinstance(event, Started)]
    ended = [event.address for event in told if isinstance(event, Finished | Failed)]
    assert sorted(begun) == sorted(ended) == sorted(ALL)
    for address in ALL:
        assert next(type(event) for event in told if event.address == address) is Started
    assert not [event for event in told if isinstance(event, Skipped)]


def test_a_value_that_is_made_once_is_noted_before_it_is_made(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    other = STACK.replace("length: 20", "length: 21")
    noted: list[set[Address]] = []

    def look() -> None:
        found = store(tmp_path).read()
        noted.append(set(found.intents) if found else set())

    backend.slow["vaults/dev/secrets/made"] = look
    backend.failing["vaults/dev/secrets/made"] = BROKEN
    applied(opened(tmp_path, backend, other))
    assert noted == [{"dev/secrets/made"}]
    backend.failing.clear()
    before = backend.things["vaults/dev/secrets/made"]
    assert done(applied(opened(tmp_path, backend, other))) == {"dev/secrets/made": "finished"}
    after = backend.things["vaults/dev/secrets/made"]
    assert after.version != before.version
    assert opened(tmp_path, backend, other).plan().empty


def test_a_program_error_is_not_swallowed(tmp_path: Path) -> None:
    backend = MemoryBackend()

    def crash() -> None:
        raise ZeroDivisionError

    backend.slow["vaults/dev/keys/sign"] = crash
    with pytest.raises(ZeroDivisionError):
        applied(opened(tmp_path, backend))
    # What was finished before is known all the same.
    assert {"dev", "test"} <= recorded(tmp_path)


def test_deletions_recoveries_and_replacements_reach_the_backend_in_order(tmp_path: Path) -> None:
    backend = MemoryBackend()
    text = STACK.replace("  test:\n", "  test:\n    lifecycle: {purge_on_delete: true}\n")
    applied(opened(tmp_path, backend, text))
    backend.calls.clear()
    elsewhere = text.replace("  test:\n", "  test:\n    location: elsewhere\n").replace("sign: {type: EC}, ", "")
    assert set(done(applied(opened(tmp_path, backend, elsewhere))).values()) == {"finished"}
    assert backend.calls == [
        "delete vaults/test", "purge vaults/test", "create vaults/test", "delete vaults/dev/keys/sign",
        "create vaults/test/keys/sign",
    ] or backend.calls == [
        "delete vaults/test", "purge vaults/test", "create vaults/test", "create vaults/test/keys/sign",
        "delete vaults/dev/keys/sign",
    ]  # fmt: skip
    backend.calls.clear()
    applied(opened(tmp_path, backend, text))
    assert "recover vaults/dev/keys/sign" in backend.calls
    assert opened(tmp_path, backend, text).plan().empty


def test_forgetting_leaves_the_thing_without_our_tags(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    text = STACK.replace("sign: {type: EC}, ", "") + "removed: [{address: dev/keys/sign, destroy: false}]\n"
    applied(opened(tmp_path, backend, text))
    kept = backend.things["vaults/dev/keys/sign"]
    assert isinstance(kept.resource, Key)
    assert (kept.owner, kept.deletion) == (None, None)
    assert "dev/keys/sign" not in recorded(tmp_path)
    assert opened(tmp_path, backend, text).plan().empty


def test_refreshing_records_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    import msgspec

    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    calls = list(backend.calls)
    key = backend.things["vaults/dev/keys/sign"]
    backend.things["vaults/dev/keys/sign"] = msgspec.structs.replace(
        key, resource=msgspec.structs.replace(key.resource, enabled=False)
    )
    del backend.things["vaults/dev/keys/wrap"]
    stack = opened(tmp_path, backend)
    assert {drifted.address: drifted.what for drifted in stack.plan().drift} == {
        "dev/keys/sign": "changed", "dev/keys/wrap": "gone",
    }  # fmt: skip
    applied(stack, refresh_only=True)
    assert backend.calls == calls
    assert opened(tmp_path, backend).plan().drift == ()
    assert recorded(tmp_path) == ALL - {"dev/keys/wrap"}
    # What was changed behind its back is still to be changed back.
    assert {change.address for change in stack.plan().changes} == {"dev/keys/sign", "dev/keys/wrap"}


def test_refreshing_lets_go_of_nothing_that_was_not_read(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    hidden = {key: backend.things.pop(key) for key in list(backend.things) if key.startswith("vaults/dev/keys/")}
    backend.unread.append(Unread("vaults/dev/keys/", "denied"))
    applied(opened(tmp_path, backend), refresh_only=True)
    assert recorded(tmp_path) == ALL
    backend.things.update(hidden)


def test_an_incomplete_plan_touches_only_what_was_read(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.unread.append(Unread("vaults/dev", "a firewall"))
    made = opened(tmp_path, backend).plan()
    assert not made.complete
    applied(opened(tmp_path, backend))
    assert not [call for call in backend.calls if "vaults/dev" in call]
    assert {"test", "test/keys/sign"} <= recorded(tmp_path)


def test_a_state_of_other_vaults_is_refused(tmp_path: Path) -> None:
    applied(opened(tmp_path, MemoryBackend()))
    other = MemoryBackend()
    other.id = "memory/2"
    with pytest.raises(KvstackError, match="belongs to other vaults"):
        opened(tmp_path, other).plan()


def test_no_value_is_in_the_state_or_in_a_plan(tmp_path: Path) -> None:
    import msgspec

    from kvstack.render.json import document

    backend = MemoryBackend()
    stack = opened(tmp_path, backend)
    made = stack.plan()
    assert b"hunter2" not in msgspec.json.encode(document(made))
    applied(stack, made)
    for path in (tmp_path / ".kvstack/state").iterdir():
        assert b"hunter2" not in path.read_bytes()
    assert "hunter2" not in repr(made)
