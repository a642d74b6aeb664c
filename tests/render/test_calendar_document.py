"""What a calendar prints for programs is what its schema says, whatever happens."""

import json
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.render import calendar_document as documents
from kvstack.render.calendar_document import CalendarDocument, calendar_document
from kvstack.render.json import json_text
from kvstack.vault import coming as words
from kvstack.vault.coming import Coming, Conflict
from kvstack.vault.due_kind import Action
from tests.render.test_json import invalid

moments = st.datetimes(timezones=st.just(UTC))
comings = st.builds(
    Coming,
    at=moments,
    action=st.sampled_from(get_args(documents.ActionName)),
    kind=st.sampled_from(get_args(documents.KindName)),
    vault=st.text(),
    name=st.text(),
    since=moments,
    done=st.booleans(),
    conflicts=st.lists(
        st.builds(Conflict, code=st.sampled_from(get_args(documents.ConflictCode)), words=st.text()), max_size=2
    ).map(tuple),
)


@given(moments, moments, st.lists(comings, max_size=4))
def test_every_calendar_is_valid_by_its_schema_and_read_back_as_it_was(
    now: datetime, until: datetime, coming: list[Coming]
) -> None:
    text = json_text(calendar_document(now, until, coming))
    assert invalid("calendar.json", json.loads(text)) == []
    read = msgspec.json.decode(text, type=CalendarDocument)
    assert (read.now, read.until) == (now, until)
    assert [(one.at, one.action, one.due_since, one.done) for one in read.coming] == [
        (one.at, one.action, one.since, one.done) for one in coming
    ]
    assert [[conflict.code for conflict in one.conflicts] for one in read.coming] == [
        [conflict.code for conflict in one.conflicts] for one in coming
    ]


def test_the_schema_has_every_word_a_forecast_has() -> None:
    assert {*get_args(documents.ActionName)} == {*get_args(Action), "ends"} - {"unread"}
    assert get_args(documents.KindName) == get_args(words.Kind)
    assert get_args(documents.ConflictCode) == get_args(words.ConflictCode)


@pytest.mark.parametrize("key", ["format_version", "now", "until", "coming"])
def test_what_lacks_a_part_is_no_calendar(key: str) -> None:
    whole = json.loads(json_text(calendar_document(datetime.now(UTC), datetime.now(UTC), [])))
    assert invalid("calendar.json", whole) == []
    del whole[key]
    assert invalid("calendar.json", whole)
