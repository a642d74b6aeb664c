"""Deny assignments: they go before every role, and whoever may take them away can always do so."""

from typing import Any

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.service import VaultService
from tests.vault.service.world import World

VAULT = "payments-dev"
SECRETS = "Microsoft.KeyVault/vaults/secrets/*"
GROUP = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"


@pytest.fixture
def stocked(dev: World) -> World:
    for name in ("a", "b"):
        dev.service.set_secret(dev.operator, VAULT, name, SecretValue("v"))
    return dev


def deny(world: World, **more: Any) -> str:
    arguments: dict[str, Any] = {"data_actions": [GET], **more}
    scope = arguments.pop("scope", world.scope(VAULT))
    return world.service.create_deny_assignment(
        world.operator, scope, arguments.pop("name", "no reading"), **arguments
    ).id


def reads(world: World, caller: Caller, name: str = "a") -> bool:
    try:
        VaultService(world.unlocked).get_secret(caller, VAULT, name)
    except Forbidden:
        return False
    return True


def test_it_stops_everybody_the_operator_too_until_it_is_taken_away(stocked: World) -> None:
    assert reads(stocked, stocked.operator)
    made = deny(stocked)
    assert not reads(stocked, stocked.operator)
    with pytest.raises(Forbidden, match="may not do"):
        stocked.service.get_secret(stocked.operator, VAULT, "a")
    stocked.service.set_secret(stocked.operator, VAULT, "a", SecretValue("w"))
    stocked.service.delete_deny_assignment(stocked.operator, made)
    assert reads(stocked, stocked.operator)


def test_it_spares_whom_it_excludes_through_groups_as_well(stocked: World) -> None:
    alice, bob = (stocked.person("Key Vault Administrator") for _ in range(2))
    stocked.service.put_principal(stocked.operator, Principal(GROUP, "group", "on-call", frozenset({alice.id})))
    deny(stocked, excluded=[GROUP])
    assert (reads(stocked, alice), reads(stocked, bob)) == (True, False)


def test_it_names_whom_it_stops_through_groups_as_well(stocked: World) -> None:
    alice, bob = (stocked.person("Key Vault Administrator") for _ in range(2))
    group = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
    stocked.service.put_principal(stocked.operator, Principal(group, "group", "trainees", frozenset({alice.id})))
    deny(stocked, principals=[group])
    assert (reads(stocked, alice), reads(stocked, bob)) == (False, True)


@pytest.mark.parametrize(("below", "expected"), [(True, False), (False, True)])
def test_it_holds_below_its_scope_unless_it_says_otherwise(stocked: World, below: bool, expected: bool) -> None:
    deny(stocked, below=below)
    assert reads(stocked, stocked.operator) is expected


def test_it_holds_where_it_stands_and_not_beside_it(stocked: World) -> None:
    deny(stocked, scope=stocked.scope(VAULT, "secrets/A"))
    assert (reads(stocked, stocked.operator, "a"), reads(stocked, stocked.operator, "b")) == (False, True)


def test_what_it_leaves_out_is_not_denied(stocked: World) -> None:
    deny(stocked, data_actions=[SECRETS], not_data_actions=[GET])
    assert reads(stocked, stocked.operator)
    with pytest.raises(Forbidden):
        stocked.service.set_secret(stocked.operator, VAULT, "a", SecretValue("w"))


def test_a_denial_of_everything_can_be_taken_away(stocked: World) -> None:
    made = deny(stocked, scope=stocked.scope(), actions=["*"], data_actions=["*"])
    assert stocked.service.list_role_assignments(stocked.operator, stocked.scope()) == ()
    assert [one.id for one in stocked.service.list_deny_assignments(stocked.operator)] == [made]
    stocked.service.delete_deny_assignment(stocked.operator, made)
    assert reads(stocked, stocked.operator)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data_actions": []}, "a deny assignment that forbids nothing"),
        ({"principals": []}, "nobody is denied"),
        ({"principals": ["alice"]}, "`alice` is no principal's id"),
        ({"excluded": ["bob"]}, "`bob` is no principal's id"),
        ({"data_actions": ["x/y"]}, "no action on data is like"),
        ({"id": "x"}, "no deny assignment's id"),
    ],
)
def test_a_denial_that_makes_no_sense_is_refused(dev: World, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter) as raised:
        deny(dev, **more)
    assert words in str(raised.value)


def test_only_who_may_manages_denials(stocked: World) -> None:
    made = deny(stocked)
    for role in ("Contributor", "Key Vault Administrator", "Key Vault Data Access Administrator"):
        caller = stocked.person(role)
        with pytest.raises(Forbidden):
            stocked.service.create_deny_assignment(caller, stocked.scope(), "mine", data_actions=[GET])
        with pytest.raises(Forbidden):
            stocked.service.delete_deny_assignment(caller, made)
    for more in ({}, {"id": GROUP}, {"name": "NO Reading"}):
        with pytest.raises(Conflict, match="there is a deny assignment `no reading`"):
            deny(stocked, **more)
    with pytest.raises(NotFound):
        stocked.service.delete_deny_assignment(stocked.operator, "00000000-0000-4000-8000-000000000001")


def test_it_goes_with_the_vault_it_stands_at(stocked: World) -> None:
    deny(stocked)
    stocked.service.delete_vault(stocked.operator, VAULT)
    assert stocked.service.list_deny_assignments(stocked.operator) == ()
