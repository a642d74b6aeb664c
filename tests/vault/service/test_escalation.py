"""Ways to more than one was given, tried: each is refused, and gives no right by the way."""

from collections.abc import Callable

import pytest

from kvstack.terms.principal import Principal
from kvstack.terms.role import role
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Forbidden, NotFound, VaultError
from tests.vault.service.giving import GET, VAULT, give, reads
from tests.vault.service.world import World

GROUP = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"

# Giving oneself a role

NEVER_GIVE = sorted(
    {
        "Contributor",
        "Reader",
        "Key Vault Administrator",
        "Key Vault Certificates Officer",
        "Key Vault Certificate User",
        "Key Vault Contributor",
        "Key Vault Crypto Officer",
        "Key Vault Crypto Service Encryption User",
        "Key Vault Crypto Service Release User",
        "Key Vault Crypto User",
        "Key Vault Purge Operator",
        "Key Vault Reader",
        "Key Vault Secrets Officer",
        "Key Vault Secrets User",
        "Managed HSM contributor",
    }
)


@pytest.mark.parametrize("held", NEVER_GIVE)
def test_who_does_not_give_roles_gives_himself_none_by_no_way(stocked: World, held: str) -> None:
    mallory, service = stocked.person(held), stocked.service
    before = service.list_role_assignments(stocked.operator)
    mine = role(held).id
    (own,) = [one for one in before if one.principal_id == mallory.id]
    tries: dict[str, Callable[[], object]] = {
        "a role": lambda: give(stocked, mallory, "Owner", mallory),
        "the same wider": lambda: give(stocked, mallory, held, mallory, stocked.scope()),
        "through a group": lambda: service.put_principal(
            mallory, Principal(GROUP, "group", "admins", frozenset({mallory.id}))
        ),
        "eligible": lambda: service.put_eligible_assignment(
            mallory, stocked.scope(VAULT), role="Owner", principal_id=mallory.id, principal_type="user"
        ),
        "defined": lambda: service.put_role_definition(
            mallory, "Mine", assignable_scopes=[stocked.scope(VAULT)], data_actions=[GET]
        ),
        "a built-in widened": lambda: service.put_role_definition(
            mallory, held, id=mine, assignable_scopes=[stocked.scope()], actions=["*"]
        ),
        "somebody denied": lambda: service.create_deny_assignment(
            mallory, stocked.scope(), "no", excluded=[mallory.id], data_actions=[GET]
        ),
        "somebody's taken": lambda: service.delete_role_assignment(
            mallory, next(one.id for one in before if one.principal_id == stocked.operator.id)
        ),
        "his own anew": lambda: service.delete_role_assignment(mallory, own.id),
        "the clock": lambda: service.confirm_clock(mallory, "it is right"),
    }
    for way, attempt in tries.items():
        with pytest.raises(VaultError) as refused:
            attempt()
        assert refused.value.status in (400, 403), way
    assert service.list_role_assignments(stocked.operator) == before
    assert service.list_eligible_assignments(stocked.operator) == ()
    assert service.list_deny_assignments(stocked.operator) == ()
    assert service.list_role_definitions(stocked.operator) == ()


@pytest.mark.parametrize("held", ["User Access Administrator", "Role Based Access Control Administrator"])
def test_managing_access_reads_no_value_until_it_was_given_where_the_audit_tells(stocked: World, held: str) -> None:
    manager = stocked.person(held)
    assert not reads(stocked, manager)
    given_id = give(stocked, manager, "Key Vault Secrets User", manager)
    (newest,) = stocked.unlocked.audit.records(newest_first=True, limit=1)
    assert (newest.operation, newest.caller, newest.details["principal"], newest.details["assignment"]) == (
        "RoleAssignmentPut",
        manager.id,
        manager.id,
        given_id,
    )
    assert reads(stocked, manager)


# Roles that may hand out some

MAY_HAND_OUT = {
    "Key Vault Administrator",
    "Key Vault Certificates Officer",
    "Key Vault Crypto Officer",
    "Key Vault Crypto Service Encryption User",
    "Key Vault Crypto User",
    "Key Vault Reader",
    "Key Vault Secrets Officer",
    "Key Vault Secrets User",
}


@pytest.mark.parametrize("wanted", [*NEVER_GIVE, "Owner", "User Access Administrator"])
def test_a_data_access_administrator_hands_out_the_listed_roles_to_himself_too_and_no_others(
    stocked: World, wanted: str
) -> None:
    keeper = stocked.person("Key Vault Data Access Administrator")
    theirs = give(stocked, stocked.operator, wanted, stocked.person())
    attempts: tuple[Callable[[], object], ...] = (
        lambda: give(stocked, keeper, wanted, keeper),
        lambda: stocked.service.put_eligible_assignment(
            keeper, stocked.scope(VAULT), role=wanted, principal_id=keeper.id, principal_type="user"
        ),
        lambda: stocked.service.delete_role_assignment(keeper, theirs),
    )
    for attempt in attempts:
        if wanted in MAY_HAND_OUT:
            attempt()
        else:
            with pytest.raises(Forbidden, match="may not give or take the role"):
                attempt()


def test_two_limited_rights_are_no_unlimited_one_and_an_unlimited_one_beside_is(stocked: World) -> None:
    keeper = stocked.person("Key Vault Data Access Administrator")
    give(stocked, stocked.operator, "Key Vault Data Access Administrator", keeper)
    with pytest.raises(Forbidden, match="may not give or take"):
        give(stocked, keeper, "Owner", keeper)
    give(stocked, stocked.operator, "Role Based Access Control Administrator", keeper, stocked.scope(VAULT, "keys/k"))
    with pytest.raises(Forbidden, match="may not give or take"):
        give(stocked, keeper, "Owner", keeper)
    give(stocked, keeper, "Owner", keeper, stocked.scope(VAULT, "keys/k"))


# Roles of one's own


def test_a_custom_role_is_not_taken_beyond_its_scopes_by_case_nor_by_eligibility(stocked: World) -> None:
    made = stocked.service.put_role_definition(
        stocked.operator, "Narrow", assignable_scopes=[stocked.scope(VAULT)], data_actions=[GET]
    )
    manager = stocked.person("Owner")
    give(stocked, manager, "NARROW", manager, stocked.scope(VAULT.upper()))
    for wider in (stocked.scope(), stocked.scope(f"{VAULT}2"), stocked.scope("other", "secrets/s")):
        with pytest.raises(BadParameter, match="may not be given at"):
            give(stocked, manager, made.id, manager, wider)
        with pytest.raises(BadParameter, match="may not be given at"):
            stocked.service.put_eligible_assignment(
                manager, wider, role="narrow", principal_id=manager.id, principal_type="user"
            )


@pytest.mark.parametrize("held", ["Key Vault Secrets User", "Contributor", "Key Vault Data Access Administrator"])
def test_a_custom_role_one_holds_is_not_widened_without_the_right_to_define(stocked: World, held: str) -> None:
    made = stocked.service.put_role_definition(
        stocked.operator, "Lister", assignable_scopes=[stocked.scope(VAULT)], data_actions=[LIST]
    )
    mallory = stocked.person(held)
    give(stocked, stocked.operator, "Lister", mallory)
    before = reads(stocked, mallory)
    elsewhere = stocked.person("Owner", at=Scope(stocked.scope().subscription, "elsewhere"))
    for who in (mallory, elsewhere):
        for scopes in ([stocked.scope(VAULT)], [Scope(stocked.scope().subscription, "elsewhere")], []):
            with pytest.raises(VaultError):
                stocked.service.put_role_definition(
                    who, "Lister", id=made.id, assignable_scopes=scopes, data_actions=[LIST, GET]
                )
    assert stocked.service.list_role_definitions(stocked.operator) == (made,)
    assert reads(stocked, mallory) is before


# Denials, owners


def test_a_denial_of_giving_roles_stops_whoever_may_give_them_by_every_way(stocked: World) -> None:
    service, manager = stocked.service, stocked.person("Owner")
    theirs = give(stocked, stocked.operator, "Key Vault Reader", stocked.person())
    service.create_deny_assignment(
        stocked.operator, stocked.scope(), "frozen", actions=["Microsoft.Authorization/role*"]
    )
    attempts: tuple[Callable[[], object], ...] = (
        lambda: give(stocked, manager, "Key Vault Reader", manager),
        lambda: service.delete_role_assignment(manager, theirs),
        lambda: service.put_eligible_assignment(
            manager, stocked.scope(VAULT), role="Owner", principal_id=manager.id, principal_type="user"
        ),
        lambda: service.put_role_definition(
            manager, "Mine", assignable_scopes=[stocked.scope(VAULT)], data_actions=[GET]
        ),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden):
            attempt()


def test_the_operator_s_rights_go_as_long_as_one_owner_stays_and_then_he_has_none(stocked: World) -> None:
    service, operator, other = stocked.service, stocked.operator, stocked.person("Owner")
    own = [one for one in service.list_role_assignments(operator) if one.principal_id == operator.id]
    for one in own:
        service.delete_role_assignment(other, one.id)
    assert not reads(stocked, operator)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: give(stocked, operator, "Owner", operator),
        lambda: service.create_vault(operator, "mine"),
        lambda: service.delete_vault(operator, VAULT),
        lambda: service.confirm_clock(operator, "x"),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden, match="denied"):
            attempt()
    (last,) = [one for one in service.list_role_assignments(other) if one.principal_id == other.id]
    with pytest.raises(Forbidden, match="last Owner"):
        service.delete_role_assignment(other, last.id)
    give(stocked, other, "Key Vault Secrets User", operator)
    assert reads(stocked, operator)


def test_a_vault_made_anew_knows_nothing_of_what_its_namesake_gave(stocked: World) -> None:
    service, operator, alice, bob = stocked.service, stocked.operator, stocked.person(), stocked.person()
    give(stocked, operator, "Key Vault Secrets Officer", alice)
    give(stocked, operator, "Key Vault Secrets User", alice, stocked.scope(VAULT, "secrets/db-password"))
    eligible = service.put_eligible_assignment(
        operator,
        stocked.scope(VAULT),
        role="Key Vault Secrets User",
        principal_id=alice.id,
        principal_type="user",
        approvers=[bob.id],
    )
    asked = service.activate_role(alice, eligible.id, justification="x")
    service.create_deny_assignment(operator, stocked.scope(VAULT), "no", excluded=[alice.id], data_actions=[GET])
    service.delete_vault(operator, VAULT)
    with pytest.raises(NotFound):
        give(stocked, operator, "Key Vault Secrets Officer", alice)
    service.purge_vault(operator, VAULT)
    service.create_vault(operator, VAULT.upper())
    service.set_secret(operator, VAULT, "db-password", SecretValue("new"))
    assert not reads(stocked, alice)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: service.decide_activation(bob, asked.id, approve=True),
        lambda: service.activate_role(alice, eligible.id, justification="x"),
    )
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert reads(stocked, operator)  # nor of what it denied
