"""What is typed becomes values, and values become columns, with nothing lost and nothing that is not plain."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.cli.table import columns, facts, table
from kvstack.cli.words import base64url, from_base64, moment, moment_or_none, tag_values
from kvstack.terms.diagnostic import KvstackError


@given(st.binary(max_size=100))
def test_base64url_comes_back(data: bytes) -> None:
    text = base64url(data)
    assert not set(text) & set("+/=")
    assert from_base64(text, "it") == data
    assert from_base64(text + "\n", "it") == data
    assert from_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), "it") == data


@given(st.text(max_size=20) | st.binary(max_size=20))
def test_what_is_not_base64url_is_refused_or_read(text: str | bytes) -> None:
    with suppress(KvstackError):
        from_base64(text, "it")


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-23, 23))
def test_a_moment_is_read_in_any_time_zone(at: datetime, hours: int) -> None:
    shifted = f"{at.replace(tzinfo=None).isoformat()}{'+' if hours >= 0 else '-'}{abs(hours):02}:00"
    try:
        assert moment(shifted) == at - timedelta(hours=hours)
    except click.BadParameter:
        assert at.year in (1, 9999)


@given(st.text(max_size=30))
def test_no_text_makes_a_moment_fail_otherwise(text: str) -> None:
    try:
        found = moment_or_none(text)
    except click.BadParameter:
        return
    assert found == "none" or isinstance(found, datetime)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: "=" not in name), st.text()))
def test_tags_are_split_at_the_first_sign(tags: dict[str, str]) -> None:
    assert tag_values(tuple(f"{name}={value}" for name, value in tags.items())) == tags


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=5))
def test_a_table_has_a_line_a_row_and_aligned_columns(rows: list[tuple[str, str, str]]) -> None:
    lines = table(("ONE", "TWO", "THREE"), rows, empty="").split("\n")
    assert len(lines) == len(rows) + 1
    start = lines[0].index("TWO")
    assert all("\x1b" not in line and "\r" not in line for line in lines)
    for (_, second, third), line in zip(rows, lines[1:], strict=True):
        if line.isascii() and second.isalnum() and second.isascii() and third:
            assert line[start:].startswith(second)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("", 0)])
def test_columns_are_those_of_a_terminal(text: str, width: int) -> None:
    assert columns(text) == width


def test_facts_leave_out_what_stands_for_nothing() -> None:
    shown = facts([("one", "x\n"), ("three", None), ("no", False), ("empty", ""), ("four", 4)])
    assert shown == "one   x\\n\nno    no\nfour  4"
