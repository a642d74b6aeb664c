"""When checkpoints are made, by which key, and what happens where none can be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.vault.audit_checkpoints import EVERY_RECORDS, CheckpointSigner
from kvstack.vault.audit_signer import CHECKPOINT_SIGNERS
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, unlock
from kvstack.vault.service import VaultService
from tests.vault.service.audited import Audited, killed

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Moved:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture
def service(tmp_path: Path, clock: Moved) -> Iterator[VaultService]:
    unlocked = initialise(tmp_path / "vault", hsm=False, prepare=initialise_access, clock=clock)
    yield VaultService(unlocked)
    unlocked.close()


def signed_up_to(service: VaultService) -> int:
    return service._audit.verify().signed_up_to


def reads(service: VaultService, count: int) -> None:
    for _ in range(count):
        service.list_vaults(service.operator)


def test_a_thousand_records_are_enough_for_a_checkpoint(service: VaultService) -> None:
    reads(service, EVERY_RECORDS - 2)
    assert signed_up_to(service) == 0
    reads(service, 1)
    # With the record of the signing key, which was made for it.
    assert signed_up_to(service) == EVERY_RECORDS + 1
    reads(service, EVERY_RECORDS - 1)
    assert signed_up_to(service) == EVERY_RECORDS + 1
    reads(service, 1)
    assert signed_up_to(service) == 2 * EVERY_RECORDS + 1


def test_a_record_is_signed_with_the_first_one_written_a_minute_later(service: VaultService, clock: Moved) -> None:
    reads(service, 1)
    clock.time += timedelta(seconds=59)
    reads(service, 1)
    assert signed_up_to(service) == 0
    clock.time += timedelta(seconds=1)
    reads(service, 1)
    assert signed_up_to(service) == 5
    clock.time += timedelta(hours=1)
    reads(service, 1)
    assert signed_up_to(service) == 6


def test_a_batch_is_signed_once_when_it_is_done(service: VaultService, clock: Moved) -> None:
    with service.batch():
        for _ in range(5):
            clock.time += timedelta(minutes=2)
            reads(service, 1)
    report = service._audit.verify()
    assert (report.checkpoints, report.signed_up_to) == (1, 7)


def test_a_clock_set_back_makes_no_checkpoint_and_stops_none(service: VaultService, clock: Moved) -> None:
    clock.time -= timedelta(days=1)
    reads(service, EVERY_RECORDS - 2)
    assert signed_up_to(service) == 0
    reads(service, 1)
    assert signed_up_to(service) == EVERY_RECORDS + 1


def test_a_process_signs_what_it_wrote_when_it_ends_and_nothing_where_it_wrote_nothing(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    for _ in range(2):
        report = audited.report()
        assert (report.records, report.signed_up_to, report.checkpoints) == (3, 3, 1)
    audited.used("a")
    report = audited.report()
    assert (report.records, report.signed_up_to, report.checkpoints) == (4, 4, 2)


def test_the_next_process_signs_what_a_killed_one_left(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    audited.read(3)
    report = audited.report()
    assert (report.records, report.signed_up_to) == (6, 3)
    audited.used("a")
    assert audited.report().signed_up_to == 7


def test_processes_that_write_at_once_have_their_chains_joined(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    with audited.open() as one, audited.open() as two:
        for _ in range(3):
            reads(one, 1)
            reads(two, 1)
    report = audited.report()
    assert (report.problem, report.records, report.writers, report.signed_up_to) == (None, 9, 3, 9)


class Slow:
    """A signer that is asked while another process signs all there is. when: at which of its two steps."""

    def __init__(self, signer: CheckpointSigner, other: VaultService, when: str) -> None:
        self.store = signer.store
        self.public_keys = signer.public_keys
        self._signer, self._other, self._when = signer, other, when

    def _overtaken(self, step: str) -> None:
        if step == self._when:
            self._when = ""
            self._other._checkpointing.newest(self._other._audit)

    def prepare(self) -> str:
        self._overtaken("prepare")
        return self._signer.prepare()

    def sign(self, digest: bytes) -> bytes:
        self._overtaken("sign")
        return self._signer.sign(digest)


@pytest.mark.parametrize("when", ["prepare", "sign"])
def test_what_another_process_has_just_signed_is_not_signed_again(tmp_path: Path, when: str) -> None:
    audited = Audited.made(tmp_path / "vault")
    with audited.open() as one, audited.open() as two:
        reads(one, 1)
        one._checkpointing.signer = Slow(one._checkpointing.signer, two, when)
        one._audit.stop()
    report = audited.report()
    assert (report.problem, report.records, report.signed_up_to, report.checkpoints) == (None, 4, 4, 2)


def test_many_processes_that_end_at_once_are_all_signed_for(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    code = (
        "import sys; from pathlib import Path; from kvstack.vault.initialise import unlock; "
        "from kvstack.vault.service import VaultService; "
        "unlocked = unlock(Path(sys.argv[1])); service = VaultService(unlocked); sys.stdin.read(); "
        "[service.list_vaults(service.operator) for _ in range(5)]; unlocked.close()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(audited.folder)],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(6)
    ]
    for one in running:
        assert one.stdin is not None
        one.stdin.close()
    assert [one.wait(60) for one in running] == [0] * 6
    report = audited.report()
    assert (report.problem, report.records, report.signed_up_to) == (None, 33, 33)
    assert report.unsigned_since is None


def test_the_key_is_made_once_and_audited(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    audited.used("a")
    with audited.open() as service:
        made = [one for one in service._audit.records() if one.operation == "AuditSignerMake"]
        with service._store.transaction() as tx:
            (row,) = CHECKPOINT_SIGNERS.scan(tx)
    assert [one.details for one in made] == [{"key": row.id}]
    assert row.provider == "software"


@pytest.mark.skipif(find_module() is None, reason="needs a PKCS#11 module (SoftHSM2)")
def test_where_there_is_an_hsm_the_key_is_made_in_it(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault", hsm=True)
    audited.used("a")
    with audited.open() as service, service._store.transaction() as tx:
        (row,) = CHECKPOINT_SIGNERS.scan(tx)
    assert row.provider.startswith("pkcs11")
    report = audited.report()
    assert (report.problem, report.signed_up_to) == (None, 4)


# Where nothing can be signed


class Away:
    """A signer whose HSM is away. It knows what has been signed before."""

    def __init__(self, signer: CheckpointSigner) -> None:
        self.store = signer.store
        self.prepare = signer.prepare
        self.public_keys = signer.public_keys

    def sign(self, digest: bytes) -> bytes:
        raise HsmUnavailable("the token `kvstack` is not there")


@contextmanager
def signing_refused(service: VaultService) -> Iterator[None]:
    """Take the HSM away in the block."""
    signer = service._checkpointing.signer
    service._checkpointing.signer = Away(signer)
    try:
        yield
    finally:
        service._checkpointing.signer = signer


def test_work_goes_on_where_nothing_can_be_signed_and_that_is_audited_once(service: VaultService, clock: Moved) -> None:
    with signing_refused(service):
        for _ in range(5):
            clock.time += timedelta(minutes=2)
            reads(service, 1)
        failed = [one for one in service._audit.records() if one.operation == "AuditCheckpoint"]
        assert [(one.result, one.description) for one in failed] == [
            ("HsmUnavailable", "the token `kvstack` is not there")
        ]
        report = service._audit.verify()
        assert (report.problem, report.signed_up_to) == (None, 0)
        assert report.unsigned_since == NOON + timedelta(minutes=2)
    clock.time += timedelta(minutes=2)
    reads(service, 1)
    report = service._audit.verify()
    assert (report.unsigned_since, report.signed_up_to) == (None, report.records)


def test_an_anchor_is_refused_where_nothing_can_be_signed(service: VaultService) -> None:
    with signing_refused(service), pytest.raises(HsmUnavailable):
        service.audit_anchor(service.operator)


def test_a_process_whose_hsm_is_gone_ends_all_the_same(tmp_path: Path) -> None:
    audited = Audited.made(tmp_path / "vault")
    unlocked = unlock(audited.folder)
    service = VaultService(unlocked)
    with signing_refused(service):
        reads(service, 1)
        unlocked.close()
    report = audited.report()
    assert (report.problem, report.signed_up_to, report.records) == (None, 3, 5)
    assert report.unsigned_since is not None


def test_stores_made_before_there_were_checkpoints_are_signed_from_now_on(tmp_path: Path) -> None:
    unlocked = initialise(tmp_path / "vault", hsm=False, prepare=initialise_access)
    killed(unlocked)
    audited = Audited(tmp_path / "vault")
    assert audited.report().signed_up_to == 0
    with audited.open() as service:
        reads(service, 1)
    report = audited.report()
    assert (report.problem, report.signed_up_to, report.records) == (None, 3, 3)
