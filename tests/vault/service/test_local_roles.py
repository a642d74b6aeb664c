"""Roles inside a Managed HSM: what each allows and where; given, taken, defined; and that only they count."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.duration import duration
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from tests.vault.service.pools import DIGEST, EC_HSM, OCT_HSM, POOL, PoolWorld

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)

_POLICY = RotationPolicy(every=duration("P30D"), expire_after=duration("P90D"))


@pytest.fixture
def there(tmp_path: Path) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path / "store")
    made.pool()
    service, operator = made.service, made.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM, rotation=_POLICY)
    service.create_key(operator, POOL, "aes", specification=OCT_HSM)
    for gone in ("gone", "gone-too"):
        service.create_key(operator, POOL, gone, specification=EC_HSM)
        service.delete_key(operator, POOL, gone)
    yield made
    made.unlocked.close()


def _attempts(there: PoolWorld, caller: Caller) -> dict[str, Callable[[], object]]:
    service = there.service
    somebody = there.person().id
    return {
        "read": lambda: service.get_key(caller, POOL, "k"),
        "list": lambda: service.list_keys(caller, POOL),
        "create": lambda: service.create_key(caller, POOL, "new", specification=EC_HSM),
        "update": lambda: service.update_key(caller, POOL, "k", tags={"a": "b"}),
        "policy": lambda: service.set_rotation_policy(caller, POOL, "keys", "k", _POLICY),
        "rotate": lambda: service.rotate_key(caller, POOL, "k"),
        "sign": lambda: service.sign(caller, POOL, "k", algorithm="ES256", digest=DIGEST),
        "verify": lambda: service.verify(caller, POOL, "k", algorithm="ES256", digest=DIGEST, signature=bytes(64)),
        "wrap": lambda: service.wrap_key(caller, POOL, "aes", algorithm="A256KW", key=SecretValue(bytes(32))),
        "random": lambda: service.random_bytes(caller, POOL, 8),
        "delete": lambda: service.delete_key(caller, POOL, "aes"),
        "list deleted": lambda: service.list_deleted_keys(caller, POOL),
        "recover": lambda: service.recover_key(caller, POOL, "gone"),
        "purge": lambda: service.purge_key(caller, POOL, "gone-too"),
        "backup": lambda: service.backup_managed_hsm(caller, POOL),
        "roles": lambda: service.list_local_assignments(caller, POOL),
        "assign": lambda: service.assign_local_role(
            caller, POOL, role="Managed HSM Crypto Auditor", principal_id=somebody, principal_type="user"
        ),
        "define": lambda: service.define_local_role(
            caller, POOL, name="Own", data_actions=["Microsoft.KeyVault/managedHsm/keys/sign/action"]
        ),
    }


_USE = {"read", "list", "create", "update", "policy", "rotate", "sign", "verify", "wrap", "random", "delete"}

# Written down apart from local_roles.json, from the page on Azure's built-in local roles, so that a slip in either is
# found.
_ROLES: dict[str, set[str]] = {
    "Managed HSM Administrator": {"backup", "roles", "assign", "define"},
    "Managed HSM Crypto Officer": {"list deleted", "recover", "purge", "roles", "assign", "define"},
    "Managed HSM Crypto User": _USE | {"roles"},
    "Managed HSM Policy Administrator": {"roles", "assign", "define"},
    "Managed HSM Crypto Auditor": {"read", "list", "list deleted", "roles"},
    "Managed HSM Crypto Service Encryption User": {"read", "list", "wrap"},
    "Managed HSM Crypto Service Release User": set(),
    "Managed HSM Backup": {"backup"},
    "Managed HSM Restore": set(),
    "Managed HSM ARM User": set(),
}


@pytest.mark.parametrize("role", _ROLES)
def test_a_built_in_role_allows_what_azure_says_and_no_more(there: PoolWorld, role: str) -> None:
    caller = there.local(role)
    attempts, refused = _attempts(there, caller), {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except Forbidden as error:
            refused[name] = error.inner
    assert set(attempts) - set(refused) == _ROLES[role]
    assert set(refused.values()) <= {"ForbiddenByRbac"}


def test_every_built_in_role_is_among_those_tried(there: PoolWorld) -> None:
    assert {role.name for role in there.service.list_local_roles(there.operator, POOL)} == set(_ROLES)


@pytest.mark.parametrize(
    ("scope", "k", "aes", "listed"),
    [
        ("/", True, True, True),
        ("/keys", True, True, True),
        ("/keys/k", True, False, False),
        ("/keys/K", True, False, False),
    ],
)
def test_a_role_holds_at_its_scope_and_below(there: PoolWorld, scope: str, k: bool, aes: bool, listed: bool) -> None:
    caller = there.local("Managed HSM Crypto User", scope=scope)
    reads: tuple[tuple[Callable[[], object], bool], ...] = (
        (lambda: there.service.get_key(caller, POOL, "k"), k),
        (lambda: there.service.get_key(caller, POOL, "aes"), aes),
        (lambda: there.service.list_keys(caller, POOL), listed),
    )
    for attempt, allowed in reads:
        if allowed:
            attempt()
        else:
            with pytest.raises(Forbidden):
                attempt()


def test_reading_a_key_is_not_enough_to_verify_or_encrypt_as_it_is_in_a_vault(there: PoolWorld) -> None:
    caller = there.local("Managed HSM Crypto Auditor")
    with pytest.raises(Forbidden, match="keys/verify/action at /keys/k in Managed HSM `treasury`"):
        there.service.verify(caller, POOL, "k", algorithm="ES256", digest=DIGEST, signature=bytes(64))


def test_a_refusal_says_which_local_role_would_do_to_who_may_know(there: PoolWorld) -> None:
    with pytest.raises(Forbidden) as refused:
        there.service.sign(there.local("Managed HSM Backup"), POOL, "k", algorithm="ES256", digest=DIGEST)
    assert "`Managed HSM Crypto User`" in refused.value.diagnostics[0].detail


def test_a_group_s_role_is_its_members(there: PoolWorld) -> None:
    group = str(uuid.uuid4())
    there.service.assign_local_role(
        there.operator, POOL, role="Managed HSM Crypto User", principal_id=group, principal_type="group"
    )
    member = Caller(str(uuid.uuid4()), "member", groups=frozenset({group}))
    assert there.service.sign(member, POOL, "k", algorithm="ES256", digest=DIGEST).value


def test_a_role_is_given_once_and_ends_when_it_is_taken(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    caller = there.person()

    def given() -> str:
        return service.assign_local_role(
            operator,
            POOL,
            role="managed hsm crypto user",
            principal_id=caller.id,
            principal_type="user",
            scope="/keys/k",
        ).id

    first = given()
    with pytest.raises(Conflict, match="has the role `Managed HSM Crypto User` at /keys/k"):
        given()
    assert service.get_local_assignment(operator, POOL, first).principal_id == caller.id
    # Who has a role at one key sees what is given there, and nothing else.
    assert [one.id for one in service.list_local_assignments(caller, POOL)] == [first]
    service.unassign_local_role(operator, POOL, first)
    with pytest.raises(Forbidden):
        service.get_key(caller, POOL, "k")
    with pytest.raises(NotFound):
        service.unassign_local_role(operator, POOL, first)
    assert given() == first


def test_the_last_administrator_stays(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    (own,) = [one for one in service.list_local_assignments(operator, POOL) if one.role_id.startswith("a290e904")]
    with pytest.raises(Forbidden, match="the last administrator of Managed HSM `treasury`"):
        service.unassign_local_role(operator, POOL, own.id)
    there.local("Managed HSM Administrator", scope="/keys")
    with pytest.raises(Forbidden, match="the last administrator"):
        service.unassign_local_role(operator, POOL, own.id)
    second = there.local("Managed HSM Administrator")
    service.unassign_local_role(second, POOL, own.id)
    with pytest.raises(Forbidden):
        service.backup_managed_hsm(operator, POOL)


def test_a_role_of_its_own_allows_what_it_says_less_what_it_takes_out(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    keys = "Microsoft.KeyVault/managedHsm/keys"
    own = service.define_local_role(
        operator, POOL, name="Signer", data_actions=[f"{keys}/*"], not_data_actions=[f"{keys}/d*"]
    )
    caller = there.local("Signer")
    assert service.sign(caller, POOL, "k", algorithm="ES256", digest=DIGEST).value
    with pytest.raises(Forbidden):
        service.delete_key(caller, POOL, "k")
    with pytest.raises(Forbidden):
        service.random_bytes(caller, POOL, 8)
    service.define_local_role(operator, POOL, name="Reader", data_actions=[f"{keys}/read/action"], id=own.id)
    with pytest.raises(Forbidden):
        service.sign(caller, POOL, "k", algorithm="ES256", digest=DIGEST)
    assert service.get_key(caller, POOL, "k").name == "k"
    with pytest.raises(Conflict, match="is given 1 times"):
        service.remove_local_role(operator, POOL, own.id)
    (given,) = [one for one in service.list_local_assignments(operator, POOL) if one.role_id == own.id]
    service.unassign_local_role(operator, POOL, given.id)
    service.remove_local_role(operator, POOL, own.id)
    assert "Reader" not in {role.name for role in service.list_local_roles(operator, POOL)}
    with pytest.raises(BadParameter, match="there is no local role `Reader`"):
        there.local("Reader")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "a role's name has 1-128 characters"),
        ({"data_actions": []}, "allows nothing"),
        ({"data_actions": ["Microsoft.KeyVault/vaults/keys/sign/action"]}, "no action inside a Managed HSM is like"),
        ({"data_actions": ["Microsoft.KeyVault/managedHsm/keys/sing/action"]}, "did you mean .*sign/action"),
        ({"id": "signer"}, "is no role definition's id"),
        ({"id": "a290e904-7015-4bba-90c8-60543313cdb4"}, "is a built-in role"),
    ],
)
def test_a_role_nobody_could_use_is_refused(there: PoolWorld, wrong: dict[str, object], words: str) -> None:
    asked = {"name": "Own", "data_actions": ["Microsoft.KeyVault/managedHsm/rng/action"], **wrong}
    with pytest.raises(BadParameter, match=words):
        there.service.define_local_role(there.operator, POOL, **asked)  # type: ignore[arg-type]
    assert len(there.service.list_local_roles(there.operator, POOL)) == len(_ROLES)


def test_no_two_roles_have_one_name(there: PoolWorld) -> None:
    with pytest.raises(Conflict, match="there is a local role `Managed HSM Backup` already"):
        there.service.define_local_role(
            there.operator,
            POOL,
            name="managed hsm backup",
            data_actions=["Microsoft.KeyVault/managedHsm/rng/action"],
        )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scope": "/secrets"}, "is no scope in a Managed HSM"),
        ({"scope": "keys"}, "is no scope in a Managed HSM"),
        ({"scope": "/keys/"}, "is no scope in a Managed HSM"),
        ({"scope": "/keys/a/b"}, "is no scope in a Managed HSM"),
        ({"role": "Key Vault Administrator"}, "there is no local role"),
        ({"principal_id": "alice"}, "is no principal's id"),
        ({"principal_type": "robot"}, "is no type of principal"),
        ({"id": "first"}, "is no role assignment's id"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(there: PoolWorld, wrong: dict[str, str], words: str) -> None:
    before = there.service.list_local_assignments(there.operator, POOL)
    asked = {"role": "Managed HSM Backup", "principal_id": str(uuid.uuid4()), "principal_type": "user", **wrong}
    with pytest.raises(BadParameter, match=words):
        there.service.assign_local_role(there.operator, POOL, **asked)  # type: ignore[arg-type]
    assert there.service.list_local_assignments(there.operator, POOL) == before


def test_roles_survive_a_restart(there: PoolWorld) -> None:
    from kvstack.vault.service import VaultService

    caller = there.local("Managed HSM Crypto User", scope="/keys/k")
    other = VaultService(there.unlocked)
    assert other.get_key(caller, POOL, "k").name == "k"
    assert other.list_local_assignments(there.operator, POOL) == there.service.list_local_assignments(
        there.operator, POOL
    )


def test_a_snapshot_tells_of_a_managed_hsm_what_the_caller_may_read(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_vault(operator, "plain")
    taken = service.snapshot(operator)
    assert ([one.name for one in taken.vaults], [one.name for one in taken.managed_hsms]) == (["plain"], [POOL])
    assert {key.name for key in taken.keys} == {"k", "aes", "gone", "gone-too"}
    assert len(taken.local_assignments) == 3
    assert taken.unread == ()
    service.create_managed_hsm(operator, "fresh")
    unread = {(one.vault, one.kind): one.reason for one in service.snapshot(operator).unread}
    assert set(unread) == {("fresh", "keys"), ("fresh", "role_assignments")}
    assert all("is not activated" in reason for reason in unread.values())
    vaults_only = there.person("Key Vault Contributor")
    seen = service.snapshot(vaults_only, [POOL, "plain"])
    assert ([one.name for one in seen.vaults], seen.managed_hsms) == (["plain"], ())
    assert (POOL, "vault") in {(one.vault, one.kind) for one in seen.unread}
    (changed,) = service.last_changes(operator, [there.service._scope(taken.managed_hsms[0]).path]).values()
    assert changed.operation == "LocalRoleAssignmentPut"
    reader = there.person("Reader")
    unread = {(one.vault, one.kind): one.reason for one in service.snapshot(reader, [POOL]).unread}
    assert set(unread) == {(POOL, "keys"), (POOL, "role_assignments")}
