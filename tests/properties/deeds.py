"""What somebody does behind a stack's back, and which of its things have moved by it."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.certificate import Certificate
from kvstack.resources.contact_list import ContactList
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.eligible import Eligible
from kvstack.resources.hsm_key import HsmKey
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.identity import Identity
from kvstack.resources.issuer import Issuer
from kvstack.resources.key import Key
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.secret import Secret
from kvstack.schema.resource import Resource
from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import Curve, KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.eligibility import EligibleAssignment
from kvstack.vault.errors import VaultError
from kvstack.vault.records import NetworkRules
from tests.properties.access import ACCESS, BOB, GET
from tests.properties.worlds import World

LATER = datetime(2037, 1, 31, tzinfo=UTC)
EVERY_45_DAYS = RotationPolicy(every=duration("P45D"))
CLOSED = NetworkRules("deny", ("192.0.2.0/24",), "none")
EVERYBODYS = {"new": "x"}
SOMEBODY = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a13"
SOMEBODY_ELSES = {"kvstack-stack": "other"}


class Deed:
    """One deed. does: does it; drifts: the addresses that have moved by it."""

    def __init__(self, name: str, does: Callable[[], object], *drifts: str) -> None:
        self.name = name
        self.does = does
        self.drifts = frozenset(drifts)

    def __repr__(self) -> str:
        return f"{self.name} -> {sorted(self.drifts)}"


def deeds(of: World) -> list[Deed]:
    """Return everything somebody could do to what was just applied."""
    things = of.workspace.snapshot(of.workspace.state()).things
    found = []
    for node in of.workspace.desired.nodes.values():
        others_tags = "tags" in node.resource.lifecycle.ignore_changes
        # Tags that others may change are not looked at, whatever is done to them.
        found += [
            deed
            for deed in _deeds(of, node, things[node.identity])
            if not others_tags or deed.name not in ("tag", "strip", "claim", "make a bare one")
        ]
    return found


def _deeds(of: World, node: Node, actual: Actual[Resource]) -> Iterator[Deed]:
    match actual.resource:
        case Key() as key:
            return _to_a_key(of, node, key)
        case Secret() as secret:
            return _to_a_secret(of, node, secret)
        case Certificate() as certificate:
            return _to_a_certificate(of, node, certificate, pending=actual.version is None)
        case ManagedHsm() as hsm:
            return _to_a_managed_hsm(of, node, hsm)
        case Identity() as identity:
            return _to_an_identity(of, node, identity)
        case HsmRoleDefinition() as role:
            return _to_a_local_role(of, node, role, actual.id)
        case AccessPolicy() as policy:
            return _to_a_policy(of, node, policy, actual.id.rpartition("/")[2])
        case HsmRoleAssignment():
            return iter([Deed("take away", lambda: _unassign(of, node, actual.id), node.address)])
        case Issuer() as issuer:
            return _to_an_issuer(of, node, issuer)
        case ContactList() as contacts:
            return _to_contacts(of, node, contacts)
        case _ if actual.kind == "vault":
            return _to_a_vault(of, node, actual.resource)
        case RoleDefinition() as definition:
            return _to_a_role(of, node, definition, actual.id)
        case DenyAssignment() as denial:
            return _to_a_denial(of, node, denial, actual.id)
        case RoleAssignment(eligible=Eligible() as terms) as assignment:
            return _to_an_eligible_one(of, node, assignment, terms, actual.id)
        case _:
            return iter(
                [Deed("take away", lambda: of.service.delete_role_assignment(of.operator, actual.id), node.address)]
            )


def _to_a_role(of: World, node: Node, role: RoleDefinition, identifier: str) -> Iterator[Deed]:
    def defined(*data_actions: str) -> Callable[[], object]:
        return lambda: of.service.put_role_definition(
            of.operator,
            role.name,
            id=identifier,
            assignable_scopes=next(
                one.assignable_scopes for one in of.service.list_role_definitions(of.operator) if one.id == identifier
            ),
            description=role.description,
            actions=sorted(role.actions),
            data_actions=data_actions,
            not_data_actions=sorted(role.not_data_actions),
        )

    yield Deed("widen", defined("Microsoft.KeyVault/vaults/keys/*"), node.address)
    yield Deed("define the same again", defined(*role.data_actions))


def _to_a_denial(of: World, node: Node, denial: DenyAssignment, identifier: str) -> Iterator[Deed]:
    def made_again() -> None:
        there = of.service.delete_deny_assignment(of.operator, identifier)
        of.service.create_deny_assignment(
            of.operator, there.scope, there.name.upper(), principals=[BOB], data_actions=[GET], description="other"
        )

    yield Deed("take away", lambda: of.service.delete_deny_assignment(of.operator, identifier), node.address)
    yield Deed("deny otherwise", made_again, node.address)


def _to_an_eligible_one(
    of: World, node: Node, assignment: RoleAssignment, terms: Eligible, identifier: str
) -> Iterator[Deed]:
    def there() -> EligibleAssignment:
        return next(one for one in of.service.list_eligible_assignments(of.operator) if one.id == identifier)

    def put(**more: Any) -> None:
        kept = msgspec.structs.replace(there(), **more)
        of.service.put_eligible_assignment(
            of.operator,
            kept.scope,
            id=identifier,
            role=kept.role_id,
            principal_id=kept.principal_id,
            principal_type=kept.principal_type,
            expires=kept.expires,
            max_duration=kept.max_duration,
            justification=kept.justification,
            mfa=kept.mfa,
            approvers=sorted(kept.approvers),
            condition=kept.condition,
            description=kept.description,
        )

    yield Deed("take away", lambda: of.service.delete_eligible_assignment(of.operator, identifier), node.address)
    yield Deed("shorten", lambda: put(max_duration=timedelta(minutes=5)), node.address)
    yield Deed("ask less", lambda: put(justification=not there().justification), node.address)
    yield Deed("put the same again", put)
    if not terms.approvers and terms.mfa == "optional":
        holder = Caller(assignment.principal, assignment.principal_type or "user")
        # A role that is taken up comes and goes.
        yield Deed("take up", lambda: _taken_up(of, holder, identifier))


def _taken_up(of: World, holder: Caller, identifier: str) -> None:
    with contextlib.suppress(VaultError):  # once it is taken up it cannot be taken up again
        of.service.activate_role(holder, identifier, justification="why")


def _to_a_policy(of: World, node: Node, policy: AccessPolicy, principal: str) -> Iterator[Deed]:
    service, operator, vault = of.service, of.operator, node.vault
    if principal == operator.id:
        return  # without it nothing in the vault can be read any more

    def given(**more: Any) -> Callable[[], object]:
        return lambda: service.set_access_policy(operator, vault, principal, **more)

    yield Deed("take away", lambda: service.delete_access_policy(operator, vault, principal), node.address)
    yield Deed("permit more", given(certificates=["all"]), node.address)
    yield Deed("permit the same again", given(keys=policy.keys))


def _to_a_vault(of: World, node: Node, vault: Resource) -> Iterator[Deed]:
    service, operator, at, name = of.service, of.operator, node.address, node.resource.name
    declared, ours = _tags(node, vault)
    # Access policies are the vault's own: they are deleted with it, which is told of the vault, and come back with it.
    access = [
        other
        for other, held in of.declaration.desired.nodes.items()
        if held.vault_address == at and held.resource.kind in ACCESS and held.resource.kind != "access_policy"
    ]

    def changed(**more: Any) -> Callable[[], object]:
        return lambda: service.update_vault(operator, name, **more)

    yield Deed("tag", changed(tags=ours | EVERYBODYS), at)
    yield Deed("strip", changed(tags=declared), at)
    yield Deed("claim", changed(tags=ours | SOMEBODY_ELSES), at)
    yield Deed("lock", changed(lock="delete"), at)
    yield Deed("close", changed(network=CLOSED), at)
    if getattr(vault, "access_model", "") == "access_policies":
        yield Deed("let roles count", changed(access_model="rbac"), at)
    yield Deed("touch", changed())
    yield Deed("delete", lambda: service.delete_vault(operator, name), at, *access)
    yield Deed(
        "delete and recover",
        lambda: (service.delete_vault(operator, name), service.recover_vault(operator, name)),
        *access,
    )
    yield Deed("let somebody in", lambda: service.set_access_policy(operator, name, SOMEBODY, secrets=["get"]))
    yield Deed("add a key", lambda: service.create_key(operator, name, "foreign", specification=_curve("P-256")))


def _to_a_managed_hsm(of: World, node: Node, hsm: ManagedHsm) -> Iterator[Deed]:
    declared, ours = _tags(node, hsm)

    def tagged(tags: dict[str, str]) -> Callable[[], object]:
        return lambda: of.service.update_managed_hsm(of.operator, hsm.name, tags=tags)

    yield Deed("tag", tagged(ours | EVERYBODYS), node.address)
    yield Deed("strip", tagged(declared), node.address)
    yield Deed("claim", tagged(ours | SOMEBODY_ELSES), node.address)
    yield Deed("touch", tagged(ours))


def _to_an_identity(of: World, node: Node, identity: Identity) -> Iterator[Deed]:
    service, operator, at, group = of.service, of.operator, node.address, identity.resource_group
    declared, ours = _tags(node, identity)
    placed = of.workspace.desired.nodes
    its_access = [other for other, held in placed.items() if placed[at].identity in held.resource.ends_with()]

    def tagged(tags: dict[str, str]) -> Callable[[], object]:
        return lambda: service.update_identity(operator, identity.name, resource_group=group, tags=tags)

    def deleted() -> object:
        return service.delete_identity(operator, identity.name, resource_group=group)

    def made_again() -> object:
        deleted()
        return service.create_identity(
            operator, identity.name, resource_group=group, location=identity.location, tags=ours
        )

    yield Deed("tag", tagged(ours | EVERYBODYS), at)
    yield Deed("strip", tagged(declared), at)
    yield Deed("claim", tagged(ours | SOMEBODY_ELSES), at)
    yield Deed("touch", tagged(ours))
    yield Deed("delete", deleted, at, *its_access)
    # A namesake is somebody else: nothing that was given is its own.
    yield Deed("delete and make again", made_again, *its_access)


def _to_a_local_role(of: World, node: Node, role: HsmRoleDefinition, identifier: str) -> Iterator[Deed]:
    def defined(*data_actions: str) -> Callable[[], object]:
        return lambda: of.service.define_local_role(
            of.operator,
            node.vault,
            id=identifier,
            name=role.name,
            description=role.description,
            data_actions=data_actions,
            not_data_actions=sorted(role.not_data_actions),
        )

    yield Deed("widen", defined("Microsoft.KeyVault/managedHsm/keys/*"), node.address)
    yield Deed("define the same again", defined(*role.data_actions))


def _unassign(of: World, node: Node, identifier: str) -> None:
    of.service.unassign_local_role(of.operator, node.vault, identifier)


def _to_a_key(of: World, node: Node, key: Key) -> Iterator[Deed]:
    service, operator, at, vault, name = of.service, of.operator, node.address, node.vault, node.resource.name
    declared, ours = _tags(node, key)
    same: dict[str, Any] = {"operations": key.operations, "enabled": key.enabled, "expires": key.expires, "tags": ours}

    def changed(**more: Any) -> Callable[[], object]:
        return lambda: service.update_key(operator, vault, name, **more)

    def made(curve: Curve | None, **more: Any) -> Callable[[], object]:
        specification = KeySpecification(key.type, None, curve)
        return lambda: service.create_key(operator, vault, name, specification=specification, **more)

    yield Deed("disable or enable", changed(enabled=not key.enabled), at)
    yield Deed("narrow", changed(operations={"verify"}), at)
    yield Deed("tag", changed(tags=ours | EVERYBODYS), at)
    yield Deed("strip", changed(tags=declared), at)
    yield Deed("claim", changed(tags=ours | SOMEBODY_ELSES), at)
    if "expires" not in node.resource.left_to_the_vault():
        yield Deed("end", changed(expires=LATER), at)
    yield Deed("plan to rotate", lambda: service.set_rotation_policy(operator, vault, "keys", name, EVERY_45_DAYS), at)
    yield Deed("delete", lambda: service.delete_key(operator, vault, name), at)
    yield Deed("destroy", lambda: (service.delete_key(operator, vault, name), _purged(of, node, "key")), at)
    # A new version with the declared attributes is nobody's drift, whoever made it.
    if key.rotation is not None or not isinstance(key, HsmKey):
        yield Deed("rotate", lambda: service.rotate_key(operator, vault, name))
    yield Deed("make the same again", made(key.curve, **same))
    yield Deed("make another", made("P-521", **same), at)
    yield Deed("make a bare one", made(key.curve), at)


def _to_a_certificate(of: World, node: Node, certificate: Certificate, *, pending: bool) -> Iterator[Deed]:
    service, operator, at, vault, name = of.service, of.operator, node.address, node.vault, node.resource.name
    declared, ours = _tags(node, certificate)

    def changed(**more: Any) -> Callable[[], object]:
        return lambda: service.update_certificate(operator, vault, name, **more)

    yield Deed("disable or enable", changed(enabled=not certificate.enabled), at)
    yield Deed("tag", changed(tags=ours | EVERYBODYS), at)
    yield Deed("strip", changed(tags=declared), at)
    yield Deed("claim", changed(tags=ours | SOMEBODY_ELSES), at)
    longer = msgspec.structs.replace(certificate.policy, validity_months=8)
    yield Deed("plan otherwise", lambda: service.set_certificate_policy(operator, vault, name, longer), at)
    yield Deed("delete", lambda: service.delete_certificate(operator, vault, name), at)
    yield Deed(
        "destroy", lambda: (service.delete_certificate(operator, vault, name), _purged(of, node, "certificate")), at
    )
    if pending:
        yield Deed("give up", lambda: service.cancel_pending_certificate(operator, vault, name), at)
    elif certificate.issuer != "Unknown":
        # A renewal is nobody's drift, whoever made it.
        yield Deed("renew", lambda: _renewed(of, vault, name))


def _to_an_issuer(of: World, node: Node, issuer: Issuer) -> Iterator[Deed]:
    service, operator, at, vault = of.service, of.operator, node.address, node.vault
    own = {
        name: getattr(issuer, name) for name in ("provider", "authority", "account_id", "organization_id", "enabled")
    }

    def put(**more: Any) -> Callable[[], object]:
        return lambda: service.put_issuer(operator, vault, issuer.name.upper(), **own | more)

    yield Deed("disable or enable", put(enabled=not issuer.enabled), at)
    yield Deed("belong otherwise", put(organization_id="somebody's"), at)
    ignored = "account_id" in node.resource.lifecycle.ignore_changes
    yield Deed("charge another account", put(account_id="somebody's"), *(() if ignored else (at,)))
    yield Deed("become another", put(provider="Other CA", authority=""), at)
    yield Deed("make the same again", put())
    yield Deed("delete", lambda: service.delete_issuer(operator, vault, issuer.name), at)


def _to_contacts(of: World, node: Node, contacts: ContactList) -> Iterator[Deed]:
    people = [Contact(one.email, one.name, one.phone) for one in contacts.people]

    def told(*more: Contact, without: int = 0) -> Callable[[], object]:
        return lambda: of.service.set_contacts(of.operator, node.vault, [*people[without:], *more])

    yield Deed("tell one more", told(Contact("mallory@example.com")), node.address)
    yield Deed("tell one less", told(without=1), node.address)
    yield Deed("call one otherwise", told(Contact(people[0].email, "Mallory"), without=1), node.address)
    yield Deed("tell nobody", told(without=len(people)), node.address)
    yield Deed("tell the same", told(people[0], without=1))


def _renewed(of: World, vault: str, name: str) -> None:
    """Renew a certificate, where its authority is still there."""
    with contextlib.suppress(VaultError):
        of.service.renew_certificate(of.operator, vault, name)


def _to_a_secret(of: World, node: Node, secret: Secret) -> Iterator[Deed]:
    service, operator, at, vault, name = of.service, of.operator, node.address, node.vault, node.resource.name
    declared, ours = _tags(node, secret)
    same: dict[str, Any] = {
        "content_type": secret.content_type or "",
        "enabled": secret.enabled,
        "expires": secret.expires,
        "tags": ours,
    }

    def changed(**more: Any) -> Callable[[], object]:
        return lambda: service.update_secret(operator, vault, name, **more)

    def set_to(value: str, **more: Any) -> Callable[[], object]:
        return lambda: service.set_secret(operator, vault, name, SecretValue(value), **more)

    yield Deed("set", set_to("hunter2-other", **same), at)
    yield Deed("disable or enable", changed(enabled=not secret.enabled), at)
    yield Deed("describe", changed(content_type="application/x-other"), at)
    yield Deed("end", changed(expires=LATER), at)
    yield Deed("tag", changed(tags=ours | EVERYBODYS), at)
    yield Deed("strip", changed(tags=declared), at)
    yield Deed("claim", changed(tags=ours | SOMEBODY_ELSES), at)
    yield Deed(
        "plan to rotate",
        lambda: service.set_rotation_policy(
            operator, vault, "secrets", name, EVERY_45_DAYS, generator=Generator(length=40)
        ),
        at,
    )
    yield Deed("delete", lambda: service.delete_secret(operator, vault, name), at)
    yield Deed("destroy", lambda: (service.delete_secret(operator, vault, name), _purged(of, node, "secret")), at)
    yield Deed("look at", lambda: service.get_secret_properties(operator, vault, name))
    source = node.resource.value_source
    if source is not None and not source.read_at_plan:
        # Where the value is read from somewhere, a rotation of it is not what is declared there.
        yield Deed("rotate", set_to("hunter2-turned", by_rotation=True, **same))


def _purged(of: World, node: Node, kind: str) -> bool:
    """Purge what was just deleted, where its vault lets anybody."""
    if kind == "key" and isinstance(node.resource, HsmKey):
        protected = of.service.get_managed_hsm(of.operator, node.vault).purge_protection
    else:
        protected = of.service.get_vault(of.operator, node.vault).purge_protection
    if protected:
        return False
    getattr(of.service, f"purge_{kind}")(of.operator, node.vault, node.resource.name)
    return True


def _tags(node: Node, resource: Resource) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tags as declared, and as they are with the owner's."""
    declared: dict[str, str] = getattr(resource, "tags", {})
    return declared, {**declared, "kvstack-stack": "s", "kvstack-address": node.address}


def _curve(curve: Curve | None) -> KeySpecification:
    return KeySpecification("EC", None, curve)
