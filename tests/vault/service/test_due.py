"""What time makes due: the end of retention, purge protection up to it, and clocks that step."""

from datetime import datetime, timedelta

import pytest

from kvstack.hsm.protocol import HsmUnavailable
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.due import Due
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from tests.vault.service.world import START, World

VAULT = "safe"
EC256 = KeySpecification("EC", None, "P-256")


@pytest.fixture
def safe(world: World) -> World:
    """The world with a purge-protected vault that keeps deleted things a week, a secret and a key in it."""
    world.service.create_vault(world.operator, VAULT, soft_delete_retention_days=7, purge_protection=True)
    world.service.set_secret(world.operator, VAULT, "s", SecretValue("v"))
    world.service.create_key(world.operator, VAULT, "k", specification=EC256)
    return world


def names(due: tuple[Due, ...]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.vault, one.name) for one in due}


def test_nobody_purges_a_protected_thing_before_its_time(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.service.delete_key(safe.operator, VAULT, "k")
    for days in (0, 6.9):
        safe.days(days)
        for purge, name in ((safe.service.purge_secret, "s"), (safe.service.purge_key, "k")):
            with pytest.raises(Forbidden, match="cannot be purged before 2026-03-08 12:00") as refused:
                purge(safe.operator, VAULT, name)
            assert refused.value.inner == "ForbiddenByPurgeProtection"
        assert safe.service.run_due(SYSTEM).done == ()
    safe.days(0.2)
    safe.service.purge_secret(safe.operator, VAULT, "s")
    assert names(safe.service.run_due(SYSTEM).done) == {("key", VAULT, "k")}


def test_a_protected_vault_is_purged_by_nobody_before_its_time(safe: World) -> None:
    safe.service.delete_vault(safe.operator, VAULT)
    with pytest.raises(Forbidden, match="cannot be purged before"):
        safe.service.purge_vault(safe.operator, VAULT)
    safe.days(7)
    assert names(safe.service.run_due(SYSTEM).done) == {("vault", VAULT, "")}
    with pytest.raises(NotFound):
        safe.service.recover_vault(safe.operator, VAULT)


def test_protection_switched_on_later_protects_what_is_already_deleted(dev: World) -> None:
    dev.service.set_secret(dev.operator, "payments-dev", "s", SecretValue("v"))
    dev.service.delete_secret(dev.operator, "payments-dev", "s")
    dev.service.update_vault(dev.operator, "payments-dev", purge_protection=True)
    with pytest.raises(Forbidden, match="cannot be purged before"):
        dev.service.purge_secret(dev.operator, "payments-dev", "s")


def test_recovering_and_deleting_again_begins_anew(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.days(5)
    safe.service.recover_secret(safe.operator, VAULT, "s")
    again = safe.service.delete_secret(safe.operator, VAULT, "s")
    assert again.deletion is not None
    assert again.deletion.scheduled_purge == START + timedelta(days=12)


def test_a_clock_set_back_for_the_deletion_brings_the_purge_no_nearer(safe: World) -> None:
    safe.clock.set(START - timedelta(days=30))
    deleted = safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.clock.set(START)
    assert deleted.deletion is not None
    assert deleted.deletion.scheduled_purge >= START + timedelta(days=7)
    with pytest.raises(Forbidden):
        safe.service.purge_secret(safe.operator, VAULT, "s")


@pytest.mark.parametrize("step", [timedelta(days=36), timedelta(days=4000)])
def test_after_a_step_forwards_time_purges_nothing_until_somebody_confirms_it(safe: World, step: timedelta) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.service.delete_key(safe.operator, VAULT, "k")
    safe.clock.set(START + step)
    # Whatever is done meanwhile does not make the step less of one.
    safe.service.create_vault(safe.operator, "other")
    report = safe.service.run_due(SYSTEM)
    assert report.done == ()
    assert names(report.held_back) == {("secret", VAULT, "s"), ("key", VAULT, "k")}
    assert "ahead of the vault's last change" in report.reason
    with pytest.raises(Forbidden, match="is not purged") as refused:
        safe.service.purge_secret(safe.operator, VAULT, "s")
    assert refused.value.inner == "ClockNotConfirmed"
    with pytest.raises(Conflict):
        safe.service.set_secret(safe.operator, VAULT, "s", SecretValue("new"))
    safe.service.confirm_clock(safe.operator, "the laptop was in a drawer")
    assert safe.service.run_due(SYSTEM).held_back == ()
    assert safe.service.list_deleted_secrets(safe.operator, VAULT) == ()
    (confirmed,) = [one for one in safe.unlocked.audit.records() if one.operation == "ClockConfirm"]
    assert confirmed.details["reason"] == "the laptop was in a drawer"


def test_after_a_step_back_time_purges_nothing_until_somebody_confirms_it(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.days(8)
    safe.clock.set(START + timedelta(days=7, hours=1))
    report = safe.service.run_due(SYSTEM)
    assert (report.done, names(report.held_back)) == ((), {("secret", VAULT, "s")})
    assert "stepped back" in report.reason
    safe.service.confirm_clock(safe.operator, "daylight")
    assert names(safe.service.run_due(SYSTEM).done) == {("secret", VAULT, "s")}


def test_confirming_takes_a_reason_and_the_right_to_manage_access(safe: World) -> None:
    with pytest.raises(BadParameter, match="with a reason"):
        safe.service.confirm_clock(safe.operator, " ")
    for role in ("Contributor", "Key Vault Administrator", "Role Based Access Control Administrator"):
        with pytest.raises(Forbidden):
            safe.service.confirm_clock(safe.person(role), "because")


def test_what_is_unprotected_is_purged_whenever_one_asks_and_by_time_at_the_end(world: World) -> None:
    world.service.create_vault(world.operator, "plain", soft_delete_retention_days=7)
    for name in ("a", "b"):
        world.service.set_secret(world.operator, "plain", name, SecretValue("v"))
        world.service.delete_secret(world.operator, "plain", name)
    world.service.purge_secret(world.operator, "plain", "a")
    world.days(7)
    assert names(world.service.due(world.operator)) == {("secret", "plain", "b")}
    assert names(world.service.run_due(SYSTEM).done) == {("secret", "plain", "b")}
    assert world.service.due(world.operator) == ()


def test_past_its_time_a_thing_still_counts_as_deleted_until_it_is_purged(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.days(8)
    assert len(safe.service.list_deleted_secrets(safe.operator, VAULT)) == 1
    with pytest.raises(NotFound):
        safe.service.get_secret(safe.operator, VAULT, "s")
    # Making a namesake purges it on the way.
    safe.service.set_secret(safe.operator, VAULT, "s", SecretValue("new"))
    assert safe.service.list_deleted_secrets(safe.operator, VAULT) == ()
    assert len(safe.service.list_secret_versions(safe.operator, VAULT, "s")) == 1


def test_a_vault_past_its_time_makes_way_for_a_namesake(safe: World) -> None:
    first = safe.service.delete_vault(safe.operator, VAULT)
    safe.days(8)
    second = safe.service.create_vault(safe.operator, VAULT)
    assert second.id != first.id
    assert safe.service.list_secrets(safe.operator, VAULT) == ()


def test_what_lies_in_a_deleted_vault_waits_for_it(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.days(3)
    safe.service.delete_vault(safe.operator, VAULT)
    safe.days(5)
    assert safe.service.run_due(SYSTEM).done == ()
    safe.service.recover_vault(safe.operator, VAULT)
    assert names(safe.service.run_due(SYSTEM).done) == {("secret", VAULT, "s")}


def test_looking_ahead_does_nothing(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    ahead: datetime = START + timedelta(days=8)
    assert names(safe.service.due(safe.operator, at=ahead)) == {("secret", VAULT, "s")}
    assert safe.service.due(safe.operator) == ()
    assert len(safe.service.list_deleted_secrets(safe.operator, VAULT)) == 1


def test_only_the_system_does_what_is_due(safe: World) -> None:
    with pytest.raises(Forbidden):
        safe.service.run_due(safe.operator)
    with pytest.raises(Forbidden):
        safe.service.due(safe.person())


def test_what_time_purged_is_audited_thing_by_thing(safe: World) -> None:
    safe.service.delete_secret(safe.operator, VAULT, "s")
    safe.service.delete_key(safe.operator, VAULT, "k")
    safe.days(8)
    safe.service.run_due(SYSTEM)
    purges = [
        (one.operation, one.resource, one.caller) for one in safe.unlocked.audit.records() if "Purge" in one.operation
    ]
    assert sorted(purges) == [
        ("KeyPurge", safe.scope(VAULT, "keys/k").path, "system"),
        ("SecretPurge", safe.scope(VAULT, "secrets/s").path, "system"),
    ]


def test_a_namesake_that_could_not_be_made_purges_nothing(safe: World) -> None:
    safe.service.delete_key(safe.operator, VAULT, "k")
    safe.days(8)
    safe.service._providers = {}
    with pytest.raises(HsmUnavailable):
        safe.service.create_key(safe.operator, VAULT, "k", specification=EC256)
    assert [key.name for key in safe.service.list_deleted_keys(safe.operator, VAULT)] == ["k"]
