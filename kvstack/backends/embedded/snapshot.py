"""One bulk read of the embedded vault, as a plan takes it: everything by identity, and what could not be read."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from kvstack.backends.embedded import reading, reading_access, reading_events, reading_hsm, reading_people
from kvstack.backends.protocol import Actual, Snapshot, Unread
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.schema.resource import Resource
from kvstack.terms.identity import identity_named
from kvstack.terms.scope import Scope, written_scope
from kvstack.vault.assignment import RoleAssignment as AssignmentRecord
from kvstack.vault.eligibility import EligibleAssignment
from kvstack.vault.snapshot import Snapshot as VaultSnapshot
from kvstack.vault.snapshot import Unread as VaultUnread


def snapshot(taken: VaultSnapshot, subscription: str, owner: str) -> Snapshot:
    """Return everything the vault told, by identity. owner: the stack that asks."""
    things: dict[str, Actual[Resource]] = {}
    homes = {vault.id: vault for vault in (*taken.vaults, *taken.managed_hsms)}
    for vault in taken.vaults:
        things[f"vaults/{vault.folded}"] = reading.of_vault(vault, subscription)
    for pool in taken.managed_hsms:
        things[f"vaults/{pool.folded}"] = reading_hsm.of_managed_hsm(pool, subscription)
    paths = {vault.id: reading_hsm.path_of(vault, subscription) for vault in homes.values()}
    # A certificate's key and secret are part of it: nothing declares them by themselves.
    for key in (key for key in taken.keys if not key.managed):
        home = homes[key.vault_id]
        read = reading.of_key if home.pool is None else reading_hsm.of_hsm_key
        things[f"vaults/{home.folded}/keys/{key.folded}"] = read(
            key, paths[key.vault_id], reading.rotation_of(key.rotation), reading.deletion_of(key.deletion, home)
        )
    for secret in (secret for secret in taken.secrets if not secret.managed):
        home = homes[secret.vault_id]
        things[f"vaults/{home.folded}/secrets/{secret.folded}"] = reading.of_secret(
            secret,
            paths[secret.vault_id],
            reading.secret_rotation_of(secret.rotation),
            reading.deletion_of(secret.deletion, home),
        )
    for certificate in taken.certificates:
        home = homes[certificate.vault_id]
        things[f"vaults/{home.folded}/certificates/{certificate.folded}"] = reading.of_certificate(
            certificate, paths[certificate.vault_id], reading.deletion_of(certificate.deletion, home)
        )
    for issuer in taken.issuers:
        home = homes[issuer.vault_id]
        things[f"vaults/{home.folded}/issuers/{issuer.folded}"] = reading_people.of_issuer(
            issuer, home.name, paths[home.id], reading.deletion_of(None, home)
        )
    for contacts in taken.contacts:
        home = homes[contacts.vault_id]
        things[f"vaults/{home.folded}/contacts"] = reading_people.of_contacts(
            contacts.contacts, home.name, paths[home.id], reading.deletion_of(None, home)
        )
    principals = reading.identity_principals(taken.identities)
    for one in taken.identities:
        actual = reading.of_identity(one, subscription)
        things[actual.resource.identity("")] = actual
    for told in taken.subscriptions:
        actual = reading_events.of_subscription(told, owner)
        things[actual.resource.identity("")] = actual
    unnamed = _add_access(things, taken, owner, principals)
    for policy in taken.access_policies:
        home = homes[policy.vault_id]
        place = Scope(subscription, home.resource_group, home.name)
        actual = reading.of_access_policy(policy, place, owner, reading.deletion_of(None, home), principals=principals)
        things[actual.resource.identity(home.name)] = actual
    local_names = {role.id: role.definition.name for role in taken.local_roles}
    for local_role in taken.local_roles:
        home = homes[local_role.vault_id]
        actual = reading_hsm.of_local_role(local_role, home.name, owner, reading.deletion_of(None, home))
        things[actual.resource.identity(home.name)] = actual
    for given in taken.local_assignments:
        home = homes[given.vault_id]
        name = local_names.get(given.role_id) or reading_hsm.local_role_name_of(given.role_id)
        actual = reading_hsm.of_local_assignment(
            given, home.name, name, owner, reading.deletion_of(None, home), principals
        )
        things[actual.resource.identity(home.name)] = actual
    unread = [*_unread(taken.unread, frozenset(pool.folded for pool in taken.managed_hsms))]
    unread += _given_to_unread_identities(taken, things.values())
    return Snapshot(things, (*unread, *unnamed), principals=principals)


def _add_access(
    things: dict[str, Actual[Resource]], taken: VaultSnapshot, owner: str, principals: Mapping[str, str]
) -> list[Unread]:
    """Add what gives and takes rights in vaults; return where what is given could not be named."""
    names = {role.id: role.definition.name for role in taken.role_definitions}
    found = [reading_access.of_role(role, owner) for role in taken.role_definitions]
    found += [reading_access.of_denial(denial, owner) for denial in taken.deny_assignments]
    unnamed = []

    def role_of(assignment: AssignmentRecord | EligibleAssignment, place: str) -> str:
        name = names.get(assignment.role_id) or reading.built_in_role_name(assignment.role_id)
        if name is None:
            where = f"{place}/{written_scope(assignment.scope).lower()}/"
            unnamed.append(Unread(where, f"the role {assignment.role_id}, which is given there, may not be read"))
        return name or assignment.role_id

    # A role taken up for a while comes and goes: nothing declares it.
    for assignment in (one for one in taken.role_assignments if not one.activation):
        found.append(reading.of_assignment(assignment, role_of(assignment, "assignments"), owner, principals))
    for eligible in taken.eligible_assignments:
        found.append(reading_access.of_eligible(eligible, role_of(eligible, "eligible"), owner, principals))
    things.update((actual.resource.identity(actual.vault), actual) for actual in found)
    return unnamed


def _given_to_unread_identities(taken: VaultSnapshot, things: Iterable[Actual[Resource]]) -> Iterator[Unread]:
    """Yield where managed identities are given something, of which it cannot be told which ones."""
    reason = next((entry.reason for entry in taken.unread if entry.kind == "identities"), None)
    for actual in things if reason is not None else ():
        resource = actual.resource
        if isinstance(resource, RoleAssignment | HsmRoleAssignment) and (
            resource.principal_type == "managed_identity" and identity_named(resource.principal) is None
        ):
            nameless = msgspec.structs.replace(resource, principal="identity/").identity(actual.vault)
            yield Unread(f"{nameless.rpartition('/identity/')[0]}/identity/", str(reason))


def _unread(told: tuple[VaultUnread, ...], managed_hsms: frozenset[str]) -> Iterator[Unread]:
    for entry in told:
        vault = entry.vault.lower()
        match entry.kind:
            case "role_assignments" if vault in managed_hsms:
                yield Unread(f"vaults/{vault}/access/", entry.reason)
                yield Unread(f"vaults/{vault}/roles/", entry.reason)
            case "role_assignments":
                yield Unread(f"assignments/vault/{vault}/" if vault else "assignments/", entry.reason)
            case "contacts":
                yield Unread(f"vaults/{vault}/contacts", entry.reason)
            case "eligible_assignments" | "deny_assignments":
                section = "eligible" if entry.kind == "eligible_assignments" else "denials"
                home = "managed_hsm" if vault in managed_hsms else "vault"
                yield Unread(f"{section}/{home}/{vault}/" if vault else f"{section}/", entry.reason)
            case "event_subscriptions":
                yield Unread("events/", entry.reason)
                yield Unread("alerts/", entry.reason)
            case "role_definitions":
                yield Unread("roles/", entry.reason)
            case "vault":
                yield Unread(f"vaults/{vault}", entry.reason)
            case "identities":
                read = tuple(f"identities/{group}/" for group in entry.but)
                yield Unread(f"identities/{vault}/" if vault else "identities/", entry.reason, read)
            case collection:
                yield Unread(f"vaults/{vault}/{collection}/", entry.reason)
