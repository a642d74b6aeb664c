"""Records that were archived can still be verified, with what follows; no instant of archiving loses one."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_segments import Segment
from tests.vault.service.audited import VAULT, Audited

ROOT = Path(__file__).parents[3]
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    """Records 1-3 made the vault, 4 set `a`, 5 `b`."""
    made = Audited.made(tmp_path / "vault")
    made.used("a")
    made.used("b")
    return made


def archived(audited: Audited, name: str) -> str:
    """Archive everything that is signed. Returns the segment's file."""
    file = str(audited.folder.parent / name)
    with audited.open() as service:
        service.archive_audit(service.operator, FAR, file)
    return file


@pytest.fixture
def three(audited: Audited) -> list[str]:
    """Three segments: records 1-5; 6 (the archiving) and 7; 8 and 9. In the store: 10."""
    files = [archived(audited, "one")]
    for name in ("two", "three"):
        audited.used(name)
        files.append(archived(audited, name))
    return files


def test_segments_and_what_follows_are_verified_as_one_audit(audited: Audited, three: list[str]) -> None:
    report = audited.report(segments=tuple(reversed(three)))
    assert (report.problem, report.first, report.records, report.signed_up_to) == (None, 1, 10, 10)
    report = audited.report()
    assert (report.problem, report.first, report.records) == (None, 10, 1)
    report = audited.report(segments=tuple(three[1:]))
    assert (report.problem, report.first, report.records) == (None, 6, 5)


def test_what_is_archived_is_in_the_file_and_not_in_the_store(audited: Audited, three: list[str]) -> None:
    with audited.open() as service:
        assert [row[0] for row in service._audit.rows()] == [10]
        mac = service._audit.mac
    assert [row[0] for file in three for row in Segment.opened(file).rows(mac=mac)] == list(range(1, 10))
    assert {Path(file).stat().st_mode & 0o777 for file in three} == {0o600}


def test_only_what_is_older_is_archived_and_only_whole_checkpoints(audited: Audited, tmp_path: Path) -> None:
    with audited.open() as service:
        times = [one.time for one in service._audit.records()]
        with pytest.raises(KvstackError, match="no checkpoint before"):
            service.archive_audit(service.operator, times[0] - timedelta(days=1), str(tmp_path / "file"))
        # Record 4 is older, and its checkpoint as well; 5 is not.
        done = service.archive_audit(service.operator, times[4], str(tmp_path / "file"))
    assert (done.first, done.last) == (1, 4)
    assert audited.report(segments=(str(tmp_path / "file"),)).problem is None


def test_a_process_that_wrote_before_goes_on_after_another_one_archived(audited: Audited, tmp_path: Path) -> None:
    with audited.open() as one:
        one.list_vaults(one.operator)
        with audited.open() as two:
            two.list_vaults(two.operator)
            two.audit_anchor(two.operator)
            one.list_vaults(one.operator)
            two.archive_audit(two.operator, FAR, str(tmp_path / "file"))
            two.list_vaults(two.operator)
        one.list_vaults(one.operator)
    report = audited.report(segments=(str(tmp_path / "file"),))
    assert (report.problem, report.first) == (None, 1)
    assert audited.problem() is None


def test_archiving_is_audited_and_the_operators_alone(audited: Audited, tmp_path: Path) -> None:
    from kvstack.vault.caller import Caller
    from kvstack.vault.errors import Forbidden

    with audited.open() as service:
        person = Caller("91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10")
        with pytest.raises(Forbidden):
            service.archive_audit(person, FAR, str(tmp_path / "file"))
        assert not (tmp_path / "file").exists()
        with pytest.raises(Forbidden):
            service.audit_anchor(person)
        service.archive_audit(service.operator, FAR, str(tmp_path / "file"))
        (record,) = [one for one in service._audit.records() if one.result == "Success"]
    assert (record.operation, record.details["first"]) == ("AuditArchive", "1")


# Attacks


@pytest.mark.parametrize(
    ("left_out", "position", "words"),
    [(1, 6, "is missing, up to record 7"), (2, 8, "is missing, up to record 9")],
)
def test_a_segment_that_is_left_out_is_missed(
    audited: Audited, three: list[str], left_out: int, position: int, words: str
) -> None:
    problem = audited.problem(segments=tuple(file for number, file in enumerate(three) if number != left_out))
    assert problem is not None
    assert (problem.position, words in problem.what) == (position, True), problem


def test_any_byte_of_a_segment_that_was_changed_is_found(audited: Audited, three: list[str], tmp_path: Path) -> None:
    content = Path(three[1]).read_bytes()
    changed = tmp_path / "changed"
    for place in range(0, len(content), 7):
        changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(KvstackError, match=r"no segment|was changed"):
            Segment.opened(str(changed))


@pytest.mark.parametrize("kept", [0, 10, 24, 30, -1, -37])
def test_a_segment_that_was_cut_off_is_refused(three: list[str], tmp_path: Path, kept: int) -> None:
    (tmp_path / "cut").write_bytes(Path(three[0]).read_bytes()[:kept])
    with pytest.raises(KvstackError, match=r"no segment|not whole"):
        Segment.opened(str(tmp_path / "cut"))


def test_a_record_in_a_segment_is_believed_by_its_mac_whatever_the_file_says_of_itself(
    audited: Audited, three: list[str], tmp_path: Path
) -> None:
    from kvstack.vault.audit_segments import write_segment

    kept = Segment.opened(three[1])
    rows = list(kept.rows())
    rows[1] = (*rows[1][:3], rows[1][3] + 1, *rows[1][4:])
    write_segment(str(tmp_path / "edited"), kept.begin, rows, kept.checkpoints())
    problem = audited.problem(segments=(three[0], str(tmp_path / "edited"), three[2]))
    assert problem is not None
    assert (problem.position, problem.what) == (7, "was edited, or does not belong here")


def test_an_anchor_holds_over_what_was_archived_where_the_segment_is_given(audited: Audited, tmp_path: Path) -> None:
    anchor = audited.anchor()
    audited.used("x")
    file = archived(audited, "file")
    assert audited.problem(anchor=anchor, segments=(file,)) is None
    with pytest.raises(KvstackError, match="was archived"):
        audited.problem(anchor=anchor)


def test_an_audit_that_says_it_begins_later_than_the_vault_wrote_is_refused(audited: Audited, three: list[str]) -> None:
    audited.by_hand("DELETE FROM audit_begins")
    with audited.open() as service, pytest.raises(KvstackError, match=r"removed|begin"):
        service._audit.verify()


# Killed


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from kvstack.vault import audit_archiving, audit_operations
from kvstack.vault.initialise import unlock
from kvstack.vault.service import VaultService
when, folder, file = sys.argv[1:]
def die(): os.kill(os.getpid(), signal.SIGKILL)
link, forget = os.link, audit_operations.forget_archived
if when == "before the file has its name":
    os.link = lambda *names: die()
if when == "before the store forgets":
    audit_operations.forget_archived = lambda *of: die()
if when == "before it is committed":
    audit_operations.forget_archived = lambda *of: (forget(*of), die())
service = VaultService(unlock(Path(folder)))
service.archive_audit(service.operator, datetime(2100, 1, 1, tzinfo=UTC), file)
if when == "after it is committed":
    die()
"""


@pytest.mark.parametrize(
    "when",
    [
        "before the file has its name",
        "before the store forgets",
        "before it is committed",
        "after it is committed",
    ],
)
def test_killed_at_any_step_nothing_is_lost_and_the_same_call_finishes_it(
    audited: Audited, tmp_path: Path, when: str
) -> None:
    file = str(tmp_path / "file")
    command = [sys.executable, "-c", KILLED, when, str(audited.folder), file]
    finished = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60)
    assert finished.returncode == -signal.SIGKILL
    done = when == "after it is committed"
    assert audited.problem(segments=(file,) if done else ()) is None
    if not done:
        with audited.open() as service:
            service.archive_audit(service.operator, FAR, file)
    report = audited.report(segments=(file,))
    assert (report.problem, report.first, report.records >= 6) == (None, 1, True)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] in ([], [".file.part"])


def test_a_file_that_is_there_is_never_overwritten(audited: Audited, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with audited.open() as service, pytest.raises(KvstackError, match="no segment"):
        service.archive_audit(service.operator, FAR, str(tmp_path / "file"))
    other = Audited.made(tmp_path / "other")
    file = archived(other, "of-another")
    with audited.open() as service, pytest.raises(KvstackError, match="already"):
        service.archive_audit(service.operator, FAR, file)


def test_nothing_is_archived_that_is_not_whole(audited: Audited, tmp_path: Path) -> None:
    audited.by_hand("UPDATE audit SET time = time + 1 WHERE position = 2")
    with audited.open() as service, pytest.raises(KvstackError, match="nothing was archived"):
        service.archive_audit(service.operator, FAR, str(tmp_path / "file"))
    with audited.open() as service:
        assert sum(1 for _ in service._audit.rows()) > 5


def test_a_secret_set_before_archiving_is_read_after_it(audited: Audited, tmp_path: Path) -> None:
    archived(audited, "file")
    with audited.open() as service:
        value = service.get_secret(service.operator, VAULT, "a").value
    assert value is not None
    assert value.reveal() == b"v"
