"""A calendar's file is one that every calendar takes: read back by a reader that forgives nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.render.calendar import icalendar
from kvstack.render.escape import plain
from tests.render.icalendar_reader import read

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
ENTRIES = st.lists(
    st.tuples(MOMENTS, st.text(), st.text(), st.text()), max_size=4, unique_by=lambda entry: (entry[0], entry[1])
)


@given(ENTRIES, MOMENTS)
def test_whatever_it_says_it_is_read_back(entries: list[tuple[datetime, str, str, str]], now: datetime) -> None:
    found = read(icalendar(entries, now).encode())
    assert [(one.start, one.summary, one.description) for one in found] == [
        (at.replace(microsecond=0), plain(title), plain(words)) for at, _, title, words in entries
    ]
    assert {one.stamp for one in found} <= {now.replace(microsecond=0)}


def test_an_entry_is_the_same_whenever_it_is_printed_and_another_at_another_time() -> None:
    def uid(at: datetime, identity: str = "rotate key v/k", now: datetime = NOW) -> str:
        return read(icalendar([(at, identity, "title", "")], now).encode())[0].uid

    assert uid(NOW) == uid(NOW, now=NOW + timedelta(days=1))
    assert len({uid(NOW), uid(NOW + timedelta(seconds=1)), uid(NOW, "expired key v/k")}) == 3


@pytest.mark.parametrize(
    "at",
    [
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        # Nights in which clocks are changed: the file is in UTC, where there are none.
        datetime(2027, 3, 28, 1, 0, tzinfo=UTC),
        datetime(2027, 10, 31, 1, 0, tzinfo=UTC),
    ],
)
def test_every_moment_is_the_one_that_is_meant(at: datetime) -> None:
    (found,) = read(icalendar([(at, "x", "title", "")], NOW).encode())
    assert found.start == at


def test_an_empty_one_is_one_too() -> None:
    assert read(icalendar([], NOW).encode()) == []


WHOLE = icalendar([(NOW, "x", "a, b", "words")], NOW)


@pytest.mark.parametrize(
    "spoilt",
    [
        WHOLE.replace("\r\n", "\n"),
        WHOLE.replace("a\\, b", "a, b"),
        WHOLE.replace("a\\, b", "a" * 80),
        WHOLE.replace("VERSION:2.0\r\n", ""),
        WHOLE.replace("DTSTART:20261124T120000Z", "DTSTART:20261124"),
        WHOLE.replace("END:VEVENT\r\n", ""),
        WHOLE.replace("DTSTAMP", "UID"),
        WHOLE.replace("SUMMARY", "\r\nSUMMARY"),
        WHOLE.replace("END:VCALENDAR", WHOLE[WHOLE.index("BEGIN:VEVENT") :].removesuffix("\r\n")),
    ],
)
def test_the_reader_forgives_nothing(spoilt: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read(spoilt.encode())
