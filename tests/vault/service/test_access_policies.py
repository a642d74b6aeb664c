"""Access policies decide alone in a vault that goes by them, and not at all in one that goes by roles."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.access_policy import PERMISSIONS, in_order, spelled
from kvstack.terms.principal import Principal
from kvstack.terms.right import right, rights_at
from kvstack.terms.role import RoleDefinition, data_actions
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.access import Assignments, Request, decision
from kvstack.vault.access_policy import ACCESS_POLICIES, AccessPolicy, VaultPolicies
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, VaultError
from kvstack.vault.explanation import Grant, PolicyGrant
from kvstack.vault.reach import permitted, reach
from kvstack.vault.records import Vault
from kvstack.vault.service import VaultService
from tests.vault.access_worlds import NOW, PRINCIPALS, assignments, role, scopes
from tests.vault.service.world import START, World

VAULT = "payments-dev"
INNER, OUTER = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22", "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c23"
GET = right("secrets/get").action
USER = "Key Vault Secrets User"


@pytest.fixture
def legacy(dev: World) -> World:
    """The world with a secret in a vault that goes by access policies."""
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    goes_by(dev, "access_policies")
    return dev


def goes_by(world: World, model: str, who: Caller | None = None) -> None:
    world.service.update_vault(who or world.operator, VAULT, access_model=model)  # type: ignore[arg-type]


def permit(world: World, who: str, *secrets: str, by: Caller | None = None) -> AccessPolicy:
    return world.service.set_access_policy(by or world.operator, VAULT, who, secrets=secrets)


def reads(world: World, who: Caller) -> bool:
    """Tell whether somebody reads the secret; what is in memory and what is in the store have to agree."""
    found = {_reads(service, who) for service in (world.service, VaultService(world.unlocked))}
    assert len(found) == 1
    return found.pop()


def _reads(service: VaultService, who: Caller) -> bool:
    try:
        service.get_secret(who, VAULT, "s")
    except Forbidden:
        return False
    return True


def test_a_vault_goes_by_roles_unless_it_says_otherwise_and_so_did_those_made_before(dev: World) -> None:
    made = dev.service.get_vault(dev.operator, VAULT)
    assert made.access_model == "rbac"
    before = msgspec.to_builtins(made)
    assert "access_model" not in before
    assert msgspec.convert(before, Vault) == made


def test_policies_alone_count_in_a_vault_that_goes_by_them(legacy: World) -> None:
    by_role, by_policy = legacy.person(USER), legacy.person()
    permit(legacy, by_policy.id, "get")
    assert (reads(legacy, by_role), reads(legacy, by_policy), reads(legacy, legacy.operator)) == (False, True, False)


def test_roles_alone_count_in_a_vault_that_goes_by_roles_and_each_model_keeps_what_the_other_has(legacy: World) -> None:
    by_role, by_policy = legacy.person(USER), legacy.person()
    permit(legacy, by_policy.id, "get")
    for model, expected in (("rbac", (True, False)), ("access_policies", (False, True)), ("rbac", (True, False))):
        goes_by(legacy, model)
        assert (reads(legacy, by_role), reads(legacy, by_policy)) == expected
        assert [one.principal_id for one in legacy.service.list_access_policies(legacy.operator, VAULT)] == [
            by_policy.id
        ]


def test_a_deny_assignment_does_not_count_for_data_and_still_does_for_the_vault_itself(legacy: World) -> None:
    person = legacy.person("Reader")
    permit(legacy, person.id, "get")
    legacy.service.create_deny_assignment(
        legacy.operator, legacy.scope(VAULT), "nothing", principals=[person.id], data_actions=["*"], actions=["*"]
    )
    assert reads(legacy, person)
    with pytest.raises(Forbidden):
        legacy.service.get_vault(person, VAULT)


def test_a_policy_holds_in_its_vault_only(legacy: World) -> None:
    legacy.service.create_vault(legacy.operator, "other", access_model="access_policies")
    person = legacy.person()
    legacy.service.set_access_policy(legacy.operator, "other", person.id, secrets=["all"])
    assert not reads(legacy, person)
    legacy.service.set_secret(person, "OTHER", "x", SecretValue("v"))


def test_the_policies_of_all_groups_count_together(legacy: World) -> None:
    alice = legacy.person()
    legacy.service.put_principal(legacy.operator, Principal(INNER, "group", "on-call", frozenset({alice.id})))
    legacy.service.put_principal(legacy.operator, Principal(OUTER, "group", "engineers", frozenset({INNER})))
    permit(legacy, alice.id, "set")
    permit(legacy, INNER, "list")
    assert not reads(legacy, alice)
    permit(legacy, OUTER, "get")
    assert reads(legacy, alice)
    assert [one.name for one in legacy.service.list_secrets(alice, VAULT)] == ["s"]
    legacy.service.set_secret(alice, VAULT, "s", SecretValue("w"))
    legacy.service.delete_access_policy(legacy.operator, VAULT, OUTER)
    assert not reads(legacy, alice)


def test_a_policy_is_replaced_and_kinds_that_are_not_named_stay(legacy: World) -> None:
    person = legacy.person()
    legacy.service.set_access_policy(legacy.operator, VAULT, person.id.upper(), keys=["SIGN", "wrapkey"])
    made = permit(legacy, person.id, "list", "get", "get")
    assert made.permissions == {"keys/sign", "keys/wrapKey", "secrets/get", "secrets/list"}
    assert permit(legacy, person.id, "list").permissions == {"keys/sign", "keys/wrapKey", "secrets/list"}
    assert not reads(legacy, person)


@pytest.mark.parametrize("kind", PERMISSIONS)
def test_all_is_every_one(legacy: World, kind: str) -> None:
    given_: dict[str, Any] = {kind: ["All", "get"]}
    made = legacy.service.set_access_policy(legacy.operator, VAULT, INNER, **given_)
    assert getattr(made, kind) == set(PERMISSIONS[kind])  # type: ignore[index]
    assert in_order(kind, getattr(made, kind)) == ("all",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "given", "words"),
    [
        (INNER, {"secrets": ["gett"]}, "`gett` is no permission on secrets; did you mean `get`?"),
        (INNER, {"secrets": ["sign"]}, "`sign` is no permission on secrets; there are get, list, set"),
        (INNER, {"keys": ["unwrap", "all"]}, "`unwrap` is no permission on keys; did you mean `unwrapKey`?"),
        ("alice", {"keys": ["get"]}, "`alice` is no principal's id"),
        (INNER, {}, "permits nothing"),
        (INNER, {"keys": [], "secrets": []}, "permits nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    legacy: World, who: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        legacy.service.set_access_policy(legacy.operator, VAULT, who, **given)
    assert words in str(refused.value)
    assert legacy.service.list_access_policies(legacy.operator, VAULT) == ()


def test_a_vault_has_1024_policies_at_most_and_any_of_them_can_still_be_changed(legacy: World) -> None:
    some = [f"0c3c2c6e-1b1f-4c3e-8f58-{number:012}" for number in range(1025)]
    with legacy.service.batch():
        for who in some[:-1]:
            permit(legacy, who, "get")
    with pytest.raises(Conflict, match="1024"):
        permit(legacy, some[-1], "get")
    permit(legacy, some[0], "list")
    legacy.service.delete_access_policy(legacy.operator, VAULT, some[0])
    permit(legacy, some[-1], "get")


def test_one_that_is_not_there_cannot_be_taken_away(legacy: World) -> None:
    with pytest.raises(NotFound, match="no access policy"):
        legacy.service.delete_access_policy(legacy.operator, VAULT, INNER)
    with pytest.raises(NotFound):
        legacy.service.delete_access_policy(legacy.operator, "nowhere", INNER)


# Who may


@pytest.mark.parametrize(
    ("role", "sees", "sets", "switches"),
    [
        ("Owner", True, True, True),
        # Azure's known escalation: who manages the vault gives himself what is in it.
        ("Key Vault Contributor", True, True, False),
        ("Contributor", True, True, False),
        ("Reader", True, False, False),
        ("User Access Administrator", True, False, False),
        ("Key Vault Reader", False, False, False),
        (USER, False, False, False),
    ],
)
def test_managing_policies_is_a_right_to_the_vault_and_changing_the_model_one_to_give_roles_as_well(
    legacy: World, role: str, sees: bool, sets: bool, switches: bool
) -> None:
    person, service = legacy.person(role), legacy.service
    deeds = (
        lambda: service.list_access_policies(person, VAULT),
        lambda: permit(legacy, person.id, "get", by=person),
        lambda: goes_by(legacy, "rbac", person),
    )
    assert [_inner(deed) for deed in deeds] == [None if may else "ForbiddenByRbac" for may in (sees, sets, switches)]
    assert legacy.service.get_vault(legacy.operator, VAULT).access_model == ("rbac" if switches else "access_policies")


def test_two_roles_together_change_the_model_both_ways(legacy: World) -> None:
    person = legacy.person("Key Vault Contributor", "User Access Administrator")
    for model in ("rbac", "access_policies"):
        goes_by(legacy, model, person)


def _inner(deed: object) -> str | None:
    try:
        deed()  # type: ignore[operator]
    except VaultError as refused:
        return refused.inner or refused.code
    return None


@pytest.mark.parametrize(
    ("roles_", "policy", "inner", "told"),
    [
        (("Reader",), (), "ForbiddenByPolicy", "The permission `get` on secrets in an access policy"),
        ((USER,), (), "ForbiddenByPolicy", ""),
        ((), ("list",), "ForbiddenByPolicy", ""),
        ((), (), "ForbiddenByRbac", ""),
    ],
)
def test_a_refusal_says_what_would_help_to_those_who_may_know_and_nothing_to_a_stranger(
    legacy: World, roles_: tuple[str, ...], policy: tuple[str, ...], inner: str, told: str
) -> None:
    person = legacy.person(*roles_)
    if policy:
        permit(legacy, person.id, *policy)
    with pytest.raises(Forbidden) as refused:
        legacy.service.get_secret(person, VAULT, "s")
    assert refused.value.inner == inner
    diagnostic = refused.value.diagnostics[0]
    assert diagnostic.detail.startswith(told)
    if not told:
        assert (diagnostic.summary, diagnostic.detail) == ("denied", "")
    if not roles_ and not policy:
        with pytest.raises(Forbidden) as nowhere:
            legacy.service.get_secret(person, "nowhere", "s")
        assert (nowhere.value.inner, str(nowhere.value)) == (inner, str(refused.value))


def test_what_was_done_is_audited_by_names(legacy: World) -> None:
    permit(legacy, INNER, "get", "list")
    legacy.service.delete_access_policy(legacy.operator, VAULT, INNER)
    goes_by(legacy, "rbac")
    records = [record for record in legacy.unlocked.audit.records() if record.operation.startswith("Vault")][-3:]
    assert [(record.operation, dict(record.details)) for record in records] == [
        ("VaultAccessPolicyPut", {"principal": INNER, "permissions": "secrets/get secrets/list"}),
        ("VaultAccessPolicyDelete", {"principal": INNER}),
        ("VaultPatch", {"access_model": "rbac"}),
    ]


# With the vault


def test_policies_stay_with_a_soft_deleted_vault_and_come_back_with_it(legacy: World) -> None:
    person = legacy.person()
    permit(legacy, person.id, "get")
    legacy.service.delete_vault(legacy.operator, VAULT)
    with pytest.raises(NotFound):
        legacy.service.get_secret(person, VAULT, "s")
    legacy.service.recover_vault(legacy.operator, VAULT)
    assert reads(legacy, person)


def test_policies_go_for_good_with_a_purged_vault(legacy: World) -> None:
    person = legacy.person()
    permit(legacy, person.id, "get")
    legacy.service.delete_vault(legacy.operator, VAULT)
    legacy.service.purge_vault(legacy.operator, VAULT)
    with legacy.unlocked.store.transaction() as tx:
        assert ACCESS_POLICIES.scan(tx) == []
    legacy.service.create_vault(legacy.operator, VAULT)
    legacy.service.set_secret(legacy.operator, VAULT, "s", SecretValue("v"))
    goes_by(legacy, "access_policies")
    assert not reads(legacy, person)


def test_what_is_undone_does_not_count(legacy: World) -> None:
    person = legacy.person()

    def tried() -> None:
        with legacy.service.batch():
            permit(legacy, person.id, "get")
            assert legacy.service.get_secret(person, VAULT, "s").value is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tried()
    assert not reads(legacy, person)


# Questions


def test_questions_are_answered_by_policies(legacy: World) -> None:
    alice, bob = legacy.person(), legacy.person(USER)
    legacy.service.put_principal(legacy.operator, Principal(INNER, "group", "on-call", frozenset({alice.id})))
    permit(legacy, INNER, "get")
    ask, scope = legacy.service.explain_access, legacy.scope(VAULT, "secrets/s")
    found = ask(legacy.operator, alice.id, GET, scope)
    (grant,) = found.grants
    assert isinstance(grant, PolicyGrant)
    assert (found.allowed, grant.policy.principal_id, grant.through, grant.counts) == (True, INNER, (INNER,), True)
    denied = ask(legacy.operator, bob.id, GET, scope)
    assert (denied.allowed, denied.grants, denied.smallest) == (False, (), None)
    assert denied.enough == {"secrets/get"}
    assert [(missed.why, type(missed.grant)) for missed in denied.missed] == [("access_model", Grant)]
    assert [who for who, _ in legacy.service.who_can(legacy.operator, GET, scope)] == [alice.id]
    assert [one.vault for one in legacy.service.policies_of(legacy.operator, alice.id)] == [VAULT]
    assert legacy.service.policies_of(bob, alice.id) == ()
    goes_by(legacy, "rbac")
    missed = ask(legacy.operator, alice.id, GET, scope).missed
    assert [(one.why, type(one.grant)) for one in missed] == [("access_model", PolicyGrant)]
    assert bob.id in {who for who, _ in legacy.service.who_can(legacy.operator, GET, scope)}
    assert not legacy.service.policies_of(legacy.operator, alice.id)[0].counts


def test_a_deleted_identity_takes_its_policies_along(legacy: World) -> None:
    made = legacy.service.create_identity(legacy.operator, "batch")
    permit(legacy, made.principal_id, "get")
    assert reads(legacy, Caller(made.principal_id))
    legacy.service.delete_identity(legacy.operator, "batch")
    assert legacy.service.list_access_policies(legacy.operator, VAULT) == ()
    assert not reads(legacy, Caller(made.principal_id))


def test_questions_about_the_vault_itself_are_answered_by_roles(legacy: World) -> None:
    asked, person = right("vaults/get"), legacy.person("Reader")
    found = legacy.service.explain_access(legacy.operator, person.id, asked.action, legacy.scope(VAULT), data=False)
    assert (found.allowed, [type(one) for one in found.grants]) == (True, [Grant])


# By brute force


permissions = st.sampled_from(sorted(f"{kind}/{name}" for kind, names in PERMISSIONS.items() for name in names))
held = st.dictionaries(
    st.sampled_from(["v", "v2"]), st.dictionaries(st.sampled_from(PRINCIPALS), st.frozensets(permissions)), max_size=2
)


@given(
    held,
    assignments,
    st.builds(lambda *made: list(made), role("r1"), role("r2")),
    st.lists(st.sampled_from(PRINCIPALS), min_size=1, unique=True).map(tuple),
    scopes,
    st.none() | st.frozensets(permissions, min_size=1),
    st.sampled_from(data_actions()),
)
def test_decisions_agree_with_looking_at_everything(
    policies: dict[str, dict[str, frozenset[str]]],
    given_: list[RoleAssignment],
    definitions: list[RoleDefinition],
    acting: tuple[str, ...],
    scope: Scope,
    asked: frozenset[str] | None,
    action: str,
) -> None:
    by_id = {definition.id: definition for definition in definitions}
    index = Assignments(given_, by_id)
    for vault, rows in policies.items():
        index.go_by(vault, VaultPolicies(_policy(who, allowed) for who, allowed in rows.items()))
    request = Request(acting, action, True, scope, asked)
    found = decision(request, index, NOW)
    if request.scope.vault.lower() not in policies:
        assert found == decision(request, Assignments(given_, by_id), NOW)
        return
    rows = policies[request.scope.vault.lower()]
    wanted = asked if asked is not None else PLAINLY[action]
    assert found.allowed == any(one in rows.get(who, ()) for one, who in product(wanted, acting))
    assert (found.policy is not None) == found.allowed
    if found.policy is not None:
        assert found.policy.principal_id in acting


@given(held, assignments, st.lists(st.sampled_from(PRINCIPALS), min_size=1, unique=True).map(tuple), scopes)
def test_all_rights_at_once_are_those_that_are_decided_one_by_one(
    policies: dict[str, dict[str, frozenset[str]]],
    given_: list[RoleAssignment],
    acting: tuple[str, ...],
    scope: Scope,
) -> None:
    reader = RoleDefinition("r1", "Reader of all", actions=("*/read",), data_actions=("*/read", "*/getSecret/action"))
    index = Assignments(given_, {"r1": reader})
    for vault, rows in policies.items():
        index.go_by(vault, VaultPolicies(_policy(who, allowed) for who, allowed in rows.items()))
    at_once = {one.name for _, rights in reach(index, acting, scope, NOW) for one in rights}
    at_once |= {one.name for _, rights in permitted(index, acting, scope) for one in rights}
    asked = rights_at(scope.level, scope.item.partition("/")[0].lower())
    one_by_one = {
        one.name for one in asked if decision(Request(acting, one.action, one.data, scope), index, NOW).allowed
    }
    assert at_once == one_by_one


def _policy(who: str, allowed: Iterable[str]) -> AccessPolicy:
    given: dict[str, Any] = {
        kind: frozenset(p.split("/")[1] for p in allowed if p.startswith(kind)) for kind in PERMISSIONS
    }
    return AccessPolicy(vault_id="v", principal_id=who, created=START, updated=START, **given)


def _plainly(action: str) -> set[str]:
    """Return what Azure's pages say a permission is for, read the other way round and written without the table."""
    collection, *rest = action.removeprefix("Microsoft.KeyVault/vaults/").split("/")
    verb = rest[0]
    match collection, verb:
        case "certificatecas", _:
            word = {"read": "get", "write": "set", "delete": "delete"}[verb]
            return {f"certificates/{word}issuers", "certificates/manageissuers"}
        case "certificatecontacts", _:
            return {"certificates/managecontacts"}
        case "keyrotationpolicies", _:
            return {f"keys/{ {'read': 'get', 'write': 'set'}[verb] }rotationpolicy"}
        case "keys", "wrap" | "unwrap":
            return {f"keys/{verb}Key"}
        case "secrets", _:
            known = {"getSecret": "get", "readMetadata": "list", "setSecret": "set", "update": "set"}
            return {f"secrets/{known.get(verb, verb)}"}
        case _:
            return {f"{collection}/{ {'read': 'get'}.get(verb, verb) }"}


PLAINLY = {action: _plainly(action) for action in data_actions()}


@given(st.sampled_from(sorted(PERMISSIONS)), st.data())
def test_permissions_are_spelled_one_way_in_any_case_and_order(kind: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(PERMISSIONS[kind])))  # type: ignore[index]
    shouted = [name.upper() if data.draw(st.booleans()) else name.lower() for name in names]
    assert spelled(kind, shouted) == set(names)  # type: ignore[arg-type]
    assert spelled(kind, in_order(kind, names)) == set(names)  # type: ignore[arg-type]
