"""Subscription, groups and names: who has something to do with them sees them, and nobody else does."""

from datetime import timedelta
from typing import Any

import pytest

from kvstack.terms.secret import SecretValue
from kvstack.vault.access_policies import GivenPolicy
from kvstack.vault.errors import BadParameter, Forbidden, NotFound
from tests.vault.service.world import World

VAULT = "payments-dev"


def test_a_subscription_is_seen_by_whom_anything_in_it_was_given(dev: World) -> None:
    inside = dev.person("Key Vault Secrets User", at=dev.scope(VAULT))
    stranger = dev.person()
    (seen,) = dev.service.list_home_subscriptions(inside)
    assert (seen.id, seen.tenant_id) == (dev.service.top.subscription, dev.service.tenant_id)
    assert dev.service.get_home_subscription(dev.operator) == seen
    assert dev.service.list_home_subscriptions(stranger) == ()
    with pytest.raises(Forbidden):
        dev.service.get_home_subscription(stranger)


def test_what_was_given_and_has_ended_shows_no_subscription(dev: World) -> None:
    someone = dev.person()
    dev.service.create_role_assignment(
        dev.operator,
        dev.scope(VAULT),
        role="Key Vault Secrets User",
        principal_id=someone.id,
        principal_type="user",
        expires=dev.clock.now() + timedelta(days=1),
    )
    assert dev.service.list_home_subscriptions(someone)
    dev.days(2)
    assert dev.service.list_home_subscriptions(someone) == ()


def test_a_group_is_there_while_something_is_in_it(dev: World) -> None:
    own = dev.service.get_vault(dev.operator, VAULT).resource_group

    def groups(who: Any = dev.operator) -> list[tuple[str, str]]:
        return [(one.name, one.location) for one in dev.service.list_resource_groups(who)]

    before = groups()
    dev.service.create_vault(dev.operator, "other-dev", resource_group="Payments", location="here")
    dev.service.create_identity(dev.operator, "batch", resource_group="jobs", location="there")
    assert groups() == sorted([*before, ("Payments", "here"), ("jobs", "there")], key=lambda one: one[0].lower())
    assert dev.service.get_resource_group(dev.operator, "PAYMENTS").name == "Payments"
    dev.service.delete_vault(dev.operator, "other-dev")
    with pytest.raises(NotFound):
        dev.service.get_resource_group(dev.operator, "payments")
    with pytest.raises(BadParameter):
        dev.service.get_resource_group(dev.operator, "no/name")
    assert dev.service.get_resource_group(dev.operator, own).name == own
    inside = dev.person("Key Vault Reader", at=dev.scope(VAULT))
    assert groups(inside) == []


def test_a_name_is_free_until_a_vault_has_it_and_again_after_its_retention(dev: World) -> None:
    def check(name: str) -> tuple[bool, str]:
        found = dev.service.vault_name_availability(dev.operator, name)
        return found.available, found.reason

    assert check("free-name") == (True, "")
    assert check("no--name") == (False, "AccountNameInvalid")
    assert check(VAULT.upper()) == (False, "AlreadyExists")
    dev.service.delete_vault(dev.operator, VAULT)
    assert check(VAULT) == (False, "AlreadyExists")
    with pytest.raises(Forbidden):
        dev.service.vault_name_availability(dev.person(), "free-name")


def test_a_vault_looked_for_in_another_group_is_not_there(dev: World) -> None:
    for do in (dev.service.get_vault, dev.service.delete_vault):
        with pytest.raises(NotFound):
            do(dev.operator, VAULT, resource_group="elsewhere")
    with pytest.raises(NotFound):
        dev.service.update_vault(dev.operator, VAULT, resource_group="elsewhere", tags={"a": "b"})
    assert dev.service.get_vault(dev.operator, VAULT).tags == {}


def test_who_may_in_the_vaults_group_may_nothing_under_another_groups_name(dev: World) -> None:
    home = dev.scope(VAULT)
    inside = dev.person("Contributor", at=home)
    assert dev.service.get_vault(inside, VAULT, resource_group=home.resource_group.upper()).name == VAULT
    with pytest.raises(Forbidden):
        dev.service.get_vault(inside, VAULT, resource_group="elsewhere")


def test_what_is_done_as_one_is_done_whole_or_not_at_all(dev: World) -> None:
    def three() -> None:
        with dev.service.as_one(dev.operator, "VaultDeploy", dev.scope("both-dev")):
            dev.service.create_vault(dev.operator, "both-dev")
            dev.service.set_secret(dev.operator, VAULT, "with-it", SecretValue("v"))
            dev.service.set_access_policy(dev.operator, "both-dev", "no id", secrets=["get"])

    with pytest.raises(BadParameter):
        three()
    with pytest.raises(NotFound):
        dev.service.get_vault(dev.operator, "both-dev")
    with pytest.raises(NotFound):
        dev.service.get_secret(dev.operator, VAULT, "with-it")
    told = [one for one in dev.unlocked.audit.records() if one.operation == "VaultDeploy"]
    assert [one.result for one in told] == ["BadParameter"]


def test_several_policies_are_changed_at_once_or_none(dev: World) -> None:
    a, b = dev.person().id, dev.person().id

    def change(how: Any, *given: GivenPolicy) -> dict[str, tuple[set[str], set[str]]]:
        left = dev.service.change_access_policies(dev.operator, VAULT, given, how)
        return {one.principal_id: ({*one.secrets}, {*one.keys}) for one in left}

    def policy(who: str, secrets: str = "", keys: str = "") -> GivenPolicy:
        return GivenPolicy(principal_id=who, secrets=frozenset(secrets.split()), keys=frozenset(keys.split()))

    assert change("add", policy(a, "Get"), policy(b, "list")) == {a: ({"get"}, set()), b: ({"list"}, set())}
    assert change("add", policy(a, "set", "sign")) == {a: ({"get", "set"}, {"sign"}), b: ({"list"}, set())}
    assert change("remove", policy(a, "get", "sign"), policy(b, "all")) == {a: ({"set"}, set())}
    assert change("replace", policy(a, "", "verify")) == {a: (set(), {"verify"})}
    with pytest.raises(BadParameter):
        change("add", policy(b, "get"), policy(a, "nothing"))
    with pytest.raises(BadParameter, match="twice"):
        change("add", policy(b, "get"), policy(b.upper(), "list"))
    assert change("remove", policy(b, "get")) == {a: (set(), {"verify"})}
    assert change("all", policy(b, "get")) == {b: ({"get"}, set())}
    assert change("all") == {}
    with pytest.raises(Forbidden):
        dev.service.change_access_policies(dev.person("Reader"), VAULT, [policy(a, "get")], "add")
