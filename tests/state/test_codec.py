"""The state as bytes: everything comes back, and whatever else stands in the file is refused by a reason."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.state.codec import UnreadableState, decoded, decoded_entry, encoded, encoded_entries
from kvstack.state.state import State
from tests.state.things import ENTRIES, RECORDS, state


@pytest.mark.parametrize("kept", [state(), state(*RECORDS), state(*RECORDS, environment="prod", serial=2**40)])
def test_a_state_comes_back_as_it_was(kept: State) -> None:
    assert decoded(encoded(kept)) == kept


def test_entries_come_back_as_they_were() -> None:
    lines = encoded_entries(ENTRIES).splitlines()
    assert tuple(decoded_entry(line) for line in lines) == ENTRIES


def test_a_state_is_one_record_a_line_and_no_line_of_text_breaks_that() -> None:
    assert encoded(state(*RECORDS)).count(b"\n") == len(RECORDS) + 3
    assert encoded_entries(ENTRIES).count(b"\n") == len(ENTRIES)


def test_the_same_state_is_the_same_bytes() -> None:
    assert encoded(state(*RECORDS)) == encoded(decoded(encoded(state(*RECORDS))))


@given(st.data())
def test_a_state_with_any_byte_changed_is_refused_or_the_same(data: st.DataObject) -> None:
    whole = encoded(state(*RECORDS))
    at = data.draw(st.integers(0, len(whole) - 1))
    with_other = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    try:
        # White space between parts means nothing; nothing else may go unseen.
        assert decoded(with_other) == decoded(whole)
    except UnreadableState:
        return


@given(st.integers(0, len(encoded(state(*RECORDS))) - 2))
def test_a_truncated_state_is_refused(length: int) -> None:
    with pytest.raises(UnreadableState):
        decoded(encoded(state(*RECORDS))[:length])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"serial":3', b'"serial":4'),
        (b'"stack":"payments"', b'"stack":"other"'),
        (b'"backend":"embedded/1"', b'"backend":"embedded/2"'),
        (b'"environment":null', b'"environment":"prod"'),
        (b'"sku":"premium"', b'"sku":"standard"'),
        (b'"dev/keys/sign"', b'"dev/keys/sing"'),
        (b'"fingerprint":"f', b'"fingerprint":"e'),
        (b'"lineage":"3f', b'"lineage":"4f'),
    ],
)
def test_an_edited_state_is_refused(old: bytes, new: bytes) -> None:
    whole = encoded(state(*RECORDS))
    assert old in whole
    with pytest.raises(UnreadableState, match="edited"):
        decoded(whole.replace(old, new, 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a whole JSON document"),
        (b"null", "not a whole JSON document"),
        (b"[]", "not a whole JSON document"),
        (b"{}", "its format is 0"),
        (b'{"format": 2}', "its format is 2, this version reads 1; it was written by a newer kvstack"),
        (b'{"format": "1"}', "not a whole JSON document"),
        (b'{"version": 4, "terraform_version": "1.11.4", "resources": []}', "its format is 0"),
        (b'{"x": ' + b"[" * 100_000, "not a whole JSON document"),
        (b'{"stack": "\xff"}', "not a whole JSON document"),
        (b"\xff\xfe{\x00}\x00", "not a whole JSON document"),
    ],
)
def test_what_is_no_state_of_this_version_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableState, match=reason):
        decoded(data)


def _signed(records: bytes) -> bytes:
    """Return a state around these records with the right digest, as a newer version could write it."""
    head = [1, "payments", None, "l", 1, "b"]
    digest = hashlib.sha256(msgspec.json.encode(head) + records).hexdigest()
    names = ("format", "stack", "environment", "lineage", "serial", "backend")
    text = msgspec.json.encode({**dict(zip(names, head, strict=True)), "digest": digest})
    return text[:-1] + b',"records":' + records + b"}"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"kind": "certificate_of_the_future", "attributes": {}}, "certificate_of_the_future"),
        ({"kind": "vault", "schema": 99, "attributes": {"name": "dev"}}, "newer kvstack"),
        ({"kind": "vault", "attributes": {"name": "dev", "colour": "red"}}, "a record in it cannot be read"),
        ({"kind": "vault", "attributes": {"name": 3}}, "a record in it cannot be read"),
    ],
)
def test_records_of_another_version_are_refused_with_what_they_are(record: dict[str, object], reason: str) -> None:
    whole = {"address": "dev", "identity": "vaults/dev", "id": "x", "vault": "", **record}
    with pytest.raises(UnreadableState, match=reason):
        decoded(_signed(msgspec.json.encode([whole])))


def test_the_digest_is_of_what_this_test_thinks() -> None:
    assert decoded(_signed(b"[]")).serial == 1


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"address": 3}', b"\xff", b"[" * 100_000])
def test_a_journal_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(UnreadableState):
        decoded_entry(line)
