"""The security domain's file: a quorum of custodians opens it, and what was changed does not open at all."""

import itertools
import random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kvstack.hsm.protocol import HsmError
from kvstack.hsm.security_domain import (
    SecurityDomain,
    custodian,
    custodian_key,
    from_document,
    made,
    require_custodians,
    restored,
    to_document,
)
from tests.hsm.pools import NOW, custodians, keys, private_key, private_pem, public_pem

WHOLE = bytes(range(32))


def domain_of(*names: str, quorum: int = 2) -> SecurityDomain:
    return made(
        bytearray(WHOLE),
        custodians(*names),
        quorum=quorum,
        id="ab" * 16,
        name="prod",
        now=NOW,
        random=random.Random(7).randbytes,
    )


THREE = domain_of("alice", "bob", "carol")
DOCUMENT = to_document(THREE)
EVERYBODY = keys("alice", "bob", "carol")


@pytest.mark.parametrize("people", list(itertools.combinations(("alice", "bob", "carol"), 2)))
def test_any_quorum_restores_the_secret(people: tuple[str, ...]) -> None:
    assert restored(from_document(DOCUMENT), keys(*people)) == WHOLE


def test_more_than_a_quorum_and_somebody_elses_keys_do_no_harm() -> None:
    assert restored(THREE, keys("alice", "bob", "carol", "dave")) == WHOLE


@pytest.mark.parametrize("people", [(), ("alice",), ("alice", "alice"), ("alice", "dave"), ("dave", "erin", "frank")])
def test_less_than_a_quorum_restores_nothing(people: tuple[str, ...]) -> None:
    with pytest.raises(HsmError, match="needs the keys of 2 of its custodians"):
        restored(THREE, keys(*people))


def _refused(place: int, change: int) -> None:
    changed = bytearray(DOCUMENT)
    changed[place] ^= change
    with pytest.raises(HsmError, match=r"changed|needs the keys of"):
        restored(from_document(bytes(changed)), EVERYBODY)


def test_a_document_changed_at_any_byte_is_refused() -> None:
    for place in range(len(DOCUMENT)):
        _refused(place, 1)


@given(st.integers(0, len(DOCUMENT) - 1), st.integers(1, 255))
def test_however_a_byte_was_changed(place: int, change: int) -> None:
    _refused(place, change)


@given(st.integers(0, len(DOCUMENT) - 1))
def test_a_truncated_document_is_refused(length: int) -> None:
    with pytest.raises(HsmError, match="changed"):
        from_document(DOCUMENT[:length])


@given(st.binary(max_size=400))
def test_whatever_is_no_document_is_one_clear_error(content: bytes) -> None:
    with pytest.raises(HsmError, match="this is no security domain"):
        from_document(content)


@pytest.mark.parametrize(
    "content", [b'{"x":' + b"[" * 20_000, b'{"custodians":[{"y":' + b'{"a":' * 20_000, b'{"\xff":1}']
)
def test_what_is_too_deep_or_no_text_is_one_clear_error(content: bytes) -> None:
    with pytest.raises(HsmError, match="this is no security domain"):
        from_document(content)


def test_shares_that_were_swapped_are_refused() -> None:
    one, two, *rest = THREE.custodians
    swapped = (
        msgspec.structs.replace(one, share=two.share, number=two.number),
        msgspec.structs.replace(two, share=one.share, number=one.number),
        *rest,
    )
    with pytest.raises(HsmError, match="does not open"):
        restored(msgspec.structs.replace(THREE, custodians=swapped), keys("alice", "bob"))


def test_a_share_of_another_domain_is_refused() -> None:
    other = made(
        bytearray(32), custodians("alice", "bob", "carol"), quorum=2, id="cd" * 16, name="prod", now=NOW, random=bytes
    )
    mixed = (other.custodians[0], *THREE.custodians[1:])
    with pytest.raises(HsmError, match="does not open"):
        restored(msgspec.structs.replace(THREE, custodians=mixed), keys("alice", "bob"))


@pytest.mark.parametrize(
    ("people", "quorum", "words"),
    [
        (("alice", "bob"), 2, "has 3 to 10 custodians, not 2"),
        (("alice", "bob", "bob"), 2, "two custodians have the same key"),
        (("alice", "bob", "carol"), 1, "a quorum is 2 to 3 of 3 custodians, not 1"),
        (("alice", "bob", "carol"), 4, "a quorum is 2 to 3 of 3 custodians, not 4"),
    ],
)
def test_custodians_and_quorum_have_to_make_sense(people: tuple[str, ...], quorum: int, words: str) -> None:
    with pytest.raises(HsmError, match=words):
        require_custodians(custodians(*people), quorum)


def test_a_custodian_needs_an_rsa_key_of_2048_bits() -> None:
    weak = private_key("weak", 1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(HsmError, match="at least 2048 bits, this one has 1024"):
        custodian(weak)
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(HsmError, match="has to be an RSA key"):
        custodian(curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: public_pem("alice")[:-40] + tail))
def test_whatever_is_no_custodian_is_one_clear_error(content: bytes) -> None:
    for read in (custodian, custodian_key):
        with pytest.raises(HsmError, match="custodian"):
            read(content)


def test_a_custodians_key_may_be_encrypted() -> None:
    encrypted = private_pem("alice", b"correct horse")
    assert custodian_key(encrypted, b"correct horse").fingerprint == keys("alice")[0].fingerprint
    with pytest.raises(HsmError, match="it needs its password"):
        custodian_key(encrypted)
    with pytest.raises(HsmError, match="its password is wrong"):
        custodian_key(encrypted, b"wrong")
    with pytest.raises(HsmError, match="it needs no password"):
        custodian_key(private_pem("alice"), b"correct horse")


def test_nothing_of_a_share_or_key_shows_itself() -> None:
    assert "****" in repr(keys("alice")[0])
    assert WHOLE.hex() not in DOCUMENT.decode()
