"""Vaults: what may be changed about them, and what deleting, recovering and purging one means."""

from datetime import timedelta
from typing import Any

import pytest

from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, VaultError
from kvstack.vault.records import NetworkRules
from tests.vault.service.world import START, World


def test_a_vault_is_found_in_any_case_and_keeps_its_first_spelling(world: World) -> None:
    made = world.service.create_vault(world.operator, "Payments-Dev", sku="premium", tags={"team": "pay"})
    assert world.service.get_vault(world.operator, "payments-DEV") == made
    assert (made.name, made.sku, made.tags, made.created) == ("Payments-Dev", "premium", {"team": "pay"}, START)
    with pytest.raises(Conflict) as refused:
        world.service.create_vault(world.operator, "PAYMENTS-DEV")
    assert (refused.value.status, refused.value.code) == (409, "VaultAlreadyExists")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "1st"}, "cannot name a vault"),
        ({"name": "a--b"}, "cannot name a vault"),
        ({"resource_group": "ends."}, "cannot name a resource group"),
        ({"soft_delete_retention_days": 6}, "7-90 days"),
        ({"soft_delete_retention_days": 91}, "7-90 days"),
        ({"sku": "gold"}, "`standard` or `premium`"),
        ({"tags": {str(n): "" for n in range(16)}}, "16 tags"),
        ({"network": NetworkRules("deny", ("300.1.2.3",))}, "neither an address nor a range"),
    ],
)
def test_what_no_vault_would_take_is_refused(world: World, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        world.service.create_vault(world.operator, **{"name": "fine", **arguments})
    assert world.service.list_vaults(world.operator) == ()


def test_all_problems_are_told_at_once(world: World) -> None:
    with pytest.raises(BadParameter) as refused:
        world.service.create_vault(world.operator, "1st", soft_delete_retention_days=5)
    assert len(refused.value.diagnostics) == 2


def test_settings_are_changed_one_by_one(dev: World) -> None:
    rules = NetworkRules("deny", ("203.0.113.0/24",))
    dev.service.update_vault(dev.operator, "payments-dev", network=rules)
    dev.service.update_vault(dev.operator, "payments-dev", tags={"a": "b"})
    changed = dev.service.update_vault(dev.operator, "payments-dev", purge_protection=True, sku="premium")
    assert (changed.network, changed.tags, changed.purge_protection, changed.sku) == (
        rules,
        {"a": "b"},
        True,
        "premium",
    )
    assert changed.recovery_level == "Recoverable"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"soft_delete_retention_days": 89}, "90 days for good"),
        ({"soft_delete_retention_days": 7}, "90 days for good"),
        ({"purge_protection": False}, "cannot be switched off"),
        ({"sku": "gold"}, "`standard` or `premium`"),
    ],
)
def test_what_can_never_be_changed_is_refused(world: World, change: dict[str, Any], words: str) -> None:
    before = world.service.create_vault(world.operator, "safe", purge_protection=True)
    with pytest.raises(BadParameter, match=words):
        world.service.update_vault(world.operator, "safe", **change)
    assert world.service.get_vault(world.operator, "safe") == before


def test_saying_again_what_is_so_changes_nothing(dev: World) -> None:
    before = dev.service.get_vault(dev.operator, "payments-dev")
    dev.clock.advance(timedelta(hours=1))
    same = dev.service.update_vault(
        dev.operator, "payments-dev", soft_delete_retention_days=90, purge_protection=False, tags={}
    )
    assert same == before


def test_deleting_a_vault_hides_what_is_in_it_and_recovering_brings_it_back(dev: World) -> None:
    dev.service.set_secret(dev.operator, "payments-dev", "db", SecretValue("one"))
    deleted = dev.service.delete_vault(dev.operator, "payments-dev")
    assert deleted.deletion is not None
    assert deleted.deletion.scheduled_purge == START + timedelta(days=90)
    assert deleted.deletion.by == dev.operator.id
    assert dev.service.list_vaults(dev.operator) == ()
    assert dev.service.list_deleted_vaults(dev.operator) == (deleted,)
    assert dev.service.get_deleted_vault(dev.operator, "PAYMENTS-dev") == deleted
    for call in (dev.service.get_vault, dev.service.delete_vault, dev.service.list_secrets):
        with pytest.raises(NotFound, match="it is soft-deleted"):
            call(dev.operator, "payments-dev")
    with pytest.raises(NotFound, match="soft-deleted"):
        dev.service.get_secret(dev.operator, "payments-dev", "db")
    with pytest.raises(Conflict, match="keeps its name until 2026-05-30") as refused:
        dev.service.create_vault(dev.operator, "Payments-Dev")
    assert refused.value.inner == "ObjectIsDeletedButRecoverable"
    dev.service.recover_vault(dev.operator, "payments-dev")
    found = dev.service.get_secret(dev.operator, "payments-dev", "db").value
    assert found is not None
    assert found.reveal() == b"one"
    with pytest.raises(NotFound):
        dev.service.get_deleted_vault(dev.operator, "payments-dev")


def test_deleting_a_vault_takes_away_the_roles_at_and_below_it_for_good(dev: World) -> None:
    vault = dev.scope("payments-dev")
    dev.service.create_vault(dev.operator, "other")
    inside = dev.person("Key Vault Secrets Officer", at=vault)
    item = dev.person("Key Vault Secrets User", at=dev.scope("payments-dev", "secrets/db"))
    beside = dev.person("Key Vault Reader", at=dev.scope("other"))
    above = dev.person("Key Vault Reader", at=dev.scope())
    dev.service.delete_vault(dev.operator, "payments-dev")
    dev.service.recover_vault(dev.operator, "payments-dev")
    left = {one.principal_id for one in dev.service.list_role_assignments(dev.operator)}
    assert left == {dev.operator.id, beside.id, above.id}
    for gone in (inside, item):
        with pytest.raises(Forbidden):
            dev.service.get_secret(gone, "payments-dev", "db")


def test_purging_a_vault_destroys_it_and_frees_its_name(dev: World) -> None:
    dev.service.set_secret(dev.operator, "payments-dev", "db", SecretValue("one"))
    dev.service.create_key(dev.operator, "payments-dev", "k", specification=KeySpecification("EC", None, "P-256"))
    first = dev.service.delete_vault(dev.operator, "payments-dev")
    dev.service.purge_vault(dev.operator, "payments-dev")
    assert dev.service.list_deleted_vaults(dev.operator) == ()
    second = dev.service.create_vault(dev.operator, "payments-dev")
    assert second.id != first.id
    assert dev.service.list_secrets(dev.operator, "payments-dev") == ()
    assert dev.service.list_keys(dev.operator, "payments-dev") == ()


def test_a_live_vault_cannot_be_purged(dev: World) -> None:
    with pytest.raises(NotFound, match="no soft-deleted vault"):
        dev.service.purge_vault(dev.operator, "payments-dev")


def test_a_locked_vault_is_deleted_only_once_its_lock_is_lifted(dev: World) -> None:
    dev.service.update_vault(dev.operator, "payments-dev", lock="delete")
    with pytest.raises(Conflict, match="locked against deletion") as refused:
        dev.service.delete_vault(dev.operator, "payments-dev")
    assert refused.value.code == "ScopeLocked"
    contributor = dev.person("Contributor")
    with pytest.raises(Forbidden, match="locks/write"):
        dev.service.update_vault(contributor, "payments-dev", lock=None)
    dev.service.update_vault(contributor, "payments-dev", tags={"x": "y"})
    dev.service.update_vault(dev.operator, "payments-dev", lock=None)
    dev.service.delete_vault(contributor, "payments-dev")


def test_a_lock_at_creation_takes_the_right_to_lock(dev: World) -> None:
    with pytest.raises(Forbidden, match="locks/write"):
        dev.service.create_vault(dev.person("Key Vault Contributor"), "locked", lock="delete")


def test_vaults_are_listed_as_far_as_one_may_see_them(dev: World) -> None:
    dev.service.create_vault(dev.operator, "other", resource_group="elsewhere")
    reader = dev.person("Reader", at=dev.scope("payments-dev"))
    assert [vault.name for vault in dev.service.list_vaults(reader)] == ["payments-dev"]
    assert [vault.name for vault in dev.service.list_vaults(dev.operator)] == ["other", "payments-dev"]
    assert dev.service.list_vaults(dev.person()) == ()


def test_purging_takes_a_right_at_the_subscription(dev: World) -> None:
    owner_of_one = dev.person("Owner", at=dev.scope("payments-dev"))
    group_owner = dev.person("Owner", at=dev.scope("payments-dev").chain()[1])
    dev.service.delete_vault(owner_of_one, "payments-dev")
    for caller in (owner_of_one, group_owner):
        with pytest.raises(Forbidden):
            dev.service.purge_vault(caller, "payments-dev")
    dev.service.purge_vault(dev.person("Key Vault Purge Operator"), "payments-dev")


def test_a_vault_that_is_not_there_is_told_with_near_names_to_who_may_see_them(dev: World) -> None:
    with pytest.raises(NotFound) as refused:
        dev.service.get_vault(dev.operator, "payment-dev")
    assert "Did you mean `payments-dev`?" in str(refused.value)
    with pytest.raises(Forbidden) as denied:
        dev.service.get_vault(dev.person(), "payment-dev")
    assert str(denied.value) == "denied"


@pytest.mark.parametrize(
    ("address", "let_in"), [("203.0.113.7", True), ("203.0.114.7", False), ("x", False), (None, True)]
)
def test_the_firewall_keeps_addresses_out_that_are_not_listed(dev: World, address: str | None, let_in: bool) -> None:
    from kvstack.vault.caller import Caller

    dev.service.set_secret(dev.operator, "payments-dev", "db", SecretValue("one"))
    dev.service.update_vault(dev.operator, "payments-dev", network=NetworkRules("deny", ("203.0.113.0/24",)))
    caller = Caller(dev.operator.id, "operator", address=address)
    if let_in:
        dev.service.get_secret(caller, "payments-dev", "db")
        return
    with pytest.raises(VaultError) as refused:
        dev.service.get_secret(caller, "payments-dev", "db")
    assert refused.value.inner == "ForbiddenByFirewall"
    # Resource manager is not behind the vault's firewall: whoever locked himself out can mend it.
    dev.service.update_vault(caller, "payments-dev", network=NetworkRules())
