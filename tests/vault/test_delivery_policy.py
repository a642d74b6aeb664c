"""When an event is sent again, and when it is given up: by what was tried, and by what the receiver asks for."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.vault.delivery_policy import Answer, after_failure, asked_to_wait
from kvstack.vault.outbox import Delivery

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
EVENT = Delivery(
    subscription="hook",
    sequence="1",
    id="e",
    thing="t",
    type="kvstack.DriftFound",
    subject="s",
    event=b"{}",
    day="2026-03-01",
    created=NOW,
)


def tries(answer: Answer) -> list[float]:
    """Return after how many seconds an event is tried that is never taken, the first time at 0."""
    found, row, now = [], EVENT, NOW
    while row.state == "waiting":
        found.append((now - NOW).total_seconds())
        row = after_failure(row, answer, now)
        now = row.next_try or now
    assert (row.state, row.settled) == ("dead", now)
    return found


def test_pauses_grow_to_an_hour_and_end_after_a_day() -> None:
    found = tries(Answer("later", "answered 500"))
    assert found[:8] == [0, 10, 40, 100, 400, 1000, 2800, 6400]
    pauses = [later - earlier for earlier, later in pairwise(found[:-1])]
    assert pauses == sorted(pauses)
    assert max(pauses) == 3600
    assert found[-1] == DAY.total_seconds(), "the last try is the one at the end of the day"


def test_what_is_asked_for_goes_before_what_is_usual_but_not_beyond_the_day() -> None:
    assert tries(Answer("later", "answered 429", 7.0))[:4] == [0, 7, 14, 21]
    assert tries(Answer("later", "answered 429", 50_000.0)) == [0, 50_000, 86_400]


def test_what_is_gone_for_good_is_not_tried_again() -> None:
    assert tries(Answer("gone", "answered 410")) == [0]


def test_the_day_counts_from_the_first_try() -> None:
    later = NOW + timedelta(days=3)
    assert after_failure(EVENT, Answer("later"), later).state == "waiting", "nobody tried before"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("86401", 86_400.0),
        ("9" * 400, 86_400.0),
        (format_datetime(NOW + timedelta(hours=2), usegmt=True), 7200.0),
        (format_datetime((NOW + timedelta(hours=2)).astimezone()), 7200.0),
        ("Sunday, 01-Mar-26 13:00:00 GMT", 3600.0),
        ("Sun Mar  1 13:00:00 2026", 3600.0),
        (format_datetime(NOW - DAY, usegmt=True), 0.0),
        (format_datetime(NOW + 40 * DAY, usegmt=True), 86_400.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 13:00:00 GMT", None),
        ("Sun, 01 Mar 99999 13:00:00 GMT", None),
        ("Sun, 01 Mar 2026 13:00:00 +999999", None),
        ("Sun, 01 Mar 2026 99999999999:00:00 GMT", None),
        ("Sun, 99999999999999999999 Mar 2026 10:00:00 GMT", None),
        ("Sun, 01 Mar 2026 13:00:00 +99999999999999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_and_a_day_at_most(written: str, seconds: float | None) -> None:
    assert asked_to_wait(written, NOW) == seconds


DATES = st.from_regex(
    r"[A-Z][a-z]{2},? \d{1,3}[ -][A-Z][a-z]{2}[ -]\d{1,6} \d{1,20}:\d{1,20}:\d{1,20} [+-]?\w{1,20}", fullmatch=True
)


@given(st.text() | DATES)
def test_whatever_stands_there_is_read_or_passed_over(written: str) -> None:
    found = asked_to_wait(written, NOW)
    assert found is None or 0 <= found <= 86_400
