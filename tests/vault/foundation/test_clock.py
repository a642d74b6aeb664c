"""A clock that jumps is not believed, whatever is done meanwhile, until somebody says why it did."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit import AuditLog, AuditRecord
from kvstack.vault.clock import SimulatedClock, SystemClock, TimeGuard
from kvstack.vault.store import Store
from kvstack.vault.time_step import Steady, StepBack, StepForward, microseconds, moment, moved, step
from tests.vault.foundation.things import Thing, opened, put, undone

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOON, Steady),
        (NOON - timedelta(minutes=5), Steady),
        (NOON - timedelta(minutes=6), StepBack),
        (NOON - 400 * DAY, StepBack),
        (NOON + 35 * DAY, Steady),
        (NOON + 35 * DAY + timedelta(seconds=1), StepForward),
        (NOON + 4000 * DAY, StepForward),
    ],
)
def test_a_step_is_back_or_further_than_anybody_leaves_a_vault_alone(now: datetime, expected: type) -> None:
    assert isinstance(step(NOON, now), expected)


def test_a_step_is_told_in_words() -> None:
    assert str(step(NOON, NOON - DAY)) == (
        "the clock stepped back: it says 2026-11-23 12:00Z, and the vault was used at 2026-11-24 12:00Z"
    )
    assert str(step(NOON, NOON + 90 * DAY)) == (
        "the clock is 90 days ahead of the vault's last change, on 2026-11-24 12:00Z"
    )


def test_what_was_never_marked_is_steady() -> None:
    assert step(None, NOON) == Steady()


@given(st.lists(st.integers(1, 2**45), min_size=1))
def test_the_mark_never_goes_back_nor_jumps(times: list[int]) -> None:
    mark = moved(0, times[0])
    for time in times:
        after = moved(mark, time)
        assert mark <= after <= mark + microseconds(moment(0) + 35 * DAY)
        mark = after


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)))  # noqa: DTZ001
def test_microseconds_are_exact(naive: datetime) -> None:
    aware = naive.replace(tzinfo=UTC)
    assert moment(microseconds(aware)) == aware


class Vault:
    """A store that is used at given times."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log = AuditLog(store, b"a" * 32)
        self.guard = TimeGuard(store)

    def use(self, now: datetime, *, changing: bool) -> None:
        with self.store.transaction() as tx:
            if changing:
                put(self.store, Thing("fruit", "apple"))
            self.log.append(tx, AuditRecord(time=now, operation="SecretSet", resource="/a", caller="alice"))


@pytest.fixture
def vault(store: Store) -> Vault:
    used = Vault(store)
    used.use(NOON, changing=True)
    return used


def test_changes_move_the_mark_and_reads_do_not(vault: Vault) -> None:
    vault.use(NOON + 20 * DAY, changing=False)
    assert vault.guard.mark() == NOON
    vault.use(NOON + 20 * DAY, changing=True)
    assert vault.guard.mark() == NOON + 20 * DAY
    assert vault.guard.check(NOON + 50 * DAY) == Steady()


def test_the_mark_is_known_to_other_processes(path: Path, vault: Vault) -> None:
    other = opened(path)
    assert TimeGuard(other).mark() == NOON
    other.close()


@pytest.mark.parametrize("now", [NOON - 10 * DAY, NOON + 100 * DAY])
def test_a_step_stays_one_until_it_is_confirmed(vault: Vault, now: datetime) -> None:
    before = vault.guard.check(now)
    assert before != Steady()
    for _ in range(3):
        vault.use(now, changing=True)
    assert vault.guard.check(now) == before
    with vault.store.transaction() as tx:
        vault.guard.confirm(tx, now)
    assert vault.guard.check(now) == Steady()
    assert vault.guard.mark() == now


def test_a_confirmation_that_was_undone_did_not_happen(vault: Vault) -> None:
    with undone(vault.store) as tx:
        vault.guard.confirm(tx, NOON + 100 * DAY)
    assert vault.guard.mark() == NOON


def test_a_simulated_clock_stands_still_until_it_is_moved_for_all(path: Path, store: Store) -> None:
    clock = SimulatedClock(store)
    with pytest.raises(KvstackError, match="never set"):
        clock.now()
    clock.set(NOON)
    assert clock.advance(90 * DAY) == clock.now() == NOON + 90 * DAY
    other = opened(path)
    assert SimulatedClock(other).now() == NOON + 90 * DAY
    SimulatedClock(other).advance(-DAY)
    assert clock.now() == NOON + 89 * DAY
    with store.transaction():
        assert clock.now() == NOON + 89 * DAY
    other.close()


def test_the_systems_clock_knows_its_time_zone() -> None:
    assert SystemClock().now().utcoffset() == timedelta()
