"""States as files: kept whole at every instant, compared before they are replaced, locked by one process."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kvstack.state.codec import encoded, encoded_entries
from kvstack.state.file import FileStore
from kvstack.state.state import Put, State, after
from kvstack.state.store import StateChanged, StateLocked
from kvstack.terms.diagnostic import KvstackError
from tests.state.things import ENTRIES, HOLDER, RECORDS, record, state


def store(folder: Path, stack: str = "payments", environment: str | None = None) -> FileStore:
    return FileStore(folder, stack, environment)


def written(folder: Path) -> tuple[FileStore, State]:
    opened = store(folder)
    return opened, opened.write(state(*RECORDS, serial=0), expected_serial=0)


def test_nothing_was_applied_yet(tmp_path: Path) -> None:
    assert store(tmp_path / "none").read() is None
    assert store(tmp_path / "none").holder() is None
    assert not (tmp_path / "none").exists()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    assert kept.serial == 1
    assert opened.read() == store(tmp_path).read() == kept


def test_everything_written_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    opened, _ = written(folder)
    with_lock = opened.lock(HOLDER)
    opened.record(ENTRIES)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "payments.json": 0o600,
        "payments.journal": 0o600,
        "payments.lock": 0o600,
    }
    with_lock.release()


def test_environments_have_states_of_their_own(tmp_path: Path) -> None:
    written(tmp_path)
    prod = store(tmp_path, environment="prod")
    assert prod.read() is None
    prod.write(state(environment="prod", serial=0), expected_serial=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["payments.json", "payments.prod.json"]


def test_recorded_changes_are_read_and_folded(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    opened.record(ENTRIES[:2])
    opened.record(ENTRIES[2:])
    found = store(tmp_path).read()
    assert found == after(kept, ENTRIES)
    folded = store(tmp_path).write(found, expected_serial=kept.serial)
    assert not (tmp_path / "payments.journal").exists()
    assert folded.intents == {}
    read_again = store(tmp_path).read()
    assert read_again is not None
    assert read_again.records == found.records


def test_a_journal_cut_at_any_byte_loses_only_what_was_not_whole(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    opened.record(ENTRIES)
    journal = tmp_path / "payments.journal"
    whole = journal.read_bytes()
    head = whole.index(b"\n") + 1
    ends = [head]
    for entry in ENTRIES:
        ends.append(ends[-1] + len(encoded_entries([entry])))
    assert ends[-1] == len(whole)
    for length in range(len(whole) + 1):
        journal.write_bytes(whole[:length])
        count = sum(end <= length for end in ends[1:])
        assert store(tmp_path).read() == after(kept, ENTRIES[:count]), length


def test_recording_goes_on_behind_what_was_whole(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    opened.record(ENTRIES[:2])
    journal = tmp_path / "payments.journal"
    whole = journal.read_bytes()
    for length in (0, 5, len(whole) - 3, len(whole)):
        journal.write_bytes(whole[:length])
        again = store(tmp_path)
        before = again.read()
        assert before is not None
        again.record(ENTRIES[2:3])
        assert store(tmp_path).read() == after(before, ENTRIES[2:3])
    assert kept.serial == 1


def test_a_journal_that_was_folded_already_changes_nothing(tmp_path: Path) -> None:
    # A run that dies between replacing the state and deleting its journal leaves it behind.
    opened, kept = written(tmp_path)
    opened.record(ENTRIES)
    stale = (tmp_path / "payments.journal").read_bytes()
    folded = opened.write(after(kept, ENTRIES), expected_serial=1)
    changed = opened.write(after(folded, [Put(RECORDS[3])]), expected_serial=2)
    (tmp_path / "payments.journal").write_bytes(stale)
    assert store(tmp_path).read() == changed
    again = store(tmp_path)
    again.read()
    again.record([Put(record("dev/keys/new", RECORDS[1].resource))])
    found = store(tmp_path).read()
    assert found is not None
    assert set(found.records) - set(changed.records) == {"dev/keys/new"}


def test_a_state_killed_while_it_is_replaced_is_the_old_one(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    whole = encoded(after(kept, ENTRIES))
    for length in (0, 1, len(whole) // 2, len(whole)):
        (tmp_path / "payments.json.new").write_bytes(whole[:length])
        assert store(tmp_path).read() == kept
    opened.write(after(kept, ENTRIES), expected_serial=1)
    assert not (tmp_path / "payments.json.new").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a whole JSON document"),
        (encoded(state(*RECORDS))[:200], "not a whole JSON document"),
        (encoded(state(*RECORDS)).replace(b"premium", b"standard"), "edited"),
        (encoded(state(*RECORDS)).replace(b'"format":1', b'"format":9'), "newer kvstack"),
    ],
)
def test_a_damaged_state_says_what_is_wrong_and_how_to_go_on(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "payments.json").write_bytes(content)
    for refused in (store(tmp_path).read, lambda: store(tmp_path).write(state(), expected_serial=0)):
        with pytest.raises(KvstackError) as caught:
            refused()
        assert reason in str(caught.value)
        assert "kvstack state rebuild" in str(caught.value)
    assert (tmp_path / "payments.json").read_bytes() == content


def test_another_stacks_state_is_refused_by_name(tmp_path: Path) -> None:
    for other, named in ((state(serial=1, environment="prod"), "payments (prod)"),):
        (tmp_path / "payments.json").write_bytes(encoded(other))
        with pytest.raises(KvstackError) as caught:
            store(tmp_path).read()
        assert named in str(caught.value)


def test_a_damaged_journal_is_told_and_not_skipped(tmp_path: Path) -> None:
    opened, _ = written(tmp_path)
    opened.record(ENTRIES)
    journal = tmp_path / "payments.journal"
    lines = journal.read_bytes().split(b"\n")
    for broken in ([lines[0][:-1], *lines[1:]], [lines[0], b"{}", *lines[2:]], [lines[0], b"\0\0\0", *lines[2:]]):
        journal.write_bytes(b"\n".join(broken))
        with pytest.raises(KvstackError, match="journal"):
            store(tmp_path).read()


def test_a_state_made_anew_keeps_the_damaged_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "payments.json").write_bytes(b"broken")
    (tmp_path / "payments.journal").write_bytes(b"broken\n")
    kept = store(tmp_path).replace(state(*RECORDS, serial=0))
    assert store(tmp_path).read() == kept
    assert (tmp_path / "payments.json.before-rebuild").read_bytes() == b"broken"


def test_whoever_was_slower_is_refused(tmp_path: Path) -> None:
    _, kept = written(tmp_path)
    quick, slow = store(tmp_path), store(tmp_path)
    quick.read()
    slow.read()
    quick.write(kept, expected_serial=1)
    with pytest.raises(StateChanged) as caught:
        slow.write(kept, expected_serial=1)
    assert "It had serial 1 when it was read, it has 2 now" in str(caught.value)
    with pytest.raises(StateChanged):
        store(tmp_path).write(kept, expected_serial=0)


def test_a_record_before_reading_is_a_mistake_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        store(tmp_path).record(ENTRIES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    opened, kept = written(tmp_path)
    tmp_path.chmod(0o500)
    try:
        for refused in (lambda: opened.record(ENTRIES), lambda: opened.write(kept, expected_serial=1)):
            with pytest.raises(KvstackError):
                refused()
    finally:
        tmp_path.chmod(0o700)


def test_a_path_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    opened = store(tmp_path / "file")
    for refused in (
        opened.read,
        lambda: opened.write(state(), expected_serial=0),
        lambda: opened.lock(HOLDER),
    ):
        with pytest.raises(KvstackError):
            refused()


def test_one_holder_at_a_time_in_one_process(tmp_path: Path) -> None:
    first = store(tmp_path).lock(HOLDER)
    with pytest.raises(StateLocked) as caught:
        store(tmp_path).lock(HOLDER)
    assert caught.value.exit_code == 4
    assert caught.value.holder == HOLDER
    assert "ann@host, process 7" in str(caught.value)
    assert store(tmp_path).holder() == HOLDER
    first.release()
    first.release()
    assert store(tmp_path).holder() is None
    store(tmp_path).lock(HOLDER).release()


HOLD = """
import sys, time
from pathlib import Path
from kvstack.state.file import FileStore
from tests.state.things import HOLDER
lock = FileStore(Path(sys.argv[1]), "payments", None).lock(HOLDER)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


def test_another_processs_lock_is_told_and_ends_when_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StateLocked) as caught:
            store(tmp_path).lock(HOLDER)
        assert caught.value.holder == HOLDER
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Its name is still in the file, and holds nothing.
        assert store(tmp_path).holder() is None
        store(tmp_path).lock(HOLDER).release()


def test_a_lock_file_with_anything_in_it_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "payments.lock").write_bytes(b"\xff not json")
    held = store(tmp_path).lock(HOLDER)
    assert store(tmp_path).holder() == HOLDER
    held.release()
