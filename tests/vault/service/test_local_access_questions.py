"""Questions about access inside a Managed HSM: answered from its local roles, to whom may see those, and to oneself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.principal import Principal
from kvstack.terms.right import at_managed_hsm, right
from kvstack.terms.scope import Scope
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Forbidden, NotFound
from kvstack.vault.explanation import Grant
from tests.vault.service.pools import DIGEST, EC_HSM, POOL, PoolWorld

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)
SIGN = right("keys/sign").action
INNER, OUTER = (f"0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c2{digit}" for digit in "23")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path / "store")
    made.pool()
    made.service.create_key(made.operator, POOL, "k", specification=EC_HSM)
    yield made
    made.unlocked.close()


def at(there: PoolWorld, item: str = "keys/k") -> Scope:
    return there.scope(POOL, item)


def test_who_can_lists_the_local_assignments_that_decide(there: PoolWorld) -> None:
    key, other = there.local("Managed HSM Crypto User", scope="/keys/K"), there.local("Managed HSM Crypto Auditor")
    there.person("Key Vault Administrator")  # no role of resource manager gives a right inside
    able = dict(there.service.who_can(there.operator, SIGN, at(there)))
    assert set(able) == {there.operator.id, key.id}
    found = able[key.id]
    assert isinstance(found, Grant)
    assert found.role is not None
    assert (found.role.name, found.inside, found.assignment.scope.path.rsplit("/managedHSMs/")[1]) == (
        "Managed HSM Crypto User",
        "/keys/K",
        f"{POOL}/keys/K",
    )
    assert set(dict(there.service.who_can(there.operator, SIGN, at(there, "keys/other")))) == {there.operator.id}
    assert other.id in dict(there.service.who_can(there.operator, right("keys/get").action, at(there, "")))


def test_an_explanation_tells_the_way_through_groups_or_the_smallest_local_role(there: PoolWorld) -> None:
    service, operator, alice = there.service, there.operator, there.person("Key Vault Crypto User")
    asked = service.explain_access(operator, alice.id, SIGN, at(there))
    assert (asked.allowed, asked.grants, asked.smallest and asked.smallest.name) == (
        False,
        (),
        "Managed HSM Crypto User",
    )
    service.put_principal(operator, Principal(INNER, "group", "on-call", frozenset({alice.id, OUTER})))
    service.put_principal(operator, Principal(OUTER, "group", "engineers", frozenset({INNER})))
    there.give(Caller(OUTER), "Managed HSM Crypto User", scope="/keys")
    asked = service.explain_access(operator, alice.id, SIGN, at(there))
    assert asked.allowed
    assert [
        (one.role and one.role.name, one.inside, one.through) for one in asked.grants if isinstance(one, Grant)
    ] == [("Managed HSM Crypto User", "/keys", (INNER, OUTER))]
    assert service.sign(alice, POOL, "k", algorithm="ES256", digest=DIGEST).value


def test_what_reaches_somebody_is_listed_inside_managed_hsms_too(there: PoolWorld) -> None:
    alice = there.local("Managed HSM Crypto User", scope="/keys/k")
    there.service.create_role_assignment(
        there.operator, there.scope(POOL), role="Reader", principal_id=alice.id, principal_type="user"
    )
    found = there.service.grants_of(there.operator, alice.id)
    assert [(one.role and one.role.name, one.inside) for one in found] == [
        ("Reader", ""),
        ("Managed HSM Crypto User", "/keys/k"),
    ]
    assert there.service.grants_of(alice, alice.id) == found
    reader = there.person("Reader")
    assert [one.inside for one in there.service.grants_of(reader, alice.id)] == [""]
    auditor = there.local("Managed HSM Crypto Auditor")
    assert [one.inside for one in there.service.grants_of(auditor, alice.id)] == ["/keys/k"]


def test_only_who_sees_local_roles_is_told_of_others_and_everybody_of_himself(there: PoolWorld) -> None:
    service, alice = there.service, there.local("Managed HSM Crypto Service Encryption User")
    for nosy in (there.person("Owner"), there.person("Key Vault Reader"), alice, there.person()):
        with pytest.raises(Forbidden):
            service.who_can(nosy, SIGN, at(there))
        with pytest.raises(Forbidden):
            service.explain_access(nosy, there.operator.id, SIGN, at(there))
    auditor = there.local("Managed HSM Crypto Auditor", scope="/keys/k")
    assert there.operator.id in dict(service.who_can(auditor, SIGN, at(there)))
    with pytest.raises(Forbidden):
        service.who_can(auditor, SIGN, at(there, "keys/other"))
    own = service.explain_access(alice, alice.id.upper(), right("keys/wrap").action, at(there))
    assert (own.allowed, [one.inside for one in own.grants if isinstance(one, Grant)]) == (True, ["/"])


def test_who_does_not_know_of_it_is_told_the_same_as_of_a_vault_that_is_not_there(there: PoolWorld) -> None:
    nobody = there.person("Key Vault Data Access Administrator", at=there.scope("", ""))
    outsider = there.person()
    for who in (outsider, nobody):
        told = {
            (found.allowed, found.grants, found.missed, found.denial, found.smallest)
            for vault in (POOL, POOL.upper(), "nothing")
            for found in [there.service.explain_access(who, who.id, SIGN, there.scope(vault, "keys/k"))]
        }
        assert len(told) == 1
    words = set()
    for vault, key in ((POOL, "k"), (POOL, "nothing"), ("nothing", "k")):
        for attempt in (
            lambda vault=vault, key=key: there.service.who_can(outsider, SIGN, there.scope(vault, f"keys/{key}")),
            lambda vault=vault, key=key: there.service.get_key(outsider, vault, key),
        ):
            with pytest.raises(Forbidden) as refused:
                attempt()
            words.add(str(refused.value))
    assert words == {"denied"}


def test_what_a_managed_hsm_does_not_hold_is_refused_and_one_that_is_deleted_is_not_there(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    with pytest.raises(BadParameter, match="it holds keys, neither secrets nor certificates"):
        service.who_can(operator, right("secrets/get").action, at(there, ""))
    with pytest.raises(BadParameter, match="it holds keys, neither secrets nor certificates"):
        service.explain_access(operator, operator.id, right("secrets/get").action, at(there, ""))
    service.delete_managed_hsm(operator, POOL)
    with pytest.raises(NotFound):
        service.who_can(operator, SIGN, at(there))
    with pytest.raises(NotFound):
        service.explain_access(operator, operator.id, SIGN, at(there))
    assert all(not one.inside for one in service.grants_of(operator, operator.id))


def test_before_it_is_activated_its_administrators_are_told(tmp_path: Path) -> None:
    made = PoolWorld.made(tmp_path / "store")
    made.service.create_managed_hsm(made.operator, POOL)
    download = right("hsm/download-domain").action
    assert set(dict(made.service.who_can(made.operator, download, made.scope(POOL)))) == {made.operator.id}
    made.unlocked.close()


def test_the_resource_itself_is_resource_manager_s(there: PoolWorld) -> None:
    keeper = there.person("Managed HSM contributor")
    asked = at_managed_hsm(right("vaults/delete"))
    assert asked is not None
    able = dict(there.service.who_can(there.operator, asked.action, there.scope(POOL), data=False))
    assert set(able) == {there.operator.id, keeper.id}
