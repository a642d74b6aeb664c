"""A vault with an approval rule: what it is for is done by somebody under somebody else's approval of exactly that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kvstack.terms import approval as deeds
from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.records import ApprovalRule
from tests.vault.service.approving import GROUP, HOUR, PLAN, SECRET, STRANGER, VAULT, Ruled, give
from tests.vault.service.world import START, World

FREELY: dict[str, Callable[[Ruled], object]] = {
    "a new version": lambda r: r.service.set_secret(r.operator, VAULT, "s", SecretValue("w")),
    "a new secret": lambda r: r.service.set_secret(r.operator, VAULT, "new", SecretValue("w")),
    "recovery": lambda r: r.service.recover_secret(r.operator, VAULT, "gone"),
    "a tag": lambda r: r.service.update_vault(r.operator, VAULT, tags={"a": "b"}),
    "the same rule again": lambda r: r.rule(r.alice.id.upper(), operations=("purge", "delete", "access")),
    "a role elsewhere": lambda r: give(r, r.operator, vault=r.service.create_vault(r.operator, "elsewhere").name),
    "a group that has nothing here": lambda r: r.service.put_principal(
        r.operator, Principal(GROUP, "group", "others", frozenset({STRANGER}))
    ),
    "a name": lambda r: r.service.put_principal(r.operator, Principal(r.alice.id, "user", "Alice")),
}


@pytest.mark.parametrize("deed", FREELY)
def test_what_the_rule_is_not_for_is_done_freely(ruled: Ruled, deed: str) -> None:
    FREELY[deed](ruled)


def test_under_an_approval_exactly_what_was_approved_is_done_and_once(ruled: Ruled) -> None:
    ruled.approve(SECRET)
    caller = ruled.under()
    for other in (
        lambda: ruled.service.delete_secret(caller, VAULT, "t"),
        lambda: ruled.service.delete_vault(caller, VAULT),
    ):
        with pytest.raises(Forbidden, match="is about something else"):
            other()
    ruled.service.delete_secret(caller, VAULT, "s")
    assert not ruled.alive()
    ruled.service.recover_secret(ruled.operator, VAULT, "s")
    with pytest.raises(Forbidden, match="was used for it already"):
        ruled.service.delete_secret(caller, VAULT, "s")


def test_a_role_is_given_on_the_approved_terms_only(ruled: Ruled) -> None:
    what = deeds.role_words("Key Vault Reader", STRANGER, None, None, "")
    ruled.approve(deeds.access(f"vault/{VAULT}", "give", what))
    caller = ruled.under()
    wanted = {"role": "Key Vault Reader", "principal_id": STRANGER, "principal_type": "user"}
    here = ruled.world.scope(VAULT)
    for other in (
        {"role": "Key Vault Administrator"},
        {"principal_id": ruled.mallory.id},
        {"expires": START + HOUR},
        {"condition": "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"},
    ):
        with pytest.raises(Forbidden, match="is about something else"):
            ruled.service.create_role_assignment(caller, here, **{**wanted, **other})  # type: ignore[arg-type]
    ruled.service.create_role_assignment(caller, here, **wanted)  # type: ignore[arg-type]


def test_an_operation_that_fails_uses_nothing_up(ruled: Ruled) -> None:
    ruled.service.update_vault(ruled.operator, VAULT, lock="delete")
    ruled.approve(deeds.deletion(f"vaults/{VAULT}"))
    caller = ruled.under()
    with pytest.raises(Conflict, match="locked"):
        ruled.service.delete_vault(caller, VAULT)
    ruled.service.update_vault(ruled.operator, VAULT, lock=None)
    ruled.service.delete_vault(caller, VAULT)
    with pytest.raises(Forbidden, match="needs an approval"):
        ruled.service.purge_vault(caller, VAULT)


def test_the_approver_of_another_vault_approves_his_part_only(ruled: Ruled) -> None:
    bob = ruled.world.person(name="bob")
    ruled.service.create_vault(ruled.operator, "other", approval=ApprovalRule((bob.id,), ("delete",)))
    other = deeds.deletion("vaults/other")
    given = ruled.approve(SECRET, other, who=bob)
    assert [row.deed for row in ruled.service.get_approval(bob, given.id).deeds] == [other]
    caller = ruled.under()
    with pytest.raises(Forbidden, match="is about something else"):
        ruled.service.delete_secret(caller, VAULT, "s")
    ruled.service.delete_vault(caller, "other")
    ruled.approve(SECRET, other)
    ruled.service.delete_secret(ruled.under(), VAULT, "s")


def test_a_right_above_two_vaults_needs_both_approvals(ruled: Ruled) -> None:
    bob = ruled.world.person(name="bob")
    ruled.service.create_vault(ruled.operator, "other", approval=ApprovalRule((bob.id,), ("access",)))
    wide = deeds.access("subscription", "give", deeds.role_words("Key Vault Reader", STRANGER, None, None, ""))
    ruled.approve(wide)
    with pytest.raises(Forbidden, match="no approver any more"):
        give(ruled, ruled.under(), vault="")
    ruled.approve(wide, who=bob)
    give(ruled, ruled.under(), vault="")


def test_a_plan_that_changes_who_approves_is_done_to_its_end_by_those_who_did(ruled: Ruled) -> None:
    bob = ruled.world.person(name="bob")
    ruled.approve(deeds.ruling(VAULT, (bob.id,), ("delete",)), SECRET)
    caller = ruled.under()
    ruled.service.update_vault(caller, VAULT, approval=ApprovalRule((bob.id,), ("delete",)))
    ruled.service.delete_secret(caller, VAULT, "s")
    with pytest.raises(Forbidden, match="needs an approval"):
        ruled.service.delete_secret(caller, VAULT, "t")


def test_a_used_up_plan_is_over_though_not_every_step_was_needed(ruled: Ruled) -> None:
    ruled.approve(SECRET, deeds.deletion(f"vaults/{VAULT}/secrets/t"))
    caller = ruled.under()
    ruled.service.delete_secret(caller, VAULT, "s")
    ruled.service.end_plan(ruled.operator, PLAN)
    with pytest.raises(Forbidden, match="is used up"):
        ruled.service.delete_secret(caller, VAULT, "t")
    with pytest.raises(Forbidden, match="nobody else has approved"):
        ruled.under()


def test_when_retention_has_ended_time_purges_and_nobody_has_to_approve(ruled: Ruled) -> None:
    ruled.world.days(91)
    ruled.service.run_due(SYSTEM)
    assert ruled.service.list_deleted_secrets(ruled.operator, VAULT) == ()


@pytest.mark.parametrize("named", [False, True])
def test_an_approval_is_signed_and_audited(ruled: Ruled, named: bool) -> None:
    key = None
    if named:
        from kvstack.terms.key import KeySpecification

        ruled.service.create_vault(ruled.operator, "keys")
        ruled.service.create_key(ruled.operator, "keys", "alices", specification=KeySpecification("EC", curve="P-256"))
        ruled.service.create_role_assignment(
            ruled.operator,
            ruled.world.scope("keys"),
            role="Key Vault Crypto User",
            principal_id=ruled.alice.id,
            principal_type="user",
        )
        key = ("keys", "alices")
    given = ruled.approve(key=key, reason="seen with bob")
    from hashlib import sha256

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(given.public.x, "big"), int.from_bytes(given.public.y, "big"), ec.SECP256R1()
    )
    r, s = int.from_bytes(given.signature[:32], "big"), int.from_bytes(given.signature[32:], "big")
    numbers.public_key().verify(
        encode_dss_signature(r, s), sha256(given.statement).digest(), ec.ECDSA(Prehashed(SHA256()))
    )
    for part in (PLAN, ruled.alice.id, ruled.operator.id, "seen with bob"):
        assert part.encode() in given.statement
    (record,) = [one for one in ruled.world.unlocked.audit.records() if one.operation == "PlanApprove"]
    assert record.caller == ruled.alice.id
    assert (record.details["plan"], record.details["reason"]) == (PLAN, "seen with bob")
    signed = [one.caller for one in ruled.world.unlocked.audit.records() if one.operation == "KeySign"]
    assert signed == ([ruled.alice.id] if named else [])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"plan": "no digest"}, "no SHA-256"),
        ({"plan": PLAN.upper()}, "no SHA-256"),
        ({"lasts": timedelta(days=8)}, "5 minutes to 7 days"),
        ({"lasts": timedelta(0)}, "5 minutes to 7 days"),
        ({"reason": "x" * 1025}, "at most 1024"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_not_approved(ruled: Ruled, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        ruled.approve(**more)


def test_nothing_is_approved_twice_while_it_counts(ruled: Ruled) -> None:
    given = ruled.approve()
    with pytest.raises(Conflict, match="has approved this plan already"):
        ruled.approve()
    ruled.service.revoke_approval(ruled.operator, given.id)
    ruled.approve()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ApprovalRule((), ("delete",)), "nobody can approve under"),
        (ApprovalRule(("alice",), ("delete",)), "`alice` is no principal's id"),
        (ApprovalRule((STRANGER,), ()), "one at least"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(dev: World, rule: ApprovalRule, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        dev.service.update_vault(dev.operator, VAULT, approval=rule)
    with pytest.raises(BadParameter, match=words):
        dev.service.create_vault(dev.operator, "new", approval=rule)


def test_a_rule_takes_the_right_to_lock(dev: World) -> None:
    contributor = dev.person("Key Vault Contributor")
    with pytest.raises(Forbidden):
        dev.service.update_vault(contributor, VAULT, approval=ApprovalRule((contributor.id,), ("delete",)))


def test_approvals_are_seen_by_whom_they_concern(ruled: Ruled) -> None:
    given = ruled.approve()
    stranger = ruled.world.person()
    for who in (ruled.alice, ruled.operator, ruled.mallory):
        assert [one.approval.id for one in ruled.service.list_approvals(who)] == [given.id]
    assert ruled.service.list_approvals(stranger) == ()
    with pytest.raises(NotFound):
        ruled.service.get_approval(stranger, given.id)
    with pytest.raises(NotFound):
        ruled.service.revoke_approval(stranger, given.id)


def test_the_plan_is_told_what_holds_it_up_where_the_caller_may_see_the_vault(ruled: Ruled) -> None:
    free = deeds.deletion("vaults/elsewhere")
    (held,) = ruled.service.held_up(ruled.operator, [SECRET, free])
    assert (held.deed, held.vault, held.by) == (SECRET, VAULT, (ruled.alice.id,))
    assert ruled.service.held_up(ruled.world.person(), [SECRET]) == ()


def test_who_could_do_it_without_the_rule_is_told_of_it(dev: World) -> None:
    officer = dev.person("Key Vault Secrets Officer")
    ruled = Ruled(dev)
    vault = deeds.deletion(f"vaults/{VAULT}")
    assert [one.deed for one in ruled.service.held_up(officer, [SECRET, vault])] == [SECRET]
