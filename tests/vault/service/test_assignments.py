"""Role assignments: who may hand out what, where; and principals in groups."""

from datetime import timedelta
from typing import Any

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.role import role
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.assignments import assignment_id
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from tests.vault.service.world import START, World

VAULT = "payments-dev"
SOMEBODY = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"


def give(world: World, caller: Caller, role_name: str, at: Scope, **more: Any) -> Any:
    arguments = {"principal_id": SOMEBODY, "principal_type": "user", **more}
    return world.service.create_role_assignment(caller, at, role=role_name, **arguments)


def test_the_operator_is_owner_and_administrator_from_the_start(world: World) -> None:
    given = world.service.list_role_assignments(world.operator)
    assert {(one.role_id, one.principal_id, one.scope) for one in given} == {
        (role(name).id, world.operator.id, world.scope()) for name in ("Owner", "Key Vault Administrator")
    }
    assert world.service.list_principals(world.operator) == (Principal(world.operator.id, "user", "operator"),)


def test_a_role_counts_from_when_it_is_given_until_it_is_taken(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    caller = dev.person()
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")
    given = give(dev, dev.operator, "Key Vault Secrets User", dev.scope(VAULT), principal_id=caller.id)
    assert dev.service.get_role_assignment(dev.operator, given.id.upper()) == given
    dev.service.get_secret(caller, VAULT, "s")
    dev.service.delete_role_assignment(dev.operator, given.id)
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")
    with pytest.raises(NotFound):
        dev.service.get_role_assignment(dev.operator, given.id)


def test_a_bounded_role_counts_between_its_bounds(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    caller = dev.person()
    bounds = {"starts": START + timedelta(days=1), "expires": START + timedelta(days=2)}
    give(dev, dev.operator, "Key Vault Secrets User", dev.scope(VAULT), principal_id=caller.id, **bounds)
    for allowed in (False, True, False):
        if allowed:
            dev.service.get_secret(caller, VAULT, "s")
        else:
            with pytest.raises(Forbidden):
                dev.service.get_secret(caller, VAULT, "s")
        dev.clock.advance(timedelta(days=1))


def test_the_same_role_again_is_a_conflict_and_its_id_follows_from_what_it_is(dev: World) -> None:
    first = give(dev, dev.operator, "Key Vault Reader", dev.scope(VAULT))
    assert first.id == assignment_id(dev.scope(VAULT.upper()), role("Key Vault Reader").id.upper(), SOMEBODY.upper())
    for other in (dev.scope(VAULT.upper()), dev.scope(VAULT)):
        with pytest.raises(Conflict) as refused:
            give(dev, dev.operator, role("Key Vault Reader").id, other, principal_id=SOMEBODY.upper())
        assert (refused.value.status, refused.value.code) == (409, "RoleAssignmentExists")
    with pytest.raises(Conflict, match="of another scope"):
        give(dev, dev.operator, "Key Vault Administrator", dev.scope(VAULT), id=first.id)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"role_name": "Key Vault Secret User"}, BadParameter, "did you mean `Key Vault Secrets User`"),
        ({"principal_id": "alice"}, BadParameter, "a GUID is"),
        ({"principal_type": "robot"}, BadParameter, "no type of principal"),
        ({"id": "mine"}, BadParameter, "a GUID is"),
        ({"starts": START, "expires": START}, BadParameter, "ends before it starts"),
        ({"at": ("no-vault", "")}, NotFound, "no vault `no-vault`"),
        ({"at": ("no-vault", "keys/k")}, NotFound, "no vault `no-vault`"),
    ],
)
def test_what_cannot_be_given_is_refused(
    dev: World, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    at = dev.scope(*arguments.pop("at", (VAULT, "")))
    with pytest.raises(error, match=words):
        give(dev, dev.operator, arguments.pop("role_name", "Key Vault Reader"), at, **arguments)


def test_a_role_can_be_given_for_an_item_that_is_not_there_yet(dev: World) -> None:
    caller = dev.person("Key Vault Secrets Officer", at=dev.scope(VAULT, "secrets/later"))
    dev.service.set_secret(caller, VAULT, "LATER", SecretValue("v"))
    with pytest.raises(Forbidden):
        dev.service.set_secret(caller, VAULT, "other", SecretValue("v"))


def test_a_scope_in_the_wrong_group_or_subscription_is_not_there(dev: World) -> None:
    settings = dev.unlocked.settings
    with pytest.raises(NotFound, match="It is in `local`"):
        give(dev, dev.operator, "Reader", Scope(settings.subscription_id, "elsewhere", VAULT))
    with pytest.raises(Forbidden):
        give(dev, dev.operator, "Reader", Scope(SOMEBODY))


@pytest.mark.parametrize("role_name", ["Owner", "User Access Administrator", "Role Based Access Control Administrator"])
def test_who_manages_access_gives_any_role_at_his_scope_and_below(dev: World, role_name: str) -> None:
    manager = dev.person(role_name, at=dev.scope(VAULT))
    given = give(dev, manager, "Owner", dev.scope(VAULT, "keys/k"))
    with pytest.raises(Forbidden):
        give(dev, manager, "Owner", dev.scope())
    dev.service.delete_role_assignment(manager, given.id)


def test_a_data_access_administrator_hands_out_data_roles_only(dev: World) -> None:
    manager = dev.person("Key Vault Data Access Administrator")
    given = give(dev, manager, "Key Vault Secrets User", dev.scope(VAULT))
    for role_name in ("Owner", "Contributor", "Key Vault Data Access Administrator", "Key Vault Contributor"):
        with pytest.raises(Forbidden, match="may not give or take"):
            give(dev, manager, role_name, dev.scope(VAULT))
    owner = next(one for one in dev.service.list_role_assignments(dev.operator) if one.role_id == role("Owner").id)
    with pytest.raises(Forbidden, match="may not give or take"):
        dev.service.delete_role_assignment(manager, owner.id)
    dev.service.delete_role_assignment(manager, given.id)


@pytest.mark.parametrize("role_name", ["Contributor", "Reader", "Key Vault Administrator", "Key Vault Contributor"])
def test_who_does_not_manage_access_gives_nothing(dev: World, role_name: str) -> None:
    with pytest.raises(Forbidden):
        give(dev, dev.person(role_name), "Key Vault Reader", dev.scope(VAULT))


def test_the_last_lasting_owner_of_the_subscription_stays(dev: World) -> None:
    (owner,) = [one for one in dev.service.list_role_assignments(dev.operator) if one.role_id == role("Owner").id]
    dev.person("Owner", at=dev.scope(VAULT))
    give(dev, dev.operator, "Owner", dev.scope(), expires=START + timedelta(days=1))
    with pytest.raises(Forbidden, match="the last Owner"):
        dev.service.delete_role_assignment(dev.operator, owner.id)
    dev.person("Owner")
    dev.service.delete_role_assignment(dev.operator, owner.id)


def test_assignments_are_listed_by_scope(dev: World) -> None:
    top, vault, item = dev.scope(), dev.scope(VAULT), dev.scope(VAULT, "keys/k")
    reader = dev.person("Key Vault Reader", at=vault)
    user = dev.person("Key Vault Crypto User", at=item)
    operator = dev.operator.id

    def principals(scope: Scope | None, caller: Caller = dev.operator, **more: Any) -> set[str]:
        return {one.principal_id for one in dev.service.list_role_assignments(caller, scope, **more)}

    assert principals(None) == {operator, reader.id, user.id}
    assert principals(top, below=False) == {operator}
    assert principals(vault, above=False, below=False) == {reader.id}
    assert principals(vault, below=False) == {operator, reader.id}
    assert principals(vault, above=False) == {reader.id, user.id}
    assert principals(item) == {operator, reader.id, user.id}
    assert principals(None, reader) == {reader.id, user.id}  # what is at and below his vault
    assert principals(None, user) == set()


def test_members_of_groups_in_groups_have_the_groups_roles_and_loops_do_no_harm(dev: World) -> None:
    outer, inner = "00000000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-0000000000a2"
    caller = dev.person()
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    give(dev, dev.operator, "Key Vault Secrets User", dev.scope(VAULT), principal_id=outer, principal_type="group")
    dev.service.put_principal(dev.operator, Principal(outer, "group", "outer", frozenset({inner})))
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")
    dev.service.put_principal(dev.operator, Principal(inner, "group", "inner", frozenset({caller.id, outer})))
    dev.service.get_secret(caller, VAULT, "s")
    # A group told by the caller's own token counts, too, with the groups that one is in.
    dev.service.get_secret(Caller(SOMEBODY, groups=frozenset({inner})), VAULT, "s")
    dev.service.put_principal(dev.operator, Principal(inner, "group", "inner"))
    with pytest.raises(Forbidden):
        dev.service.get_secret(caller, VAULT, "s")


@pytest.mark.parametrize("role_name", ["Contributor", "Key Vault Data Access Administrator", "Key Vault Administrator"])
def test_who_may_not_manage_access_puts_nobody_into_a_group(dev: World, role_name: str) -> None:
    caller = dev.person(role_name)
    with pytest.raises(Forbidden):
        dev.service.put_principal(caller, Principal(SOMEBODY, "group", "admins", frozenset({caller.id})))


def test_principals_are_checked_and_known_by_id(dev: World) -> None:
    with pytest.raises(BadParameter, match="a GUID is"):
        dev.service.put_principal(dev.operator, Principal("alice", "user"))
    with pytest.raises(BadParameter, match="has no members"):
        dev.service.put_principal(dev.operator, Principal(SOMEBODY, "user", "alice", frozenset({SOMEBODY})))
    dev.service.put_principal(dev.operator, Principal(SOMEBODY.upper(), "user", "alice"))
    assert dev.service.caller(SOMEBODY.upper()) == Caller(SOMEBODY, "alice")
    with pytest.raises(NotFound):
        dev.service.caller("00000000-0000-4000-8000-0000000000ff")


def test_a_denial_says_which_role_would_do_to_who_may_know_and_nothing_to_others(dev: World) -> None:
    knowing = dev.person("Key Vault Reader", name="ann")
    with pytest.raises(Forbidden) as refused:
        dev.service.get_secret(knowing, VAULT, "s")
    text = str(refused.value)
    assert refused.value.inner == "ForbiddenByRbac"
    for word in ("`ann`", "secrets/getSecret/action", f"vaults/{VAULT}/secrets/s", "`Key Vault Secrets User`"):
        assert word in text
    with pytest.raises(Forbidden) as refused:
        dev.service.get_secret(dev.person(), VAULT, "s")
    assert str(refused.value) == "denied"


ON_DATABASES = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"


def test_a_condition_narrows_what_a_role_gives_in_whatever_case_a_name_is_asked_for(dev: World) -> None:
    for name in ("DB-password", "api-token"):
        dev.service.set_secret(dev.operator, VAULT, name, SecretValue("v"))
    caller = dev.person()
    given = give(
        dev,
        dev.operator,
        "Key Vault Secrets Officer",
        dev.scope(VAULT),
        principal_id=caller.id,
        condition=ON_DATABASES,
    )
    assert dev.service.get_role_assignment(dev.operator, given.id).condition == ON_DATABASES
    for spelling in ("db-password", "DB-PASSWORD"):
        dev.service.get_secret(caller, VAULT, spelling)
    dev.service.set_secret(caller, VAULT, "db-new", SecretValue("v"))
    for refused in ("api-token", "API-token", "nothing-here"):
        with pytest.raises(Forbidden):
            dev.service.get_secret(caller, VAULT, refused)
    with pytest.raises(Forbidden):
        dev.service.list_secrets(caller, VAULT)


def test_a_condition_that_cannot_be_read_is_refused_with_the_place(dev: World) -> None:
    before = dev.service.list_role_assignments(dev.operator)
    with pytest.raises(BadParameter, match="condition: character 51: `StringLik` stands where an operator belongs"):
        give(dev, dev.operator, "Key Vault Reader", dev.scope(), condition=ON_DATABASES.replace("Like", "Lik"))
    assert dev.service.list_role_assignments(dev.operator) == before


def test_a_conditional_owner_is_no_last_owner(dev: World) -> None:
    give(dev, dev.operator, "Owner", dev.scope(), condition=ON_DATABASES)
    own = next(
        one
        for one in dev.service.list_role_assignments(dev.operator)
        if one.principal_id == dev.operator.id and one.role_id == role("Owner").id
    )
    with pytest.raises(Forbidden, match="last Owner"):
        dev.service.delete_role_assignment(dev.operator, own.id)


def test_assignments_are_listed_by_principal_and_by_what_holds_now(dev: World) -> None:
    alice = dev.person("Key Vault Reader", at=dev.scope(VAULT))
    group = dev.person("Key Vault Crypto User", at=dev.scope(VAULT))
    dev.service.put_principal(dev.operator, Principal(id=group.id, type="group", members=frozenset({alice.id})))

    def principals(**more: Any) -> set[str]:
        found = dev.service.list_role_assignments(dev.operator, dev.scope(VAULT), **more)
        return {one.principal_id for one in found}

    assert principals(principal_id=alice.id.upper()) == {alice.id}
    assert principals(principal_id=alice.id, with_groups=True) == {alice.id, group.id}
    late = dev.person()
    dev.service.create_role_assignment(
        dev.operator,
        dev.scope(VAULT),
        role="Key Vault Reader",
        principal_id=late.id,
        principal_type="user",
        starts=dev.clock.now() + timedelta(days=1),
    )
    assert late.id in principals()
    assert late.id not in principals(in_force=True)


def test_an_assignment_is_found_at_its_own_scope_only(dev: World) -> None:
    alice = dev.person("Key Vault Reader", at=dev.scope(VAULT))
    (given,) = dev.service.list_role_assignments(dev.operator, principal_id=alice.id)
    assert dev.service.get_role_assignment(dev.operator, given.id, scope=dev.scope(VAULT.upper())) == given
    with pytest.raises(NotFound):
        dev.service.get_role_assignment(dev.operator, given.id, scope=dev.scope())
    with pytest.raises(NotFound):
        dev.service.delete_role_assignment(dev.operator, given.id, scope=dev.scope(VAULT, "keys/k"))
    assert dev.service.delete_role_assignment(dev.operator, given.id, scope=dev.scope(VAULT)) == given
