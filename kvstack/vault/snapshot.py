"""Everything a plan needs to know of vaults, read in bulk, and never a value; and who changed things last."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from kvstack.terms.access_policy import LIST, LIST_ISSUERS, SEE_CONTACTS, Enough
from kvstack.terms.identity import identity_scope_of
from kvstack.terms.name import folded
from kvstack.terms.scope import Scope, scope
from kvstack.vault import errors
from kvstack.vault.access_policies import listed_policies
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.assignments import READ as READ_ASSIGNMENTS
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.issuers import READ_ISSUERS
from kvstack.vault.certificates.rows import CERTIFICATES, CONTACTS, ISSUERS, ContactsRow, Issuer
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.denials import READ as READ_DENIALS
from kvstack.vault.eligibility import ELIGIBLE, EligibleAssignment
from kvstack.vault.eligible_assignments import READ as READ_ELIGIBLE
from kvstack.vault.engine import READ_HSM, Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.firewall import lets_in
from kvstack.vault.identities import IDENTITIES, ManagedIdentity
from kvstack.vault.identities import READ as READ_IDENTITIES
from kvstack.vault.items import CERTIFICATE, KEY, KEYS, SECRET, SECRETS
from kvstack.vault.local_access import LocalAssignment, LocalRole
from kvstack.vault.local_roles import READ as READ_LOCAL_ASSIGNMENTS
from kvstack.vault.managed_hsms import READ_DELETED as READ_DELETED_HSM
from kvstack.vault.outbox import Subscription
from kvstack.vault.records import Certificate, Key, Secret, Vault
from kvstack.vault.registry import CustomRole
from kvstack.vault.role_definitions import READ as READ_ROLES
from kvstack.vault.subscriptions import READ_EVENTS, SubscriptionOperations
from kvstack.vault.vaults import READ, READ_DELETED

Collection = Literal["keys", "secrets", "certificates", "issuers", "contacts"]
AccessKind = Literal["role_assignments", "eligible_assignments", "deny_assignments"]
A = TypeVar("A", RoleAssignment, EligibleAssignment, DenyAssignment)
_PERMISSIONS: dict[Collection, Enough] = {
    "keys": LIST["keys"],
    "secrets": LIST["secrets"],
    "certificates": LIST["certificates"],
    "issuers": LIST_ISSUERS,
    "contacts": SEE_CONTACTS,
}
# What stands beside certificates is no scope a right could be given at: it is seen with its vault.
_BESIDE_CERTIFICATES = re.compile(r"/(issuers/[^/]+|contacts)$")


class Unread(msgspec.Struct, frozen=True):
    """What could not be read, and why. vault: as asked for; of identities, the resource group; empty for access outside
    the vaults, and for identities in whatever resource group. but: the resource groups that could be read all the
    same."""

    vault: str
    kind: (
        Collection | AccessKind | Literal["vault", "role_definitions", "identities", "policies", "event_subscriptions"]
    )
    reason: str
    but: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """What there was at one moment. Vaults, keys, secrets and certificates are live or soft-deleted, as their
    `deletion` says; what is in a soft-deleted vault is there too, it comes back with the vault. managed_hsms: their
    keys are among `keys`; local_assignments, local_roles: what is given and defined inside them; contacts: one for each
    vault that has any; role_definitions: the store's own; eligible_assignments, deny_assignments: like
    role_assignments, at every scope; access_policies: the vaults' own, whether they go by them or by roles;
    subscriptions: who is told of events."""

    taken: datetime
    vaults: tuple[Vault, ...]
    keys: tuple[Key, ...]
    secrets: tuple[Secret, ...]
    role_assignments: tuple[RoleAssignment, ...]
    unread: tuple[Unread, ...]
    certificates: tuple[Certificate, ...] = ()
    managed_hsms: tuple[Vault, ...] = ()
    local_assignments: tuple[LocalAssignment, ...] = ()
    local_roles: tuple[LocalRole, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    contacts: tuple[ContactsRow, ...] = ()
    identities: tuple[ManagedIdentity, ...] = ()
    role_definitions: tuple[CustomRole, ...] = ()
    eligible_assignments: tuple[EligibleAssignment, ...] = ()
    deny_assignments: tuple[DenyAssignment, ...] = ()
    access_policies: tuple[AccessPolicy, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()


class LastChange(msgspec.Struct, frozen=True):
    """Who changed a thing last, when, and by which operation."""

    caller: str
    caller_name: str
    time: datetime
    operation: str


class SnapshotOperations(SubscriptionOperations):
    """Reading for planning."""

    def snapshot(self, caller: Caller, vault_names: Sequence[str] | None = None) -> Snapshot:
        """Return everything in these vaults, or in all the caller may see, and all there is of access. What the caller
        may not read is told as unread; a vault that is not there is in neither."""
        with self._attempt(caller, "Snapshot", self.top) as attempt, attempt.reading():
            unread: list[Unread] = []
            vaults = _vaults(attempt, vault_names, unread)
            keys: list[Key] = []
            secrets: list[Secret] = []
            certificates: list[Certificate] = []
            issuers: list[Issuer] = []
            contacts: list[ContactsRow] = []
            policies: list[AccessPolicy] = []
            pools = [vault for vault in vaults if vault.pool is not None]
            vaults = [vault for vault in vaults if vault.pool is None]
            for vault in vaults:
                if _readable(attempt, vault, KEY.read, "keys", unread):
                    keys += KEYS.scan(attempt.tx, vault_id=vault.id)
                if _readable(attempt, vault, SECRET.read, "secrets", unread):
                    secrets += SECRETS.scan(attempt.tx, vault_id=vault.id)
                if _readable(attempt, vault, CERTIFICATE.read, "certificates", unread):
                    certificates += CERTIFICATES.scan(attempt.tx, vault_id=vault.id)
                if _readable(attempt, vault, READ_ISSUERS, "issuers", unread):
                    issuers += ISSUERS.scan(attempt.tx, vault_id=vault.id)
                if _readable(attempt, vault, CERTIFICATE.read, "contacts", unread):
                    told = CONTACTS.get(attempt.tx, vault.id)
                    contacts += (told,) if told is not None else ()
                if attempt.may(READ, attempt.scope_of(vault), data=False):
                    policies += listed_policies(attempt, vault.name)
                else:
                    reason = attempt.denied(READ, attempt.scope_of(vault), data=False).summary
                    unread.append(Unread(vault.name, "policies", reason))
            local_assignments: list[LocalAssignment] = []
            local_roles: list[LocalRole] = []
            for pool in pools:
                if _readable(attempt, pool, KEY.read, "keys", unread):
                    keys += KEYS.scan(attempt.tx, vault_id=pool.id)
                if _local_access_readable(attempt, pool, unread):
                    local = attempt.registry.local(pool.name)
                    local_assignments += local.assignments.values()
                    local_roles += local.custom_roles.values()
            homes = (*vaults, *pools)
            given = attempt.registry.role_assignments.values()
            assignments = _access(attempt, READ_ASSIGNMENTS, "role_assignments", given, homes, unread)
            identities = _identities(attempt, unread)
            eligible = _access(attempt, READ_ELIGIBLE, "eligible_assignments", ELIGIBLE.scan(attempt.tx), homes, unread)
            denials = _access(
                attempt, READ_DENIALS, "deny_assignments", attempt.registry.denials.values(), homes, unread
            )
            roles = _role_definitions(attempt, unread)
            subscribed = self._seen_subscriptions(attempt)
            if not attempt.may(READ_EVENTS, attempt.top, data=False):
                reason = attempt.denied(READ_EVENTS, attempt.top, data=False).summary
                unread.append(Unread("", "event_subscriptions", reason))
            attempt.details.update(
                vaults=" ".join(vault.name for vault in homes[:20]),
                items=str(len(keys) + len(secrets) + len(certificates)),
            )
            return Snapshot(
                attempt.now,
                tuple(vaults),
                tuple(keys),
                tuple(secrets),
                assignments,
                tuple(unread),
                tuple(certificates),
                tuple(pools),
                tuple(local_assignments),
                tuple(local_roles),
                tuple(issuers),
                tuple(contacts),
                identities,
                roles,
                eligible,
                denials,
                tuple(policies),
                subscribed,
            )

    def last_changes(self, caller: Caller, paths: Iterable[str]) -> dict[str, LastChange]:
        """Return who changed these resources last, by path (a scope's), for those that were ever changed and that the
        caller may see as resources."""
        with self._attempt(caller, "AuditLastChanges", self.top) as attempt, attempt.reading():
            seen = [path for path in paths if _change_visible(attempt, path)]
            found = self._audit.last_changes(seen)
        return {
            path: LastChange(record.caller, record.caller_name, record.time, record.operation)
            for path, record in found.items()
        }


def _vaults(attempt: Attempt, names: Sequence[str] | None, unread: list[Unread]) -> list[Vault]:
    if names is None:
        return [vault for vault in attempt.registry.vaults.values() if _visible(attempt, vault)]
    vaults = []
    for name in {folded(name): name for name in names}.values():
        vault = attempt.registry.vault(name)
        here, read = attempt.scope_of(vault or name), READ_HSM if vault is not None and vault.pool is not None else READ
        if vault is not None and _visible(attempt, vault):
            vaults.append(vault)
        elif not attempt.may(read, here, data=False):
            # Told for a vault that is not there, too: who may not see it is not told whether it is.
            unread.append(Unread(name, "vault", attempt.denied(read, here, data=False).summary))
    return vaults


def _visible(attempt: Attempt, vault: Vault) -> bool:
    here = attempt.scope_of(vault)
    read, read_deleted = (READ, READ_DELETED) if vault.pool is None else (READ_HSM, READ_DELETED_HSM)
    if attempt.may(read, here, data=False):
        return True
    return vault.deletion is not None and attempt.may(read_deleted, here, data=False)


def _local_access_readable(attempt: Attempt, pool: Vault, unread: list[Unread]) -> bool:
    """Tell whether the caller may read who may do what inside a Managed HSM; say so where not."""
    here = attempt.scope_of(pool)
    if pool.pool is not None and pool.pool.activated is not None:
        if not attempt.may(READ_LOCAL_ASSIGNMENTS, here, data=True):
            reason = attempt.denied(READ_LOCAL_ASSIGNMENTS, here, data=True).summary
        elif not lets_in(pool.network, attempt.caller):
            reason = errors.denied_by_firewall(pool.name, str(attempt.caller.address)).summary
        else:
            return True
    else:
        reason = errors.why_not_activated(pool.name)
    unread.append(Unread(pool.name, "role_assignments", reason))
    return False


def _readable(attempt: Attempt, vault: Vault, read: str, what: Collection, unread: list[Unread]) -> bool:
    here = attempt.scope_of(vault)
    if vault.pool is not None and vault.pool.activated is None:
        reason = errors.why_not_activated(vault.name)
    elif not attempt.may(read, here, data=True, permissions=_PERMISSIONS[what]):
        reason = attempt.denied(read, here, data=True, permissions=_PERMISSIONS[what]).summary
    elif not lets_in(vault.network, attempt.caller):
        reason = errors.denied_by_firewall(vault.name, str(attempt.caller.address)).summary
    else:
        return True
    unread.append(Unread(vault.name, what, reason))
    return False


def _access(
    attempt: Attempt,
    read: str,
    kind: AccessKind,
    everything: Iterable[A],
    vaults: Sequence[Vault],
    unread: list[Unread],
) -> tuple[A, ...]:
    """Return what of some kind of access the caller may read; the rest is told as unread. read: the action."""
    top = attempt.top
    if attempt.may(read, top, data=False):
        return tuple(everything)
    unread.append(Unread("", kind, attempt.denied(read, top, data=False).summary))
    for vault in vaults:
        here = attempt.scope_of(vault)
        if not attempt.may(read, here, data=False):
            unread.append(Unread(vault.name, kind, attempt.denied(read, here, data=False).summary))
    return tuple(one for one in everything if attempt.may(read, one.scope, data=False))


def _role_definitions(attempt: Attempt, unread: list[Unread]) -> tuple[CustomRole, ...]:
    everything = attempt.registry.custom_roles.values()
    if attempt.may(READ_ROLES, attempt.top, data=False):
        return tuple(everything)
    unread.append(Unread("", "role_definitions", attempt.denied(READ_ROLES, attempt.top, data=False).summary))
    return tuple(
        role
        for role in everything
        if any(attempt.may(READ_ROLES, scope, data=False) for scope in role.assignable_scopes)
    )


def _identities(attempt: Attempt, unread: list[Unread]) -> tuple[ManagedIdentity, ...]:
    """Return the managed identities the caller may read; say of which resource groups it may not."""
    everything = IDENTITIES.scan(attempt.tx)
    groups = {one.group for one in everything}
    # Who may not read them everywhere may do so in groups he was given a right in, whether there are any or not.
    mine = frozenset(attempt.registry.principals_of(attempt.caller))
    given = attempt.registry.role_assignments.values()
    groups |= {one.scope.resource_group.lower() for one in given if one.principal_id in mine and not one.scope.vault}
    places = {group: Scope(attempt.top.subscription, group) for group in groups if group}
    read = {group for group, place in places.items() if attempt.may(READ_IDENTITIES, place, data=False)}
    if not attempt.may(READ_IDENTITIES, attempt.top, data=False):
        reason = attempt.denied(READ_IDENTITIES, attempt.top, data=False).summary
        unread.append(Unread("", "identities", reason, tuple(sorted(read))))
    else:
        unread += (
            Unread(group, "identities", attempt.denied(READ_IDENTITIES, places[group], data=False).summary)
            for group in sorted(places.keys() - read)
        )
    return tuple(one for one in everything if one.group in read)


def _change_visible(attempt: Attempt, path: str) -> bool:
    identity = identity_scope_of(path)
    if identity is not None:
        return attempt.may(READ_IDENTITIES, identity, data=False)
    try:
        place = scope(_BESIDE_CERTIFICATES.sub("", path))
    except ValueError as error:
        raise BadParameter(str(error)) from None
    return attempt.may(READ_HSM if place.managed_hsm else READ, place, data=False)
