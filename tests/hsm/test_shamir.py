"""Shares: any quorum gives the secret back, and fewer tell nothing about it."""

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.hsm.shamir import Share, _inverse, _times, secret, shares

SPLITS = st.integers(2, 10).flatmap(lambda count: st.tuples(st.integers(2, count), st.just(count)))


@given(st.binary(min_size=1, max_size=40), SPLITS, st.randoms(use_true_random=False))
def test_any_quorum_gives_the_secret_back(whole: bytes, split: tuple[int, int], order: Random) -> None:
    quorum, count = split
    made = list(shares(bytearray(whole), quorum, count, order.randbytes))
    order.shuffle(made)
    assert secret(made[:quorum]) == whole
    assert secret(made) == whole


def test_every_quorum_of_three_of_five_gives_it_back_and_no_two_do() -> None:
    whole = bytes(range(32))
    made = shares(bytearray(whole), 3, 5, lambda size: bytes(range(7, 7 + size)))
    assert all(secret(some) == whole for some in itertools.combinations(made, 3))
    assert not any(secret(some) == whole for some in itertools.combinations(made, 2))


def test_one_share_fewer_fits_every_secret_equally_well() -> None:
    """For each value the secret may have there is exactly one polynomial through the shares that are known."""
    seen: Counter[tuple[int, int]] = Counter()
    for whole, coefficient in itertools.product(range(256), range(256)):
        first, _ = shares(bytearray([whole]), 2, 2, bytes([coefficient]).ljust)
        seen[first.value[0], whole] += 1
    assert set(seen.values()) == {1}
    assert len(seen) == 256 * 256


def test_the_field_is_that_of_aes() -> None:
    assert _times(0x57, 0x83) == 0xC1  # FIPS 197, 4.2
    assert _times(0x57, 0x13) == 0xFE
    assert all(_times(number, _inverse(number)) == 1 for number in range(1, 256))


@pytest.mark.parametrize(("quorum", "count"), [(1, 3), (4, 3), (2, 256), (0, 0)])
def test_a_split_that_makes_no_sense_is_refused(quorum: int, count: int) -> None:
    with pytest.raises(ValueError, match="a quorum of at least 2"):
        shares(bytearray(32), quorum, count, bytes)


@pytest.mark.parametrize(
    "given_",
    [
        [Share(1, b"a"), Share(1, b"b")],
        [Share(0, b"a"), Share(1, b"b")],
        [Share(1, b"a"), Share(256, b"b")],
        [Share(1, b"a"), Share(2, b"bb")],
    ],
)
def test_shares_that_cannot_be_of_one_secret_are_refused(given_: list[Share]) -> None:
    with pytest.raises(ValueError, match="shares"):
        secret(given_)


def test_a_share_does_not_show_itself() -> None:
    assert repr(Share(3, b"hunter2")) == "Share(3, ****)"
