"""Whatever bytes come as a token or a key set: a refusal in words, or what they say; never a traceback."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kvstack.terms.release_policy import rules
from kvstack.vault.attestation import attested
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.jwks import authority_keys
from tests.fakes.attestation import Authority, Environment, policy, text

AUTHORITY = Authority(algorithm="ES256")
KEYS = authority_keys(AUTHORITY.jwks())
RULES = rules(policy(AUTHORITY.url))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHOLE = Environment().claims(AUTHORITY.url, NOW.timestamp(), **{"x-ms-attestation-type": "sevsnpvm"})

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
CHANGES = st.dictionaries(st.sampled_from([*WHOLE, "sub"]), JSON, max_size=3)
JWKS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.sampled_from(["RSA", "EC", "P-256", "AQAB", "sig", "RS256"])
        for name in ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "x5c", "key_ops")
    },
)


def checked(token: str) -> bool:
    try:
        attested(token, RULES, lambda url: KEYS if url == AUTHORITY.url else None, NOW)
    except Forbidden:
        return False
    return True


def test_the_whole_one_is_taken() -> None:
    assert checked(AUTHORITY.token(WHOLE))


@given(st.text(max_size=200))
def test_any_text_is_refused(token: str) -> None:
    assert not checked(token)


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_any_three_parts_are_refused(header: bytes, claims: bytes, signature: bytes) -> None:
    assert not checked(".".join(text(part) for part in (header, claims, signature)))


@given(CHANGES)
@settings(max_examples=60)
def test_any_signed_claims_are_taken_or_refused(changes: dict[str, Any]) -> None:
    checked(AUTHORITY.token({**WHOLE, **changes}))


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jku", "jwk", "x5c", "b64"]), JSON, max_size=3))
@settings(max_examples=60)
def test_any_signed_header_is_taken_or_refused(changes: dict[str, Any]) -> None:
    accepted = checked(AUTHORITY.token(WHOLE, **changes))
    if accepted:
        assert changes.get("alg") in (None, "ES256")
        assert "crit" not in changes or changes["crit"] is None


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100)
def test_one_changed_byte_is_refused(place: int, by: int) -> None:
    token = AUTHORITY.token(WHOLE)
    place %= len(token)
    other = chr((ord(token[place]) + by) % 256)
    assert not checked(token[:place] + other + token[place + 1 :])


@given(JWKS.map(lambda jwk: json.dumps({"keys": [jwk]}).encode()) | st.binary(max_size=60))
def test_anything_is_a_key_set_or_one_refusal(jwks: bytes) -> None:
    with suppress(BadParameter):
        assert authority_keys(jwks)
