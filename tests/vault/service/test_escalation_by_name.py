"""Ways around a right by time and by name, tried: clocks set back, other spellings, names that look like conditions."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.service import VaultService
from tests.vault.service.giving import GET, VAULT, give, reads
from tests.vault.service.world import START, World

HOUR = timedelta(hours=1)

# Time


def test_a_right_to_give_roles_that_has_ended_stays_ended_when_the_clock_is_set_back(stocked: World) -> None:
    manager = stocked.person()
    give(stocked, stocked.operator, "Owner", manager, stocked.scope(), expires=START + HOUR)
    give(stocked, stocked.operator, "Key Vault Secrets User", manager, expires=START + HOUR)
    assert reads(stocked, manager)
    stocked.clock.advance(2 * HOUR)
    stocked.service.set_secret(stocked.operator, VAULT, "heartbeat", SecretValue("v"))
    stocked.clock.advance(-2 * HOUR + timedelta(minutes=1))
    assert not reads(stocked, manager)
    with pytest.raises(Forbidden):
        give(stocked, manager, "Owner", manager)
    with pytest.raises(Forbidden):
        stocked.service.put_eligible_assignment(
            manager, stocked.scope(VAULT), role="Owner", principal_id=manager.id, principal_type="user"
        )
    told = stocked.service.explain_access(stocked.operator, manager.id, GET, stocked.scope(VAULT))
    assert (told.allowed, [one.why for one in told.missed]) == (False, ["ended"])
    assert manager.id not in {who for who, _ in stocked.service.who_can(stocked.operator, GET, stocked.scope(VAULT))}
    # Another process that opens the same store knows it, too.
    with pytest.raises(Forbidden):
        VaultService(stocked.unlocked).get_secret(manager, VAULT, "db-password")


def test_an_activation_is_not_taken_before_its_start_by_a_clock_that_was_right_later(stocked: World) -> None:
    alice = stocked.person()
    made = stocked.service.put_eligible_assignment(
        stocked.operator,
        stocked.scope(VAULT),
        role="Key Vault Secrets User",
        principal_id=alice.id,
        principal_type="user",
        starts=START + HOUR,
        expires=START + 2 * HOUR,
    )
    for step in (timedelta(0), 3 * HOUR, -2 * HOUR + timedelta(minutes=1), -HOUR):
        stocked.clock.advance(step)
        with pytest.raises(Forbidden, match="cannot be activated"):
            stocked.service.activate_role(alice, made.id, justification="x")
        stocked.service.set_secret(stocked.operator, VAULT, "heartbeat", SecretValue("v"))
    assert not reads(stocked, alice)


# Names


@pytest.mark.parametrize("vault", [VAULT.upper(), "Payments-Dev"])
@pytest.mark.parametrize("name", ["DB-PASSWORD", "Db-Password"])
def test_another_spelling_of_a_name_is_neither_more_nor_less_than_the_name(
    stocked: World, vault: str, name: str
) -> None:
    holder, other = stocked.person(), stocked.person("Key Vault Secrets User")
    give(stocked, stocked.operator, "key vault SECRETS user", holder, stocked.scope(vault, f"SECRETS/{name}"))
    stocked.service.create_deny_assignment(
        stocked.operator,
        stocked.scope(vault, f"Secrets/{name}"),
        "no",
        principals=[other.id.upper()],
        data_actions=["*"],
    )
    for spelled in ("db-password", "DB-Password"):
        assert reads(stocked, holder, spelled)
        assert not reads(stocked, other, spelled, VAULT.title())
    assert not reads(stocked, holder, "api-token")
    assert reads(stocked, other, "api-token")


ON_DATABASES = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'db-*'"
LOOKS_LIKE_WORDS = st.sampled_from(("OR", "AND", "NOT", "ActionMatches", "Exists", "x-OR-db-", "Resource", "db"))
LOOKS_LIKE_A_CONDITION = st.sampled_from(
    (
        "x' OR 'a' StringEquals 'a",
        "x'",
        "db-*",
        "*",
        "?b-x",
        "x) || (ActionMatches{'*'}",
        "@Resource[Microsoft.KeyVault/vaults/secrets:name]",
        "db-x\n",
        "a/../db-x",
        "db-%",
        "ｄb-x",
    )
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=LOOKS_LIKE_WORDS | LOOKS_LIKE_A_CONDITION | st.from_regex(r"[a-zA-Z0-9-]{1,20}", fullmatch=True))
def test_a_name_that_looks_like_a_condition_is_a_name_or_none(stocked: World, name: str) -> None:
    caller = Caller("00000000-0000-4000-8000-0000000000cd", "caller")
    service = stocked.service
    if not service.grants_of(stocked.operator, caller.id):
        give(stocked, stocked.operator, "Key Vault Secrets Officer", caller, condition=ON_DATABASES)
    spelled = name.replace("-", "")
    with contextlib.ExitStack() as refusal:
        if not (spelled.isascii() and spelled.isalnum()):
            # As a name it never gets as far as the condition, or the condition does not hold.
            refusal.enter_context(pytest.raises((BadParameter, Forbidden)))
        elif not name.lower().startswith("db-"):
            refusal.enter_context(pytest.raises(Forbidden))
        service.set_secret(caller, VAULT, name, SecretValue("v"), tags={"name": "db-x", "secrets:name": "db-x"})


def test_a_tag_is_no_attribute_and_the_text_of_a_condition_is_no_part_of_another(stocked: World) -> None:
    service, caller = stocked.service, stocked.person()
    give(stocked, stocked.operator, "Key Vault Secrets User", caller, condition=ON_DATABASES)
    for tags in (
        {"Microsoft.KeyVault/vaults/secrets:name": "db-x"},
        {"name": "db-x"},
        {"x": "' || @Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike '*"},
    ):
        service.update_secret(stocked.operator, VAULT, "api-token", tags=tags)
        assert not reads(stocked, caller, "api-token")
    quoted = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'x'' OR ''a'' StringEquals ''a'"
    give(stocked, stocked.operator, "Key Vault Reader", caller, condition=quoted)
    assert not reads(stocked, caller, "api-token")
    with pytest.raises(BadParameter, match="condition: character"):
        give(stocked, stocked.operator, "Key Vault Crypto User", caller, condition=f"{ON_DATABASES} OR 'a' = 'a'")
