"""Tokens are signed by keys of their own: each published before it signs, and until its last token has ended."""

import hashlib
from datetime import timedelta

import pytest

from kvstack.hsm.public_half import verified
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.vault.errors import Forbidden
from kvstack.vault.service import VaultService
from kvstack.vault.token_signing import AFTERWARDS, AHEAD, EVERY, TOKENS
from kvstack.vault.unlock import unlock
from tests.vault.service.world import World

DIGEST = hashlib.sha256(b"content").digest()


def signs(world: World, service: VaultService | None = None) -> str:
    """Sign, and check what was signed by the keys that are published. Returns which one did."""
    kid, sign = (service or world.service).token_signing()
    assert verified(world.service.token_keys()[kid], ALGORITHMS["ES256"], DIGEST, sign(DIGEST))
    return kid


def test_the_first_key_signs_at_once_and_nothing_but_tokens(world: World) -> None:
    kid = signs(world)
    assert signs(world) == kid
    assert list(world.service.token_keys()) == [kid]
    world.unlocked.audit.stop()
    assert kid not in world.unlocked.checkpointing.signer.public_keys()


def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_end(world: World) -> None:
    first = signs(world)
    second = world.service.turn_token_signer(world.operator)
    assert set(world.service.token_keys()) == {first, second}
    world.clock.advance(AHEAD - timedelta(seconds=1))
    assert signs(world) == first
    # The clock stood still between the two: the second is a moment younger all the same.
    world.clock.advance(timedelta(seconds=1, microseconds=1))
    assert signs(world) == second
    world.clock.advance(AFTERWARDS - timedelta(seconds=1))
    assert set(world.service.token_keys()) == {first, second}
    world.clock.advance(timedelta(seconds=1))
    assert set(world.service.token_keys()) == {second}
    third = world.service.turn_token_signer(world.operator)
    with world.unlocked.store.transaction() as tx:
        assert {one.id for one in TOKENS.table.scan(tx)} == {second, third}, "what is over is not kept"


def test_a_key_signs_for_a_season(world: World) -> None:
    first = signs(world)
    world.days(89)
    assert signs(world) == first
    assert len(world.service.token_keys()) == 1
    world.days(1.1)
    assert signs(world) == first
    assert len(world.service.token_keys()) == 2
    world.clock.advance(AHEAD)
    assert signs(world) != first
    assert timedelta(days=90) == EVERY


def test_at_once_no_other_key_counts_any_more(world: World) -> None:
    first = signs(world)
    mark = world.service.sign_in_mark()
    world.service.turn_token_signer(world.operator)
    made = world.service.turn_token_signer(world.operator, at_once=True)
    assert signs(world) == made != first
    assert list(world.service.token_keys()) == [made]
    assert world.service.sign_in_mark() != mark
    records = [one for one in world.unlocked.audit.records() if one.operation == "TokenSignerTurn"]
    assert [one.details["at_once"] for one in records] == ["false", "true"]


def test_what_another_process_turns_signs_here_too(world: World) -> None:
    signs(world)
    other = unlock(world.unlocked.paths.root.parent)
    try:
        there = VaultService(other)
        made = there.turn_token_signer(there.operator, at_once=True)
        assert signs(world) == made
        assert signs(world, there) == made
    finally:
        other.close()


@pytest.mark.parametrize("role", ["Key Vault Administrator", "Contributor", "Reader"])
def test_who_may_not_give_rights_turns_no_key(world: World, role: str) -> None:
    first = signs(world)
    with pytest.raises(Forbidden):
        world.service.turn_token_signer(world.person(role), at_once=True)
    assert list(world.service.token_keys()) == [first]
