"""Ways around an approval rule, each tried: the owner's own commands, one's own approval, a revoked or a changed one,
joining the approvers, changing what was approved."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kvstack.terms import approval as deeds
from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.approval_rows import APPROVALS, APPROVED_DEEDS
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, VaultError
from kvstack.vault.records import ApprovalRule
from tests.vault.service.approving import GROUP, HOUR, OTHER_PLAN, PLAN, SECRET, STRANGER, VAULT, Ruled, give


def deny(ruled: Ruled, caller: Caller) -> None:
    ruled.service.create_deny_assignment(
        caller, ruled.world.scope(VAULT), "No", data_actions=["Microsoft.KeyVault/vaults/secrets/delete"]
    )


def eligible(ruled: Ruled, caller: Caller) -> None:
    ruled.service.put_eligible_assignment(
        caller,
        ruled.world.scope(VAULT),
        role="Key Vault Reader",
        principal_id=STRANGER,
        principal_type="user",
    )


DIRECTLY: dict[str, Callable[[Ruled, Caller], object]] = {
    "delete a secret": lambda r, c: r.service.delete_secret(c, VAULT, "s"),
    "delete a secret by another spelling": lambda r, c: r.service.delete_secret(c, VAULT.upper(), "S"),
    "purge a secret": lambda r, c: r.service.purge_secret(c, VAULT, "gone"),
    "delete the vault": lambda r, c: r.service.delete_vault(c, VAULT),
    "give a role in the vault": give,
    "give a role at a thing in it": lambda r, c: give(r, c, item="secrets/s"),
    "give a role above it": lambda r, c: give(r, c, vault=""),
    "make somebody eligible": eligible,
    "deny something": deny,
    "set an access policy": lambda r, c: r.service.set_access_policy(c, VAULT, STRANGER, secrets=["get"]),
    "change the access model": lambda r, c: r.service.update_vault(c, VAULT, access_model="access_policies"),
    "take the rule away": lambda r, c: r.service.update_vault(c, VAULT, approval=None),
    "weaken the rule": lambda r, c: r.service.update_vault(c, VAULT, approval=ApprovalRule((r.alice.id,), ("purge",))),
    "make oneself an approver": lambda r, c: r.service.update_vault(
        c, VAULT, approval=ApprovalRule((c.id,), ("access", "delete", "purge"))
    ),
    "become the approver, as a group": lambda r, c: r.service.put_principal(
        c, Principal(r.alice.id, "group", "alice", frozenset({c.id}))
    ),
}


@pytest.mark.parametrize("deed", DIRECTLY)
@pytest.mark.parametrize("who", ["operator", "mallory"])
def test_nobody_does_it_directly_the_owner_neither(ruled: Ruled, deed: str, who: str) -> None:
    before = ruled.service.snapshot(ruled.operator, (VAULT,))
    with pytest.raises(Forbidden) as refused:
        DIRECTLY[deed](ruled, getattr(ruled, who))
    assert refused.value.inner == "ApprovalRequired"
    assert "`kvstack approve FILE`" in str(refused.value)
    assert "alice" in str(refused.value)
    assert ruled.service.snapshot(ruled.operator, (VAULT,)) == before
    (newest,) = ruled.world.unlocked.audit.records(newest_first=True, limit=1)
    assert newest.operation == "Snapshot"
    assert any(record.result == "ApprovalRequired" for record in ruled.world.unlocked.audit.records())


@pytest.mark.parametrize("deed", DIRECTLY)
def test_a_plan_that_is_not_approved_is_no_better(ruled: Ruled, deed: str) -> None:
    with pytest.raises(Forbidden, match="nobody else has approved"):
        ruled.under()
    with pytest.raises(Forbidden, match="needs an approval"):
        DIRECTLY[deed](ruled, msgspec.structs.replace(ruled.operator, plan=PLAN))


def test_who_made_the_plan_does_not_approve_it(ruled: Ruled) -> None:
    with pytest.raises(Forbidden, match="nobody approves his own plan"):
        ruled.approve(made_by=ruled.alice.id)


def test_who_approved_the_plan_does_not_apply_it_whoever_the_file_says_made_it(ruled: Ruled) -> None:
    ruled.approve(made_by=STRANGER)
    with pytest.raises(Forbidden, match="nobody else has approved"):
        ruled.under(who=ruled.alice)


def test_somebody_else_has_to_have_begun_it_too(ruled: Ruled) -> None:
    ruled.approve()
    with pytest.raises(Forbidden, match="nobody has begun to apply"):
        ruled.service.delete_secret(msgspec.structs.replace(ruled.operator, plan=PLAN), VAULT, "s")


def test_an_approver_who_applies_brings_no_approval_though_another_began(ruled: Ruled) -> None:
    what = deeds.role_words("Key Vault Administrator", ruled.alice.id, None, None, "")
    ruled.approve(deeds.access(f"vault/{VAULT}", "give", what), plan=OTHER_PLAN)
    ruled.service.create_role_assignment(
        ruled.under(OTHER_PLAN),
        ruled.world.scope(VAULT),
        role="Key Vault Administrator",
        principal_id=ruled.alice.id,
        principal_type="user",
    )
    ruled.approve()
    ruled.under()
    with pytest.raises(Forbidden, match="is the caller's own"):
        ruled.service.delete_secret(msgspec.structs.replace(ruled.alice, plan=PLAN), VAULT, "s")
    assert ruled.alive()


@pytest.mark.parametrize("who", ["operator", "mallory"])
def test_who_is_no_approver_approves_nothing(ruled: Ruled, who: str) -> None:
    with pytest.raises(Forbidden, match="is no approver of anything in this plan"):
        ruled.approve(who=getattr(ruled, who), made_by=STRANGER)
    assert ruled.service.list_approvals(ruled.operator) == ()


def test_groups_that_only_a_token_claims_make_no_approver(ruled: Ruled) -> None:
    with pytest.raises(Forbidden, match="is no approver"):
        ruled.approve(who=msgspec.structs.replace(ruled.mallory, groups=frozenset({ruled.alice.id})))


def test_an_approval_ends_and_a_clock_set_back_brings_it_not_back(ruled: Ruled) -> None:
    ruled.approve(lasts=HOUR)
    ruled.world.clock.advance(HOUR - timedelta(seconds=1))
    caller = ruled.under()
    ruled.world.clock.advance(timedelta(seconds=1))
    with pytest.raises(Forbidden, match="ended on 2026-03-01 13:00"):
        ruled.service.delete_secret(caller, VAULT, "s")
    ruled.service.set_secret(ruled.operator, VAULT, "s", SecretValue("w"))
    ruled.world.clock.advance(-2 * HOUR)
    with pytest.raises(Forbidden, match="ended on"):
        ruled.service.delete_secret(caller, VAULT, "s")
    with pytest.raises(Forbidden, match="nobody else has approved"):
        ruled.under()


def test_an_approval_that_was_revoked_counts_no_more_even_in_the_middle(ruled: Ruled) -> None:
    given = ruled.approve(SECRET, deeds.deletion(f"vaults/{VAULT}/secrets/t"))
    caller = ruled.under()
    ruled.service.delete_secret(caller, VAULT, "s")
    ruled.service.revoke_approval(ruled.alice, given.id, reason="wrong vault")
    with pytest.raises(Forbidden, match="was revoked on"):
        ruled.service.delete_secret(caller, VAULT, "t")
    with pytest.raises(Conflict, match="was revoked already"):
        ruled.service.revoke_approval(ruled.alice, given.id)


def test_an_approver_who_left_the_group_after_approving_approved_nothing(ruled: Ruled) -> None:
    bob = ruled.world.person(name="bob")
    ruled.service.put_principal(ruled.operator, Principal(GROUP, "group", "on-call", frozenset({bob.id})))
    change = deeds.ruling(VAULT, (GROUP,), ("access", "delete", "purge"))
    ruled.approve(change)
    ruled.service.update_vault(ruled.under(), VAULT, approval=ApprovalRule((GROUP,), ("access", "delete", "purge")))
    ruled.approve(who=bob, plan=OTHER_PLAN)
    caller = ruled.under(OTHER_PLAN)
    leave = deeds.membership(GROUP, ())
    third = "c3" * 32
    ruled.approve(leave, who=bob, plan=third)
    ruled.service.put_principal(ruled.under(third), Principal(GROUP, "group", "on-call"))
    with pytest.raises(Forbidden, match="no approver any more"):
        ruled.service.delete_secret(caller, VAULT, "s")
    assert ruled.alive()


def test_nobody_joins_the_approvers_unapproved_not_even_through_another_group(ruled: Ruled) -> None:
    inner = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c23"
    ruled.service.put_principal(ruled.operator, Principal(GROUP, "group", "on-call", frozenset({inner})))
    ruled.approve(deeds.ruling(VAULT, (GROUP,), ("delete",)))
    ruled.service.update_vault(ruled.under(), VAULT, approval=ApprovalRule((GROUP,), ("delete",)))
    for group in (GROUP, inner):
        with pytest.raises(Forbidden, match="needs an approval"):
            ruled.service.put_principal(ruled.mallory, Principal(group, "group", "g", frozenset({ruled.mallory.id})))


def test_nobody_joins_a_group_with_roles_in_the_vault_unapproved(ruled: Ruled) -> None:
    what = deeds.role_words("Key Vault Reader", GROUP, None, None, "")
    ruled.approve(deeds.access(f"vault/{VAULT}", "give", what))
    ruled.service.create_role_assignment(
        ruled.under(), ruled.world.scope(VAULT), role="Key Vault Reader", principal_id=GROUP, principal_type="group"
    )
    with pytest.raises(Forbidden, match="group 0c3c2c6e"):
        ruled.service.put_principal(ruled.mallory, Principal(GROUP, "group", "g", frozenset({ruled.mallory.id})))


def test_an_access_policy_is_set_and_taken_on_the_approved_terms_only(ruled: Ruled) -> None:
    given = deeds.policy_words(GROUP, (), ("get", "list"), ())
    ruled.approve(deeds.access(f"vault/{VAULT}", "give", given))
    caller = ruled.under()
    for who, more in ((GROUP, ["get"]), (GROUP, ["get", "list", "set"]), (STRANGER, ["get", "list"])):
        with pytest.raises(Forbidden, match="is about something else"):
            ruled.service.set_access_policy(caller, VAULT, who, secrets=more)
    ruled.service.set_access_policy(caller, VAULT, GROUP, secrets=["list", "get"])
    ruled.service.set_access_policy(ruled.operator, VAULT, GROUP, secrets=["get", "list"])  # it is so already
    for unapproved in (
        lambda: ruled.service.set_access_policy(caller, VAULT, GROUP, secrets=["get"]),
        lambda: ruled.service.delete_access_policy(caller, VAULT, GROUP),
        lambda: ruled.service.put_principal(
            ruled.mallory, Principal(GROUP, "group", "g", frozenset({ruled.mallory.id}))
        ),
    ):
        with pytest.raises(Forbidden, match="needs an approval"):
            unapproved()


def test_a_role_that_may_be_given_here_means_what_it_meant(ruled: Ruled) -> None:
    reading = ["Microsoft.KeyVault/vaults/secrets/getSecret/action"]
    role = ruled.service.put_role_definition(
        ruled.operator, "Lister", assignable_scopes=[ruled.world.scope()], data_actions=reading
    )
    with pytest.raises(Forbidden, match="needs an approval"):
        ruled.service.put_role_definition(
            ruled.operator,
            "Lister",
            id=role.id,
            assignable_scopes=[ruled.world.scope()],
            data_actions=["Microsoft.KeyVault/vaults/*"],
        )
    with pytest.raises(Forbidden, match="needs an approval"):
        ruled.service.delete_role_definition(ruled.operator, role.id)


def test_a_new_approver_approves_nothing_of_the_plan_that_makes_him_one(ruled: Ruled) -> None:
    change = deeds.ruling(VAULT, (ruled.mallory.id,), ("delete",))
    with pytest.raises(Forbidden, match="is no approver"):
        ruled.approve(change, SECRET, who=ruled.mallory)


def test_somebody_else_does_not_end_a_plan(ruled: Ruled) -> None:
    ruled.approve()
    caller = ruled.under()
    ruled.service.end_plan(ruled.mallory, PLAN)
    ruled.service.delete_secret(caller, VAULT, "s")


def test_a_deleted_vault_keeps_its_rule(ruled: Ruled) -> None:
    ruled.approve(deeds.deletion(f"vaults/{VAULT}"))
    ruled.service.delete_vault(ruled.under(), VAULT)
    with pytest.raises(Forbidden, match="needs an approval"):
        ruled.service.purge_vault(ruled.mallory, VAULT)
    assert ruled.service.recover_vault(ruled.operator, VAULT).approval is not None


def test_who_may_not_sign_with_a_key_approves_nothing_with_it(ruled: Ruled) -> None:
    from kvstack.terms.key import KeySpecification

    ruled.service.create_vault(ruled.operator, "keys")
    ruled.service.create_key(ruled.operator, "keys", "others", specification=KeySpecification("EC", curve="P-256"))
    ruled.service.create_key(ruled.operator, "keys", "long", specification=KeySpecification("EC", curve="P-384"))
    with pytest.raises(VaultError, match="denied"):
        ruled.approve(key=("keys", "others"))
    ruled.service.create_role_assignment(
        ruled.operator,
        ruled.world.scope("keys"),
        role="Key Vault Crypto User",
        principal_id=ruled.alice.id,
        principal_type="user",
    )
    with pytest.raises(BadParameter, match="P-256 keys, and `long` is none"):
        ruled.approve(key=("keys", "long"))
    assert ruled.service.list_approvals(ruled.alice) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": bytes(64)},
        {"plan": OTHER_PLAN},
        {"approver": STRANGER},
        {"reason": "another"},
        {"deeds": "0" * 64},
    ],
    ids=str,
)
def test_an_approval_whose_signature_does_not_hold_begins_nothing(ruled: Ruled, changed: dict[str, Any]) -> None:
    """As somebody could make one who can write rows, and cannot sign."""
    given = ruled.approve()
    with ruled.service._store.transaction() as tx:
        APPROVALS.put(tx, msgspec.structs.replace(given, **changed))
    with pytest.raises(Forbidden, match="does not hold"):
        ruled.under(changed.get("plan", PLAN))


def test_a_deed_added_to_an_approval_begins_nothing(ruled: Ruled) -> None:
    given = ruled.approve()
    with ruled.service._store.transaction() as tx:
        row = APPROVED_DEEDS.scan(tx, approval=given.id)[0]
        APPROVED_DEEDS.put(tx, msgspec.structs.replace(row, digest="0" * 64))
    with pytest.raises(Forbidden, match="does not hold"):
        ruled.under()
