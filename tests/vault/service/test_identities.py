"""Managed identities: whose rights are theirs alone, and end with them for good."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.identity import identity_scope
from kvstack.terms.local_role import ADMINISTRATOR, CRYPTO_USER
from kvstack.terms.principal import Principal, PrincipalType
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import EligibleAssignment
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.identities import ManagedIdentity
from kvstack.vault.service import VaultService
from tests.vault.service.pools import POOL, PoolWorld
from tests.vault.service.world import World

VAULT = "payments-dev"
GROUP = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
READER = "Key Vault Secrets User"


def at_group(world: World, group: str = "payments") -> Scope:
    return Scope(world.scope().subscription, group)


def make(world: World, name: str = "batch", group: str = "payments", **more: Any) -> ManagedIdentity:
    return world.service.create_identity(world.operator, name, resource_group=group, **more)


def delete(world: World, name: str = "batch", group: str = "payments") -> None:
    world.service.delete_identity(world.operator, name, resource_group=group)


def give(world: World, identity: ManagedIdentity, role: str = READER, at: Scope | None = None) -> None:
    world.service.create_role_assignment(
        world.operator,
        at or world.scope(VAULT),
        role=role,
        principal_id=identity.principal_id,
        principal_type="managed_identity",
    )


def acting(world: World, identity: ManagedIdentity) -> Caller:
    """Return the identity as a caller whose token is still good, whatever became of it meanwhile."""
    return Caller(identity.principal_id, identity.name)


@pytest.fixture
def stocked(dev: World) -> World:
    dev.service.set_secret(dev.operator, VAULT, "db", SecretValue("v"))
    return dev


def reads(world: World, caller: Caller) -> bool:
    try:
        # Another process: nothing of the first one's memory decides.
        VaultService(world.unlocked).get_secret(caller, VAULT, "db")
    except Forbidden:
        return False
    return True


def test_one_is_a_principal_of_its_own_that_is_known_by_its_name(stocked: World) -> None:
    made = make(stocked, "Batch", tags={"team": "a"})
    again = stocked.service.get_identity(stocked.operator, "BATCH", resource_group="PAYMENTS")
    assert again == made
    assert len({made.principal_id, made.client_id}) == 2
    known = {principal.id: principal for principal in stocked.service.list_principals(stocked.operator)}
    assert known[made.principal_id] == Principal(made.principal_id, "managed_identity", "Batch")
    give(stocked, made)
    assert reads(stocked, stocked.service.acting("Batch"))
    changed = stocked.service.update_identity(stocked.operator, "batch", resource_group="payments", tags={"b": "c"})
    assert (changed.tags, changed.principal_id, changed.name) == ({"b": "c"}, made.principal_id, "Batch")


def test_without_a_resource_group_it_is_in_the_stores_own(dev: World) -> None:
    made = dev.service.create_identity(dev.operator, "batch")
    assert made.resource_group == dev.unlocked.settings.resource_group
    assert dev.service.get_identity(dev.operator, "batch") == made
    assert dev.service.delete_identity(dev.operator, "batch") == made


def test_two_of_one_name_live_in_two_groups_and_not_in_one(dev: World) -> None:
    one, other = make(dev), make(dev, group="shipping")
    assert one.principal_id != other.principal_id
    with pytest.raises(Conflict, match="there is a managed identity `BATCH`"):
        make(dev, "BATCH", "Payments")
    found = dev.service.list_identities(dev.operator)
    assert [(one.resource_group, one.name) for one in found] == [("payments", "batch"), ("shipping", "batch")]
    assert dev.service.list_identities(dev.operator, resource_group="SHIPPING") == (other,)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("ab", {}, "3-128 letters"),
        ("a" * 129, {}, "3-128 letters"),
        ("-abc", {}, "starting with a letter"),
        ("_abc", {}, "starting with a letter"),
        ("a.bc", {}, "3-128 letters"),
        ("abc\n", {}, "3-128 letters"),
        ("../abc", {}, "3-128 letters"),
        (GROUP, {}, "reads as a principal's id"),
        ("batch", {"group": "a."}, "cannot name a resource group"),
        ("batch", {"group": "a/b"}, "cannot name a resource group"),
        ("batch", {"tags": {str(number): "" for number in range(16)}}, "16 tags"),
    ],
)
def test_what_no_identity_is_is_refused(dev: World, name: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter) as raised:
        make(dev, name, **more)
    assert words in str(raised.value)
    assert dev.service.list_identities(dev.operator) == ()


@pytest.mark.parametrize("name", ["abc", "0_-", "a" * 128, "Batch-2_x"])
def test_azures_names_are_taken(dev: World, name: str) -> None:
    assert make(dev, name).name == name


def test_its_rights_are_those_of_resource_manager_at_its_group(dev: World) -> None:
    make(dev)
    make(dev, group="shipping")
    owner, reader = dev.person("Contributor", at=at_group(dev)), dev.person("Reader", at=at_group(dev))
    nobody, administrator = dev.person(), dev.person("Key Vault Administrator")
    for caller in (owner, reader):
        assert dev.service.get_identity(caller, "batch", resource_group="payments").name == "batch"
        assert [one.resource_group for one in dev.service.list_identities(caller)] == ["payments"]
    for caller in (nobody, administrator):
        assert dev.service.list_identities(caller) == ()
    dev.service.create_identity(owner, "other", resource_group="payments")
    dev.service.update_identity(owner, "other", resource_group="payments", tags={"a": "b"})
    refused: list[tuple[Caller, str]] = [(owner, "shipping"), *((who, "payments") for who in (reader, nobody))]
    for caller, group in refused:
        with pytest.raises(Forbidden):
            dev.service.create_identity(caller, "third", resource_group=group)
        with pytest.raises(Forbidden):
            dev.service.update_identity(caller, "batch", resource_group=group, tags={})
        with pytest.raises(Forbidden):
            dev.service.delete_identity(caller, "batch", resource_group=group)
    with pytest.raises(Forbidden, match=r"^denied$"):
        dev.service.get_identity(nobody, "batch", resource_group="payments")
    with pytest.raises(Forbidden, match=r"^denied$"):
        dev.service.get_identity(nobody, "not-there", resource_group="payments")
    with pytest.raises(NotFound, match="Did you mean `batch`"):
        dev.service.get_identity(reader, "bath", resource_group="payments")


def test_who_makes_one_gives_it_no_right_by_that(stocked: World) -> None:
    maker = stocked.person("Contributor", at=at_group(stocked))
    made = stocked.service.create_identity(maker, "mine", resource_group="payments")
    assert not reads(stocked, acting(stocked, made))
    with pytest.raises(Forbidden):
        stocked.service.create_role_assignment(
            maker,
            at_group(stocked),
            role="Owner",
            principal_id=made.principal_id,
            principal_type="managed_identity",
        )


def test_one_deleted_and_made_again_has_none_of_its_namesakes_rights(stocked: World) -> None:
    first = make(stocked)
    give(stocked, first)
    give(stocked, first, "Key Vault Reader", stocked.scope())
    stocked.service.put_principal(stocked.operator, Principal(GROUP, "group", "ops", frozenset({first.principal_id})))
    stocked.service.create_role_assignment(
        stocked.operator, stocked.scope(VAULT), role=READER, principal_id=GROUP, principal_type="group"
    )
    assert reads(stocked, acting(stocked, first))
    delete(stocked)
    second = make(stocked)
    assert second.principal_id != first.principal_id
    assert second.client_id != first.client_id
    assert not reads(stocked, acting(stocked, second))
    assert not reads(stocked, acting(stocked, first))
    known = {principal.id: principal for principal in stocked.service.list_principals(stocked.operator)}
    assert known[GROUP].members == frozenset()
    assert first.principal_id not in known
    with pytest.raises(NotFound):
        stocked.service.caller(first.principal_id)
    given = stocked.service.list_role_assignments(stocked.operator)
    assert first.principal_id not in {one.principal_id for one in given}


def test_what_it_could_take_up_or_asked_for_ends_with_it(stocked: World) -> None:
    first = make(stocked)
    approver = stocked.person()

    def eligible(role: str, who: str, kind: PrincipalType, *approvers: str) -> EligibleAssignment:
        return stocked.service.put_eligible_assignment(
            stocked.operator,
            stocked.scope(VAULT),
            role=role,
            principal_id=who,
            principal_type=kind,
            max_duration=timedelta(hours=2),
            justification=False,
            approvers=approvers,
        )

    own = eligible(READER, first.principal_id, "managed_identity")
    through_group = eligible("Key Vault Secrets Officer", GROUP, "group", approver.id)
    stocked.service.put_principal(stocked.operator, Principal(GROUP, "group", "ops", frozenset({first.principal_id})))
    stocked.service.activate_role(acting(stocked, first), own.id)
    waiting = stocked.service.activate_role(acting(stocked, first), through_group.id)
    assert reads(stocked, acting(stocked, first))
    delete(stocked)
    assert not reads(stocked, acting(stocked, first))
    with pytest.raises(NotFound):
        stocked.service.decide_activation(approver, waiting.id, approve=True)
    left = stocked.service.list_eligible_assignments(stocked.operator)
    assert [one.id for one in left] == [through_group.id]
    assert stocked.service.list_activations(stocked.operator) == ()
    second = make(stocked)
    for one in (own, through_group):
        with pytest.raises(NotFound):
            stocked.service.activate_role(acting(stocked, second), one.id)


def test_what_it_was_to_approve_is_not_free_for_all_without_it(stocked: World) -> None:
    approver, asking = make(stocked), stocked.person()
    eligible = stocked.service.put_eligible_assignment(
        stocked.operator,
        stocked.scope(VAULT),
        role=READER,
        principal_id=asking.id,
        principal_type="user",
        justification=False,
        approvers=[approver.principal_id],
    )
    delete(stocked)
    assert stocked.service.activate_role(asking, eligible.id).status == "pending"
    assert not reads(stocked, asking)
    again = make(stocked)
    (waiting,) = stocked.service.list_activations(asking)
    with pytest.raises((Forbidden, NotFound)):
        stocked.service.decide_activation(acting(stocked, again), waiting.id, approve=True)


def test_the_last_owner_is_not_deleted_by_deleting_the_identity(dev: World) -> None:
    made = make(dev)
    give(dev, made, "Owner", dev.scope())
    (owner,) = (
        one
        for one in dev.service.list_role_assignments(dev.operator)
        if one.principal_id == dev.operator.id and "8e3af657" in one.role_id
    )
    dev.service.delete_role_assignment(acting(dev, made), owner.id)
    with pytest.raises(Forbidden, match="the last Owner"):
        dev.service.delete_identity(acting(dev, made), "batch", resource_group="payments")
    assert dev.service.get_identity(acting(dev, made), "batch", resource_group="payments") == made


def test_its_principal_is_made_nothing_else(dev: World) -> None:
    made, eve = make(dev), dev.person()
    others: tuple[PrincipalType, ...] = ("user", "service_principal")
    for other in others:
        with pytest.raises(Conflict, match="is the managed identity `batch`"):
            dev.service.put_principal(dev.operator, Principal(made.principal_id, other, "x"))
    with pytest.raises(Conflict, match="is the managed identity `batch`"):
        dev.service.put_principal(dev.operator, Principal(made.principal_id, "group", "x", frozenset({eve.id})))
    dev.service.put_principal(dev.operator, Principal(made.principal_id, "managed_identity", "worker"))
    assert dev.service.acting("worker").id == made.principal_id


def test_one_named_like_somebody_is_not_taken_for_her(dev: World) -> None:
    alice = dev.person()
    dev.service.put_principal(dev.operator, Principal(alice.id, "user", "alice"))
    assert dev.service.acting("alice").id == alice.id
    maker = dev.person("Contributor", at=at_group(dev))
    made = dev.service.create_identity(maker, "alice", resource_group="payments")
    with pytest.raises(Conflict, match="`alice` is the name of 2 principals"):
        dev.service.acting("alice")
    assert dev.service.acting(alice.id).id == alice.id
    assert dev.service.acting(made.principal_id).id == made.principal_id


def test_no_role_is_given_at_one(dev: World) -> None:
    place = identity_scope(dev.scope().subscription, "payments", make(dev).name)
    with pytest.raises(BadParameter, match="no role is given at a managed identity"):
        dev.service.create_role_assignment(
            dev.operator, place, role="Reader", principal_id=GROUP, principal_type="group"
        )


def test_everything_done_to_one_is_audited_at_its_place(dev: World) -> None:
    made = make(dev)
    dev.service.update_identity(dev.operator, "batch", resource_group="payments", tags={"a": "b"})
    with pytest.raises(Forbidden):
        dev.service.delete_identity(dev.person(), "batch", resource_group="payments")
    path = identity_scope(dev.scope().subscription, "payments", "batch").path
    assert path.endswith("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/batch")
    changed = dev.service.last_changes(dev.operator, [path])
    assert (changed[path].operation, changed[path].caller) == ("ManagedIdentityPatch", dev.operator.id)
    assert dev.service.last_changes(dev.person(), [path]) == {}
    told = [record for record in dev.unlocked.audit.records() if record.operation.startswith("ManagedIdentity")]
    assert [(record.operation, record.result) for record in told] == [
        ("ManagedIdentityPut", "Success"),
        ("ManagedIdentityPatch", "Success"),
        ("ManagedIdentityDelete", "ForbiddenByRbac"),
    ]
    assert told[0].details["principal"] == made.principal_id


def test_a_snapshot_has_those_the_caller_may_read_and_says_where_it_may_not(dev: World) -> None:
    one, other = make(dev), make(dev, group="shipping")
    everything = dev.service.snapshot(dev.operator, ())
    assert sorted(everything.identities, key=lambda seen: seen.group) == [one, other]
    assert everything.unread == ()
    reader = dev.person("Contributor", at=at_group(dev))
    seen = dev.service.snapshot(reader, ())
    assert seen.identities == (one,)
    (unread,) = (entry for entry in seen.unread if entry.kind == "identities")
    assert (unread.vault, unread.but) == ("", ("payments",))
    # A group without any identity is read, too, by who may read there.
    empty = dev.service.snapshot(dev.person("Contributor", at=at_group(dev, "nothing-yet")), ())
    assert (empty.identities, [entry.but for entry in empty.unread if entry.kind == "identities"]) == (
        (),
        [("nothing-yet",)],
    )
    dev.service.create_deny_assignment(
        dev.operator, at_group(dev, "shipping"), "no looking", actions=["Microsoft.ManagedIdentity/*"]
    )
    denied = dev.service.snapshot(dev.operator, ())
    assert denied.identities == (one,)
    assert [(entry.vault, entry.kind) for entry in denied.unread] == [("shipping", "identities")]


@pytest.mark.skipif(find_module() is None, reason="no PKCS#11 module is found: a Managed HSM needs one")
def test_its_roles_inside_managed_hsms_end_with_it_and_the_last_administrator_stays(tmp_path: Path) -> None:
    world = PoolWorld.made(tmp_path / "store")
    world.pool()
    service, operator = world.service, world.operator

    def given(identity: ManagedIdentity) -> set[str]:
        everybody = service.list_local_assignments(operator, POOL)
        return {one.role_id for one in everybody if one.principal_id == identity.principal_id}

    first = make(world)
    world.give(acting(world, first), "Managed HSM Crypto User")
    assert given(first) == {CRYPTO_USER}
    delete(world)
    assert given(first) == set()
    second = make(world)
    world.give(acting(world, second), "Managed HSM Administrator")
    for one in service.list_local_assignments(operator, POOL):
        if one.role_id == ADMINISTRATOR and one.principal_id != second.principal_id:
            service.unassign_local_role(acting(world, second), POOL, one.id)
    with pytest.raises(Forbidden, match="the last administrator of Managed HSM `treasury`"):
        delete(world)
    # Whoever may delete it and sees no Managed HSM is told of none.
    stranger = world.person("Contributor", at=at_group(world))
    with pytest.raises(Forbidden, match=r"^denied$"):
        service.delete_identity(stranger, "batch", resource_group="payments")
    assert service.get_identity(operator, "batch", resource_group="payments") == second
    world.unlocked.close()
