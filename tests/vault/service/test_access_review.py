"""A review tells who has access, through what, since when, and when it was last used: unused rights stand out."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.access_review import AccessReview, Reviewed
from kvstack.vault.audit_segments import Segment
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden, NotFound
from tests.vault.service.world import START, World

VAULT = "payments-dev"
ON_CALL = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
EVERYBODY = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c33"
ALICE = Caller("91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10", "alice")
BOB = Caller("91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c11", "bob")


@pytest.fixture
def used(dev: World) -> World:
    """`on-call` (alice, and all of `everybody`: bob) reads secrets at the vault; `s` is there."""
    for principal in (
        Principal(ALICE.id, "user", "alice"),
        Principal(BOB.id, "user", "bob"),
        Principal(EVERYBODY, "group", "everybody", frozenset({BOB.id})),
        Principal(ON_CALL, "group", "on-call", frozenset({ALICE.id, EVERYBODY})),
    ):
        dev.service.put_principal(dev.operator, principal)
    dev.service.create_role_assignment(
        dev.operator,
        dev.scope(VAULT),
        role="Key Vault Secrets User",
        principal_id=ON_CALL,
        principal_type="group",
    )
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    return dev


def lines(review: AccessReview, role: str = "4633458b-17de-408a-b874-0445c86b69e6") -> dict[str, Reviewed]:
    return {line.principal: line for line in review.lines if line.role_id == role}


def reviewed(world: World) -> dict[str, Reviewed]:
    return lines(world.service.review_access(world.operator))


def test_each_member_of_a_group_has_a_line_with_the_way_it_comes_through(used: World) -> None:
    found = reviewed(used)
    assert {who: line.through for who, line in found.items()} == {
        ON_CALL: (),
        ALICE.id: (ON_CALL,),
        EVERYBODY: (ON_CALL,),
        BOB.id: (EVERYBODY, ON_CALL),
    }
    assert {(line.scope, line.created_by) for line in found.values()} == {(f"vault/{VAULT}", used.operator.id)}


def test_what_is_used_is_told_for_who_used_it_and_for_the_group(used: World) -> None:
    used.clock.advance(timedelta(days=1))
    used.service.get_secret(BOB, VAULT, "s")
    used.clock.advance(timedelta(days=1))
    found = reviewed(used)
    day = START + timedelta(days=1)
    assert {who: line.last_used for who, line in found.items()} == {
        ON_CALL: day,
        ALICE.id: None,
        EVERYBODY: None,
        BOB.id: day,
    }


def test_a_refusal_is_no_use(used: World) -> None:
    with pytest.raises(Forbidden):
        used.service.set_secret(ALICE, VAULT, "s", SecretValue("w"))
    assert reviewed(used)[ALICE.id].last_used is None


def test_what_was_allowed_is_a_use_whatever_came_of_it(used: World) -> None:
    with pytest.raises(NotFound):
        used.service.get_secret(ALICE, VAULT, "not-there")
    assert reviewed(used)[ALICE.id].last_used == START


def test_the_assignment_that_decided_is_the_one_that_was_used(used: World) -> None:
    """Alice has the role at the secret as well: the nearest scope decides."""
    used.service.create_role_assignment(
        used.operator,
        used.scope(VAULT, "secrets/s"),
        role="Key Vault Secrets User",
        principal_id=ALICE.id,
        principal_type="user",
    )
    used.service.get_secret(ALICE, VAULT, "s")
    found = [line for line in used.service.review_access(used.operator).lines if line.principal == ALICE.id]
    assert {(line.scope, line.last_used) for line in found} == {
        (f"vault/{VAULT}/secrets/s", START),
        (f"vault/{VAULT}", None),
    }


def test_an_assignment_made_anew_does_not_inherit_the_use_of_the_one_before(used: World) -> None:
    used.service.get_secret(ALICE, VAULT, "s")
    used.clock.advance(timedelta(days=1))
    (old,) = {line.assignment for line in reviewed(used).values()}
    used.service.delete_role_assignment(used.operator, old)
    used.service.create_role_assignment(
        used.operator, used.scope(VAULT), role="Key Vault Secrets User", principal_id=ON_CALL, principal_type="group"
    )
    found = reviewed(used)[ALICE.id]
    assert (found.assignment, found.last_used) == (old, None)


@pytest.mark.parametrize(
    ("created", "last", "known", "expected"),
    [
        pytest.param(10, 20, 5, 20, id="used"),
        pytest.param(10, None, 5, 10, id="never used"),
        pytest.param(10, None, 15, 15, id="never, as far as the audit goes back"),
        pytest.param(10, None, None, None, id="nothing is known"),
    ],
)
def test_since_when_something_is_unused(
    created: int, last: int | None, known: int | None, expected: int | None
) -> None:
    def day(count: int | None) -> datetime | None:
        return None if count is None else START + timedelta(days=count)

    line = Reviewed(
        principal="p", assignment="a", role_id="r", scope="s", created=day(created) or START, last_used=day(last)
    )
    assert line.unused_since(day(known)) == day(expected)


def test_one_vault_is_reviewed_with_what_holds_above_it_and_in_it(used: World) -> None:
    used.service.create_vault(used.operator, "other")
    used.service.create_role_assignment(
        used.operator,
        used.scope("other"),
        role="Key Vault Reader",
        principal_id=ALICE.id,
        principal_type="user",
    )
    scopes = {line.scope for line in used.service.review_access(used.operator, used.scope(VAULT)).lines}
    assert scopes == {"subscription", f"vault/{VAULT}"}
    scopes = {line.scope for line in used.service.review_access(used.operator, used.scope("other")).lines}
    assert scopes == {"subscription", "vault/other"}


def test_who_may_not_see_who_has_access_reviews_nothing(used: World) -> None:
    with pytest.raises(Forbidden):
        used.service.review_access(ALICE)
    reader = used.person("Reader", at=used.scope(VAULT))
    with pytest.raises(Forbidden):
        used.service.review_access(reader)
    assert used.service.review_access(reader, used.scope(VAULT)).lines


def test_uses_that_were_archived_count_where_the_segment_is_given(used: World, tmp_path: Path) -> None:
    used.service.get_secret(ALICE, VAULT, "s")
    used.service.audit_anchor(used.operator)
    used.clock.advance(timedelta(days=40))
    file = str(tmp_path / "segment")
    used.service.archive_audit(used.operator, used.clock.now(), file)
    assert reviewed(used)[ALICE.id].last_used is None
    whole = used.service.review_access(used.operator, segments=[Segment.opened(file)])
    assert lines(whole)[ALICE.id].last_used == START


def test_access_policies_are_reviewed_where_their_vault_goes_by_them(used: World) -> None:
    used.service.set_access_policy(used.operator, VAULT, ON_CALL, secrets=("get",))
    assert not [line for line in used.service.review_access(used.operator).lines if line.policy is not None]

    used.service.update_vault(used.operator, VAULT, access_model="access_policies")
    used.service.get_secret(ALICE, VAULT, "s")

    found = {
        line.principal: line for line in used.service.review_access(used.operator).lines if line.policy is not None
    }
    assert {who: line.through for who, line in found.items()} == {
        ON_CALL: (),
        ALICE.id: (ON_CALL,),
        EVERYBODY: (ON_CALL,),
        BOB.id: (EVERYBODY, ON_CALL),
    }
    assert found[ALICE.id].last_used is not None
    assert found[BOB.id].last_used is None
    assert {(line.scope, line.created_by) for line in found.values()} == {(f"vault/{VAULT}", used.operator.id)}
