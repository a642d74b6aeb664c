"""Whatever is done to the audit by who owns the files is found: from which record on, with and without an anchor."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_checkpoints import SignedCheckpoint, read_checkpoint
from kvstack.vault.audit_record import chained
from kvstack.vault.audit_signer import CHECKPOINT_SIGNERS, StoreSigner, _software_signing
from kvstack.vault.faults import Tampered
from tests.vault.foundation.things import by_hand
from tests.vault.service.audited import Audited

# Records: 1-3 made the vault, 4-5 set `a` and `b`, 6 set `c`, 7-8 only read by a process that was killed.
# Checkpoints: 1 at record 3, 2 at 5, 3 at 6.
NEXT = "UPDATE audit SET position = position - 1 WHERE position > "


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    made = Audited.made(tmp_path / "vault")
    made.used("a", "b")
    made.used("c")
    made.read(2)
    return made


def test_what_nobody_touched_is_whole(audited: Audited) -> None:
    report = audited.report()
    assert (report.problem, report.records, report.writers) == (None, 8, 4)
    assert (report.checkpoints, report.signed_up_to, report.unsigned_since) == (3, 6, None)


@pytest.mark.parametrize(
    ("statements", "first_bad", "words"),
    [
        pytest.param(["DELETE FROM audit WHERE position = 4"], 5, "record 4 is missing", id="removed"),
        pytest.param(["DELETE FROM audit WHERE position = 4", NEXT + "4"], 4, "edited", id="removed, closed up"),
        pytest.param(["UPDATE audit SET time = time + 1 WHERE position = 2"], 2, "edited", id="edited"),
        pytest.param(
            [
                "UPDATE audit SET position = -1 WHERE position = 4",
                "UPDATE audit SET position = 4 WHERE position = 5",
                "UPDATE audit SET position = 5 WHERE position = -1",
            ],
            4,
            "edited",
            id="reordered",
        ),
        pytest.param(
            ["UPDATE audit SET writer = (SELECT writer FROM audit WHERE position = 6) WHERE position = 5"],
            5,
            "edited",
            id="swapped between writers",
        ),
        pytest.param(["DELETE FROM audit WHERE position >= 6"], 6, "missing", id="cut before the newest checkpoint"),
        pytest.param(["DELETE FROM audit WHERE position > 5"], 6, "missing", id="cut exactly at an older checkpoint"),
        pytest.param(
            ["DELETE FROM audit WHERE position > 5", "DELETE FROM audit_checkpoints WHERE number = 3"],
            6,
            "missing",
            id="cut at an older checkpoint, with the newest",
        ),
        pytest.param(["DELETE FROM audit"], 1, "missing", id="everything"),
        pytest.param(
            ["DELETE FROM audit_checkpoints WHERE number = 2"], 6, "checkpoint 2 is missing", id="a checkpoint"
        ),
        pytest.param(["DELETE FROM audit_checkpoints WHERE number = 3"], 6, "lost the checkpoint 3", id="the newest"),
        pytest.param(["DELETE FROM audit_checkpoints"], 6, "lost the checkpoint 3", id="all checkpoints"),
        pytest.param(["UPDATE audit_checkpoints SET body = x'c1' WHERE number = 2"], 4, "edited", id="unreadable"),
        pytest.param(
            ["UPDATE audit_checkpoints SET signature = zeroblob(64) WHERE number = 2"],
            5,
            "signature is not genuine",
            id="a signature",
        ),
        pytest.param(
            [
                "UPDATE audit_checkpoints SET body = (SELECT body FROM audit_checkpoints WHERE number = 1) "
                "WHERE number = 2"
            ],
            3,
            "out of its place",
            id="a checkpoint for another",
        ),
    ],
)
def test_what_was_done_is_found_and_placed(audited: Audited, statements: list[str], first_bad: int, words: str) -> None:
    audited.by_hand(*statements)
    problem = audited.problem()
    assert problem is not None
    assert (problem.position, words in problem.what) == (first_bad, True), problem


def test_what_was_written_after_the_newest_checkpoint_can_be_cut_off_unnoticed(audited: Audited) -> None:
    """The limit: mere reads of a process that was killed within a minute and a thousand records."""
    audited.by_hand("DELETE FROM audit WHERE position > 6")
    assert audited.problem() is None


def test_what_a_killed_process_recorded_of_reads_is_found_where_it_was_edited(audited: Audited) -> None:
    audited.read(40)
    assert (audited.report().records, audited.problem()) == (48, None)
    audited.read(40)
    (file,) = audited.database.parent.glob("*.audit")
    content = bytearray(file.read_bytes())
    content[2_000] ^= 1
    file.write_bytes(content)
    # What stands before is taken in; that something is missing is said in the audit, and as long as the file is there.
    for _ in range(2):
        report = audited.report()
        assert report.problem is not None
        assert f"{file.name}.edited" in report.problem.what
        assert 48 + 16 < report.records < 48 + 40 + 1
    with audited.open() as service:
        (told,) = (one for one in service._audit.records() if one.operation == "AuditTakeIn")
    assert (told.result, told.status) == ("TamperedAudit", 500)
    assert file.name in told.description
    Path(f"{file}.edited").unlink()
    assert audited.problem() is None


def test_the_last_records_of_a_process_that_ended_are_missed_though_they_changed_nothing(audited: Audited) -> None:
    with audited.open() as service:
        service.list_vaults(service.operator)
    audited.by_hand("DELETE FROM audit WHERE position = 9")
    problem = audited.problem()
    assert problem is not None
    assert problem.position == 9


def test_nothing_is_written_after_an_audit_that_lost_what_was_signed(audited: Audited) -> None:
    with audited.open() as service:
        service.list_vaults(service.operator)
    audited.by_hand("DELETE FROM audit WHERE position = 9")
    with audited.open() as service, pytest.raises(Tampered, match="lost its record 9"):
        service.list_vaults(service.operator)


def _forged(audited: Audited, sign: Callable[[SignedCheckpoint], bytes]) -> None:
    """Put another checkpoint in place of the newest one, as if record 5 were the end."""
    with by_hand(audited.database) as database:
        rows = database.execute("SELECT number, body, signature FROM audit_checkpoints ORDER BY number").fetchall()
        kept = read_checkpoint(*rows[1])
        database.execute("DELETE FROM audit WHERE position > 5")
        database.execute("DELETE FROM audit_checkpoints WHERE number = 3")
        database.execute("UPDATE audit_checkpoints SET signature = ? WHERE number = 2", (sign(kept),))


def test_a_checkpoint_signed_by_another_key_is_no_checkpoint(audited: Audited) -> None:
    from kvstack.vault.audit_checkpoints import digest

    other = _software_signing(bytes(31) + b"\x07")
    _forged(audited, lambda kept: other(digest(kept.checkpoint)))
    problem = audited.problem()
    assert problem is not None
    assert problem.position == 5
    assert "signature is not genuine" in problem.what


def test_who_has_the_key_of_the_macs_and_not_the_signing_key_is_found_by_the_checkpoints(audited: Audited) -> None:
    """Every record from 4 on is written anew, with MACs that are right."""
    with audited.open() as service:
        mac_of = service._audit.mac
    with by_hand(audited.database) as database:
        database.execute("UPDATE audit SET body = (SELECT body FROM audit WHERE position = 6) WHERE position = 4")
        heads: dict[str, bytes] = {}
        sql = "SELECT position, writer, sequence, time, changed, body FROM audit ORDER BY position"
        for position, writer, sequence, time, changed, body in database.execute(sql).fetchall():
            before = heads.get(writer, b"")
            heads[writer] = mac_of(chained(before, position, writer, sequence, time, changed, body))
            database.execute("UPDATE audit SET mac = ? WHERE position = ?", (heads[writer], position))
    problem = audited.problem()
    assert problem is not None
    assert problem.position == 5
    assert "checkpoint 2 was signed for" in problem.what


def test_a_signing_key_of_ones_own_is_refused_with_the_row_it_is_in(audited: Audited) -> None:
    audited.by_hand(f"UPDATE {CHECKPOINT_SIGNERS.name} SET kek = 'another'")
    with audited.open() as service, pytest.raises(Tampered):
        service._audit.verify()


def _spliced(database: sqlite3.Connection, other: Path) -> None:
    database.execute("ATTACH ? AS other", (str(other),))
    database.execute("DELETE FROM audit WHERE position = 5")
    database.execute("INSERT INTO audit SELECT * FROM other.audit WHERE position = 5")


@pytest.mark.parametrize("own", [True, False], ids=["its own older database", "another store"])
def test_a_record_of_another_database_is_found(audited: Audited, tmp_path: Path, own: bool) -> None:
    if own:
        # The same store went two ways: both records are genuine, one of them belongs here.
        other = audited.copied("other")
        other.used("x")
        with by_hand(audited.database) as database:
            database.execute("ATTACH ? AS other", (str(other.database),))
            database.execute("INSERT INTO audit SELECT * FROM other.audit WHERE position = 9")
        audited.by_hand("DELETE FROM audit WHERE position = 8")
        problem = audited.problem()
        assert problem is not None
        assert problem.position == 9
        return
    other = Audited.made(tmp_path / "other")
    other.used("a", "b")
    with by_hand(audited.database) as database:
        _spliced(database, other.database)
    problem = audited.problem()
    assert problem is not None
    assert problem.position == 5


def test_checkpoints_of_another_store_are_told_from_ones_own(audited: Audited, tmp_path: Path) -> None:
    other = Audited.made(tmp_path / "other")
    with by_hand(audited.database) as database:
        database.execute("ATTACH ? AS other", (str(other.database),))
        database.execute("DELETE FROM audit_checkpoints WHERE number = 1")
        database.execute("INSERT INTO audit_checkpoints SELECT * FROM other.audit_checkpoints WHERE number = 1")
    problem = audited.problem()
    assert problem is not None
    assert problem.position == 3
    assert "another store's" in problem.what


# With an anchor


def test_files_that_were_put_back_are_found_by_an_anchor_alone(audited: Audited) -> None:
    before = audited.copied("before")
    audited.used("secret-deed")
    anchor = audited.anchor()
    assert audited.problem(anchor=anchor) is None
    audited.put_back(before)
    assert audited.problem() is None
    problem = audited.problem(anchor=anchor)
    assert problem is not None
    assert problem.position == 9
    assert "put back to an earlier time" in problem.what


def test_going_on_after_files_were_put_back_hides_nothing(audited: Audited) -> None:
    before = audited.copied("before")
    audited.used("secret-deed")
    anchor = audited.anchor()
    audited.put_back(before)
    for name in "xyz":
        audited.used(name)
    assert audited.problem() is None
    problem = audited.problem(anchor=anchor)
    assert problem is not None
    assert "the anchor has another" in problem.what


def test_an_anchor_stays_good_as_the_vault_goes_on(audited: Audited) -> None:
    anchor = audited.anchor()
    audited.used("x")
    audited.used("y")
    assert audited.problem(anchor=anchor) is None


def test_a_new_signing_key_after_the_anchor_is_told(audited: Audited) -> None:
    """Made here as a recovery makes it, and as somebody could who has the store's data key and not the HSM."""
    anchor = audited.anchor()
    audited.used("x")
    assert audited.report(anchor=anchor).other_signer == 0
    with audited.open() as service:
        signer = service._checkpointing.signer
        assert isinstance(signer, StoreSigner)
        signer._kek = lambda: "another"
        service.list_vaults(service.operator)
    report = audited.report(anchor=anchor)
    assert (report.problem, report.other_signer) == (None, report.records)
    assert audited.report().other_signer == 0


def test_an_anchor_is_for_one_store(audited: Audited, tmp_path: Path) -> None:
    other = Audited.made(tmp_path / "other")
    with pytest.raises(KvstackError, match="another store"):
        audited.problem(anchor=other.anchor())


@pytest.mark.parametrize("field", ["number", "record", "store", "checkpoint", "signature", "x", "y"])
def test_an_anchor_that_was_changed_is_refused(audited: Audited, field: str) -> None:
    import json

    from kvstack.vault.audit_anchor import read_anchor

    file = Path(audited.anchor().file)
    document = json.loads(file.read_text())
    value = document[field]
    document[field] = value + 1 if isinstance(value, int) else ("B" if value[0] == "A" else "A") + value[1:]
    file.write_text(json.dumps(document))
    with pytest.raises(KvstackError, match="was changed"):
        read_anchor(str(file))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"format": "other"}'])
def test_what_is_no_anchor_is_refused(tmp_path: Path, content: bytes) -> None:
    from kvstack.vault.audit_anchor import read_anchor

    (tmp_path / "file").write_bytes(content)
    with pytest.raises(KvstackError, match="is no anchor"):
        read_anchor(str(tmp_path / "file"))
