"""A prepared MAC is HMAC-SHA-256, whatever the key and the message."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.vault.mac import prepared


@given(st.binary(max_size=64), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_it_is_what_the_standard_library_says(key: bytes, messages: list[bytes]) -> None:
    mac = prepared(key)
    assert [mac(message) for message in messages] == [hmac.digest(key, message, "sha256") for message in messages]


def test_a_key_that_would_have_to_be_hashed_is_refused() -> None:
    with pytest.raises(ValueError, match="longer key"):
        prepared(bytes(65))
