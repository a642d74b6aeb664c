"""Roles of the store's own: what they give, where they may be given, and who may make them."""

from typing import Any

import pytest

from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.registry import CustomRole
from kvstack.vault.service import VaultService
from tests.vault.service.world import World

VAULT = "payments-dev"
LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
ALL_OF_SECRETS = "Microsoft.KeyVault/vaults/secrets/*"


def define(world: World, caller: Caller | None = None, **more: Any) -> CustomRole:
    arguments: dict[str, Any] = {"assignable_scopes": [world.scope()], "data_actions": [LIST], **more}
    name = arguments.pop("name", "Secret Lister")
    return world.service.put_role_definition(caller or world.operator, name, **arguments)


def give(world: World, role: str, principal: Caller, at: Scope) -> None:
    world.service.create_role_assignment(
        world.operator, at, role=role, principal_id=principal.id, principal_type="user"
    )


def test_a_role_gives_what_it_says_and_subtracts_what_it_says(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    define(dev, data_actions=[ALL_OF_SECRETS], not_data_actions=[ALL_OF_SECRETS.replace("*", "getSecret/action")])
    caller = dev.person()
    give(dev, "secret lister", caller, dev.scope(VAULT))
    dev.service.list_secrets(caller, VAULT)
    dev.service.set_secret(caller, VAULT, "s", SecretValue("w"))
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")


def test_a_changed_definition_counts_at_once_and_for_other_processes(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    role = define(dev)
    caller = dev.person()
    give(dev, role.id, caller, dev.scope(VAULT))
    other = VaultService(dev.unlocked)
    for service in (dev.service, other):
        service.list_secrets(caller, VAULT)
        with pytest.raises(Forbidden):
            service.get_secret(caller, VAULT, "s")
    changed = define(dev, id=role.id, data_actions=[LIST, ALL_OF_SECRETS.replace("*", "getSecret/action")])
    assert changed.created == role.created
    for service in (dev.service, other):
        service.get_secret(caller, VAULT, "s")


def test_a_role_is_given_only_at_the_scopes_it_may_be_given_at(dev: World) -> None:
    define(dev, assignable_scopes=[dev.scope(VAULT)])
    caller = dev.person()
    give(dev, "Secret Lister", caller, dev.scope(VAULT, "secrets/s"))
    for wider in (dev.scope(), Scope(dev.scope().subscription, dev.scope(VAULT).resource_group), dev.scope("other")):
        with pytest.raises(BadParameter, match="may not be given at"):
            give(dev, "Secret Lister", caller, wider)


def test_scopes_are_not_taken_from_under_an_assignment_nor_a_role_from_who_has_it(dev: World) -> None:
    role = define(dev)
    give(dev, role.id, dev.person(), dev.scope())
    with pytest.raises(Conflict, match="would no longer be among its scopes"):
        define(dev, id=role.id, assignable_scopes=[dev.scope(VAULT)])
    with pytest.raises(Conflict, match="is given to somebody"):
        dev.service.delete_role_definition(dev.operator, role.id)
    (given,) = (one for one in dev.service.list_role_assignments(dev.operator) if one.role_id == role.id)
    dev.service.delete_role_assignment(dev.operator, given.id)
    dev.service.delete_role_definition(dev.operator, role.id)
    assert dev.service.list_role_definitions(dev.operator) == ()
    with pytest.raises(NotFound):
        dev.service.delete_role_definition(dev.operator, role.id)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "name: a role's name has 1-128 characters"),
        ({"name": "x" * 129}, "name: a role's name has 1-128 characters"),
        ({"data_actions": []}, "a role that allows nothing"),
        ({"data_actions": ["Microsoft.KeyVault/vaults/secrets/getSecrets/action"]}, "did you mean"),
        ({"data_actions": ["read everything"]}, "`read everything` is no action"),
        ({"not_data_actions": ["x/y"]}, "no action on data is like `x/y`"),
        ({"assignable_scopes": []}, "has to say where it may be given"),
        ({"id": "not-a-guid"}, "no role definition's id"),
        ({"id": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"}, "is a built-in role"),
        ({"description": "x" * 1025}, "at most 1024 characters"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(dev: World, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter) as raised:
        define(dev, **more)
    assert words in str(raised.value)
    assert dev.service.list_role_definitions(dev.operator) == ()


def test_a_scope_of_another_subscription_or_of_one_thing_is_refused(dev: World) -> None:
    with pytest.raises(BadParameter, match="a vault is the narrowest scope"):
        define(dev, assignable_scopes=[dev.scope(VAULT, "secrets/s")])
    # Nobody has rights there: it is a denial, not a word about what there is.
    with pytest.raises(Forbidden):
        define(dev, assignable_scopes=[Scope("00000000-0000-4000-8000-000000000001")])


@pytest.mark.parametrize("taken", ["Secret Lister", "SECRET LISTER", "Key Vault Reader"])
def test_no_two_roles_have_one_name(dev: World, taken: str) -> None:
    define(dev)
    with pytest.raises(Conflict, match="there is a role"):
        define(dev, name=taken)


def test_a_new_one_changes_none_that_is_there(dev: World) -> None:
    role = define(dev)
    with pytest.raises(Conflict, match="there is a role definition"):
        define(dev, id=role.id, name="other", new=True)
    assert dev.service.list_role_definitions(dev.operator) == (role,)


def test_who_may_not_define_roles_at_every_scope_of_one_may_neither_make_nor_change_it(dev: World) -> None:
    local = dev.person("Owner", at=dev.scope(VAULT))
    define(dev, local, assignable_scopes=[dev.scope(VAULT)], name="Local")
    with pytest.raises(Forbidden):
        define(dev, local, assignable_scopes=[dev.scope(VAULT), dev.scope()])
    wide = define(dev)
    with pytest.raises(Forbidden):
        define(dev, local, id=wide.id, assignable_scopes=[dev.scope(VAULT)], data_actions=[ALL_OF_SECRETS])
    with pytest.raises(Forbidden):
        dev.service.delete_role_definition(local, wide.id)
    for role in ("Contributor", "Key Vault Administrator", "Key Vault Data Access Administrator"):
        with pytest.raises(Forbidden):
            define(dev, dev.person(role), name=f"by {role}")


def test_who_hands_out_only_some_roles_does_not_hand_out_a_custom_one(dev: World) -> None:
    role = define(dev, data_actions=[ALL_OF_SECRETS])
    keeper = dev.person("Key Vault Data Access Administrator")
    with pytest.raises(Forbidden, match="may hand out only"):
        dev.service.create_role_assignment(
            keeper, dev.scope(VAULT), role=role.id, principal_id=keeper.id, principal_type="user"
        )
