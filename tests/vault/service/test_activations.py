"""Roles taken up for a while: on their terms only, for their time only, and nobody approves himself."""

from datetime import timedelta
from typing import Any

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import EligibleAssignment
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, VaultError
from tests.vault.service.world import START, World

VAULT = "payments-dev"
HOUR = timedelta(hours=1)
GROUP = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"


@pytest.fixture
def stocked(dev: World) -> World:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    return dev


def eligible(world: World, who: Caller, caller: Caller | None = None, **more: Any) -> EligibleAssignment:
    arguments: dict[str, Any] = {
        "role": "Key Vault Secrets User",
        "principal_id": who.id,
        "principal_type": "user",
        "max_duration": 4 * HOUR,
        **more,
    }
    where = arguments.pop("scope", world.scope(VAULT))
    return world.service.put_eligible_assignment(caller or world.operator, where, **arguments)


def reads(world: World, who: Caller) -> bool:
    try:
        world.service.get_secret(who, VAULT, "s")
    except Forbidden:
        return False
    return True


def test_eligible_is_not_active(stocked: World) -> None:
    alice = stocked.person()
    eligible(stocked, alice)
    assert not reads(stocked, alice)


def test_an_activation_counts_for_as_long_as_was_asked_and_ends_by_itself(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice)
    request = stocked.service.activate_role(alice, made.id, justification="INC-1", duration=HOUR)
    assert (request.status, request.expires) == ("active", START + HOUR)
    assert reads(stocked, alice)
    stocked.clock.advance(HOUR - timedelta(seconds=1))
    assert reads(stocked, alice)
    stocked.clock.advance(timedelta(seconds=1))
    assert not reads(stocked, alice)
    again = stocked.service.activate_role(alice, made.id, justification="INC-2")
    assert again.expires == START + 5 * HOUR
    # What is over leaves no assignment behind.
    assert sum(one.activation != "" for one in stocked.service.list_role_assignments(stocked.operator)) == 1


def test_a_clock_set_back_brings_no_ended_activation_back(stocked: World) -> None:
    alice = stocked.person()
    stocked.service.activate_role(alice, eligible(stocked, alice).id, justification="x", duration=HOUR)
    stocked.clock.advance(2 * HOUR)
    stocked.service.set_secret(stocked.operator, VAULT, "s", SecretValue("w"))
    stocked.clock.advance(-2 * HOUR + timedelta(minutes=1))
    assert not reads(stocked, alice)


@pytest.mark.parametrize(
    ("terms", "asked", "words"),
    [
        ({}, {}, "needs a justification"),
        ({}, {"justification": "  "}, "needs a justification"),
        ({}, {"justification": "x", "duration": 5 * HOUR}, "5 minutes to 4:00:00 here"),
        ({}, {"justification": "x", "duration": timedelta(minutes=4)}, "5 minutes to 4:00:00 here"),
        ({"mfa": True}, {"justification": "x"}, "more than one factor"),
        ({"starts": START + HOUR}, {"justification": "x"}, "its time begins 2026-03-01 13:00 UTC"),
        ({"expires": START}, {"justification": "x"}, "its time is over"),
    ],
)
def test_its_terms_have_to_be_met(stocked: World, terms: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice, **terms)
    with pytest.raises(VaultError) as raised:
        stocked.service.activate_role(alice, made.id, **asked)
    assert words in str(raised.value)
    assert not reads(stocked, alice)
    assert stocked.service.list_activations(alice) == ()


def test_a_sign_in_with_several_factors_is_enough_where_one_is_wanted(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice, mfa=True, justification=False)
    assert stocked.service.activate_role(Caller(alice.id, mfa=True), made.id).status == "active"


def test_an_activation_lasts_no_longer_than_it_may_be_activated(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice, expires=START + 2 * HOUR)
    assert stocked.service.activate_role(alice, made.id, justification="x").expires == START + 2 * HOUR


def test_who_is_not_eligible_is_told_nothing(stocked: World) -> None:
    made = eligible(stocked, stocked.person())
    for identifier in (made.id, "00000000-0000-4000-8000-000000000001"):
        with pytest.raises(NotFound, match="is not eligible for"):
            stocked.service.activate_role(stocked.person(), identifier, justification="x")


def test_a_group_is_eligible_through_its_members(stocked: World) -> None:
    alice = stocked.person()
    stocked.service.put_principal(stocked.operator, Principal(GROUP, "group", "on-call", frozenset({alice.id})))
    made = eligible(stocked, Caller(GROUP), principal_type="group")
    request = stocked.service.activate_role(alice, made.id, justification="x")
    assert request.principal_id == alice.id
    assert reads(stocked, alice)


def test_an_approver_has_to_agree_and_the_time_begins_then(stocked: World) -> None:
    alice, bob = stocked.person(), stocked.person()
    made = eligible(stocked, alice, approvers=[bob.id])
    request = stocked.service.activate_role(alice, made.id, justification="x", duration=HOUR)
    assert (request.status, reads(stocked, alice)) == ("pending", False)
    stocked.clock.advance(3 * HOUR)
    decided = stocked.service.decide_activation(bob, request.id, approve=True, reason="fine")
    assert (decided.status, decided.expires, decided.decided_by) == ("active", START + 4 * HOUR, bob.id)
    assert reads(stocked, alice)


@pytest.mark.parametrize("through", ["name", "group"])
def test_nobody_approves_his_own_request(stocked: World, through: str) -> None:
    alice, bob = stocked.person(), stocked.person()
    stocked.service.put_principal(stocked.operator, Principal(GROUP, "group", "leads", frozenset({alice.id, bob.id})))
    made = eligible(stocked, alice, approvers=[alice.id, bob.id] if through == "name" else [GROUP])
    request = stocked.service.activate_role(alice, made.id, justification="x")
    with pytest.raises(Forbidden, match="his own request"):
        stocked.service.decide_activation(alice, request.id, approve=True)
    assert not reads(stocked, alice)
    assert stocked.service.decide_activation(bob, request.id, approve=True).status == "active"


def test_whoever_is_no_approver_does_not_decide_the_owner_neither(stocked: World) -> None:
    alice, bob = stocked.person(), stocked.person()
    request = stocked.service.activate_role(alice, eligible(stocked, alice, approvers=[bob.id]).id, justification="x")
    with pytest.raises(Forbidden, match="is no approver"):
        stocked.service.decide_activation(stocked.operator, request.id, approve=True)
    with pytest.raises(NotFound):
        stocked.service.decide_activation(stocked.person(), request.id, approve=True)


def test_a_denied_or_stale_request_is_not_approved_later(stocked: World) -> None:
    alice, bob = stocked.person(), stocked.person()
    made = eligible(stocked, alice, approvers=[bob.id])
    first = stocked.service.activate_role(alice, made.id, justification="x")
    with pytest.raises(Conflict, match="waits for an approver"):
        stocked.service.activate_role(alice, made.id, justification="again")
    stocked.service.decide_activation(bob, first.id, approve=False, reason="no")
    with pytest.raises(Conflict, match="is denied already"):
        stocked.service.decide_activation(bob, first.id, approve=True)
    second = stocked.service.activate_role(alice, made.id, justification="x")
    stocked.clock.advance(24 * HOUR)
    with pytest.raises(Conflict, match="more than a day"):
        stocked.service.decide_activation(bob, second.id, approve=True)
    assert stocked.service.activate_role(alice, made.id, justification="x").status == "pending"


def test_an_approval_after_the_end_comes_too_late(stocked: World) -> None:
    alice, bob = stocked.person(), stocked.person()
    made = eligible(stocked, alice, approvers=[bob.id], expires=START + HOUR)
    request = stocked.service.activate_role(alice, made.id, justification="x")
    stocked.clock.advance(HOUR)
    with pytest.raises(Forbidden, match="its time is over"):
        stocked.service.decide_activation(bob, request.id, approve=True)


def test_an_activation_is_given_back_or_taken(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice)
    request = stocked.service.activate_role(alice, made.id, justification="x")
    with pytest.raises(Conflict, match="it is active already"):
        stocked.service.activate_role(alice, made.id, justification="x")
    assert stocked.service.deactivate_role(alice, request.id).status == "withdrawn"
    assert not reads(stocked, alice)
    other = stocked.service.activate_role(alice, made.id, justification="x")
    with pytest.raises(NotFound):
        stocked.service.deactivate_role(stocked.person(), other.id)
    stocked.service.deactivate_role(stocked.operator, other.id)
    assert not reads(stocked, alice)


def test_taking_eligibility_away_ends_what_it_gave(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice)
    stocked.service.activate_role(alice, made.id, justification="x")
    stocked.service.delete_eligible_assignment(stocked.operator, made.id)
    assert not reads(stocked, alice)
    assert stocked.service.list_activations(stocked.operator) == ()


def test_only_who_may_give_the_role_makes_somebody_eligible_for_it(stocked: World) -> None:
    alice = stocked.person()
    keeper = stocked.person("Key Vault Data Access Administrator")
    eligible(stocked, alice, keeper)
    with pytest.raises(Forbidden, match="may hand out only"):
        eligible(stocked, alice, keeper, role="Owner")
    with pytest.raises(Forbidden):
        eligible(stocked, alice, stocked.person("Contributor"))
    with pytest.raises(Forbidden):
        stocked.service.delete_eligible_assignment(stocked.person("Contributor"), eligible(stocked, keeper).id)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"starts": START + HOUR, "expires": START}, "ends before it starts"),
        ({"max_duration": timedelta(hours=25)}, "5 minutes to 24 hours"),
        ({"max_duration": timedelta(0)}, "5 minutes to 24 hours"),
        ({"approvers": ["bob"]}, "`bob` is no principal's id"),
        ({"condition": "nonsense"}, "condition: character 1"),
        ({"role": "Key Vault Sekrets User"}, "did you mean"),
    ],
)
def test_terms_that_make_no_sense_are_refused(stocked: World, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter) as raised:
        eligible(stocked, stocked.person(), **more)
    assert words in str(raised.value)


def test_somebody_who_would_be_his_only_approver_is_refused(stocked: World) -> None:
    alice = stocked.person()
    with pytest.raises(BadParameter, match="nobody approves his own request"):
        eligible(stocked, alice, approvers=[alice.id])


def test_terms_change_by_id_and_not_what_they_are_about(stocked: World) -> None:
    alice = stocked.person()
    made = eligible(stocked, alice)
    with pytest.raises(Conflict, match="is eligible for the role"):
        eligible(stocked, alice)
    assert eligible(stocked, alice, id=made.id, mfa=True).mfa
    for more in ({"id": made.id, "new": True}, {"id": made.id.replace(made.id[0], "0" if made.id[0] != "0" else "1")}):
        with pytest.raises(Conflict, match="is eligible for the role"):
            eligible(stocked, alice, **more)
    with pytest.raises(Conflict, match="of another scope, role or principal"):
        eligible(stocked, stocked.person(), id=made.id)


def test_the_audit_tells_who_activated_what_and_why(stocked: World) -> None:
    alice = stocked.person()
    stocked.service.activate_role(alice, eligible(stocked, alice).id, justification="INC-42")
    (newest,) = stocked.unlocked.audit.records(newest_first=True, limit=1)
    assert (newest.operation, newest.caller, newest.details["justification"]) == ("RoleActivate", alice.id, "INC-42")


def test_eligibility_goes_with_the_vault_and_keeps_a_role_defined(stocked: World) -> None:
    alice = stocked.person()
    role = stocked.service.put_role_definition(
        stocked.operator,
        "Reader of Secrets",
        assignable_scopes=[stocked.scope()],
        data_actions=["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
    )
    made = eligible(stocked, alice, role=role.id)
    stocked.service.activate_role(alice, made.id, justification="x")
    with pytest.raises(Conflict, match="is given to somebody"):
        stocked.service.delete_role_definition(stocked.operator, role.id)
    stocked.service.delete_vault(stocked.operator, VAULT)
    assert stocked.service.list_eligible_assignments(stocked.operator) == ()
    assert stocked.service.list_activations(stocked.operator) == ()
    stocked.service.delete_role_definition(stocked.operator, role.id)


def test_a_request_bears_the_id_it_was_given_once(stocked: World) -> None:
    alice, bob = stocked.person(), stocked.person()
    hers, his = eligible(stocked, alice), eligible(stocked, bob)
    request = stocked.service.activate_role(alice, hers.id, justification="INC-1", id=GROUP.upper())
    assert request.id == GROUP
    with pytest.raises(Conflict):
        stocked.service.activate_role(bob, his.id, justification="INC-2", id=GROUP)
    with pytest.raises(BadParameter):
        stocked.service.activate_role(bob, his.id, justification="INC-2", id="mine")
    assert not reads(stocked, bob)


def test_whose_type_is_not_told_has_the_directorys(stocked: World) -> None:
    identity = stocked.service.create_identity(stocked.operator, "batch")
    stocked.service.put_principal(stocked.operator, Principal(id=GROUP, type="group", name="on-call"))
    for who, told, kept in (
        (identity.principal_id, None, "managed_identity"),
        (identity.principal_id, "service_principal", "managed_identity"),
        (GROUP, None, "group"),
        (stocked.person().id, None, "user"),
        (stocked.person().id, "service_principal", "service_principal"),
    ):
        made = stocked.service.create_role_assignment(
            stocked.operator,
            stocked.scope(VAULT, f"secrets/s{told}"),
            role="Key Vault Secrets User",
            principal_id=who,
            principal_type=told,  # type: ignore[arg-type]
        )
        assert made.principal_type == kept
        able = stocked.service.put_eligible_assignment(
            stocked.operator,
            stocked.scope(VAULT, f"secrets/s{told}"),
            role="Key Vault Secrets User",
            principal_id=who,
            principal_type=told,  # type: ignore[arg-type]
        )
        assert able.principal_type == kept
