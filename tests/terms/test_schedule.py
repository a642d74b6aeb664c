"""When things are due, by policy and date: leap days, ends of months, 2038, and the end of the calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms import schedule
from kvstack.terms.certificate import Trigger
from kvstack.terms.duration import Duration, duration
from kvstack.terms.rotation import RotationPolicy, problems


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "created", "due"),
    [
        ("P7D", "2026-01-01", "2026-01-08"),
        ("P1M", "2026-01-31", "2026-02-28"),
        ("P1M", "2028-01-31", "2028-02-29"),
        ("P1Y", "2028-02-29", "2029-02-28"),
        ("P4Y", "2028-02-29", "2032-02-29"),
        ("P1Y", "2099-02-28T23:59:59", "2100-02-28T23:59:59"),
        # The nights on which clocks are changed in Europe: a day in UTC has 24 hours.
        ("P7D", "2026-03-28T01:30:00", "2026-04-04T01:30:00"),
        ("PT168H", "2026-10-24T01:30:00", "2026-10-31T01:30:00"),
        # The second after which 32 bits are not enough.
        ("P7D", "2038-01-19T03:14:07", "2038-01-26T03:14:07"),
        ("P1Y", "9999-01-01", None),
        ("P1000Y", "9000-01-01", None),
        ("P400D", "9998-12-31", None),
    ],
)
def test_the_next_version_is_due_this_long_after_the_newest_was_made(every: str, created: str, due: str | None) -> None:
    policy = RotationPolicy(every=duration(every))
    assert schedule.rotation_due(policy, day(created), None) == (day(due) if due else None)


@pytest.mark.parametrize(
    ("before", "life", "created", "expires", "due"),
    [
        ("P30D", "P90D", "2026-01-01", "2026-04-01", "2026-03-02"),
        ("P1M", "P90D", "2026-01-01", "2026-03-31", "2026-02-28"),
        # A version without a date counts as if it lived as long as the policy says.
        ("P30D", "P90D", "2026-01-01", None, "2026-03-02"),
        # A date somebody set by hand that is nearer than the policy's: at once, and not before it was made.
        ("P30D", "P90D", "2026-01-01", "2026-01-05", "2026-01-01"),
        ("P30D", "P1Y", "9999-06-01", None, None),
        ("P30D", "P1Y", "9999-06-01", "9999-12-31", "9999-12-01"),
    ],
)
def test_or_this_long_before_it_expires(
    before: str, life: str, created: str, expires: str | None, due: str | None
) -> None:
    policy = RotationPolicy(before_expiry=duration(before), expire_after=duration(life))
    found = schedule.rotation_due(policy, day(created), day(expires) if expires else None)
    assert found == (day(due) if due else None)


@pytest.mark.parametrize("policy", [None, RotationPolicy(), RotationPolicy(expire_after=duration("P90D"))])
def test_nothing_is_due_without_a_trigger(policy: RotationPolicy | None) -> None:
    assert schedule.rotation_due(policy, day("2026-01-01"), day("2027-01-01")) is None


def test_a_rotation_that_is_switched_off_is_never_due_and_people_are_told_all_the_same() -> None:
    off = RotationPolicy(
        every=duration("P30D"), expire_after=duration("P90D"), notify_before_expiry=duration("P10D"), enabled=False
    )
    assert schedule.rotation_due(off, day("2026-01-01"), None) is None
    assert schedule.near_expiry(day("2026-04-01"), off) == day("2026-03-22")


def test_people_are_told_30_days_before_where_the_policy_says_nothing() -> None:
    assert schedule.near_expiry(day("2026-04-01")) == day("2026-03-02")
    assert schedule.near_expiry(day("2026-04-01"), RotationPolicy()) == day("2026-03-02")
    assert schedule.near_expiry(None) is None
    assert schedule.near_expiry(day("0001-01-02")) is None


@pytest.mark.parametrize(
    ("trigger", "due"),
    [
        (None, None),
        (Trigger(days_before_expiry=30), "2026-12-02"),
        (Trigger(lifetime_percentage=80), "2026-10-20"),
        (Trigger(days_before_expiry=4000), "2026-01-01"),
    ],
)
def test_a_certificate_is_renewed_by_days_or_by_percentage_of_its_life(
    trigger: Trigger | None, due: str | None
) -> None:
    found = schedule.renewal_due(trigger, day("2026-01-01"), day("2027-01-01"))
    assert found == (day(due) if due else None)


def test_a_version_that_was_followed_is_kept_as_long_as_the_policy_says() -> None:
    assert schedule.previous_ends(duration("P30D"), day("2026-01-31")) == day("2026-03-02")
    assert schedule.previous_ends(None, day("2026-01-31")) is None
    assert schedule.previous_ends(duration("P30D"), None) is None
    assert schedule.previous_ends(duration("P30D"), day("9999-12-20")) is None


MOMENTS = st.datetimes(timezones=st.just(UTC))
DURATIONS = st.builds(Duration, months=st.integers(0, 12000), days=st.integers(0, 40000), seconds=st.integers(0, 10**6))
POLICIES = st.builds(
    RotationPolicy,
    every=st.none() | DURATIONS,
    before_expiry=st.none() | DURATIONS,
    expire_after=st.none() | DURATIONS,
    notify_before_expiry=st.none() | DURATIONS,
    enabled=st.booleans(),
    keep_previous=st.none() | DURATIONS,
)


@given(policy=POLICIES, created=MOMENTS, expires=st.none() | MOMENTS)
def test_no_policy_and_no_date_raises_and_nothing_is_due_before_its_version_was_made(
    policy: RotationPolicy, created: datetime, expires: datetime | None
) -> None:
    due = schedule.rotation_due(policy, created, expires)
    assert due is None or due >= created
    ends = schedule.previous_ends(policy.keep_previous, created)
    assert ends is None or ends >= created
    told = schedule.near_expiry(expires, policy)
    assert told is None or (expires is not None and told <= expires)


@given(policy=POLICIES.filter(lambda policy: not list(problems(policy)) and policy.enabled), created=MOMENTS)
def test_a_policy_a_vault_takes_never_makes_two_versions_within_a_week(
    policy: RotationPolicy, created: datetime
) -> None:
    """Also not where the version expires as the policy says: a run after a long sleep makes one, not many."""
    due = schedule.rotation_due(policy, created, schedule.expiry_of_new(policy, created))
    # Two months of different lengths may differ by three days from what is compared as their average.
    assert due is None or due - created >= timedelta(days=4)
