"""Managed identities: principals that are resources. Made, changed, deleted with everything they were given."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from kvstack.terms import tags as tag_rules
from kvstack.terms.identity import identity_name_problem, identity_scope
from kvstack.terms.name import folded, resource_group_name_problem
from kvstack.vault import errors
from kvstack.vault.assignments import require_another_owner
from kvstack.vault.caller import Caller
from kvstack.vault.client_secrets import CLIENT_SECRETS
from kvstack.vault.credentials import delete_credentials
from kvstack.vault.eligibility import ELIGIBLE, REQUESTS
from kvstack.vault.engine import READ_HSM, Attempt, Engine, near
from kvstack.vault.errors import BadParameter, Conflict, Forbidden
from kvstack.vault.local_access import LocalAccess, LocalAssignment
from kvstack.vault.local_roles import require_another_administrator
from kvstack.vault.records import Vault
from kvstack.vault.registry import PrincipalRow
from kvstack.vault.table import Row, Table

READ: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/read"
WRITE: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/write"
DELETE: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/delete"


class ManagedIdentity(Row, frozen=True, kw_only=True):
    """A managed identity. group, folded: its resource group and its name as the vault compares them; principal_id,
    client_id: drawn when it was made, so that a namesake made later is another principal."""

    group: str
    folded: str
    name: str
    resource_group: str
    location: str
    principal_id: str
    client_id: str
    tags: dict[str, str]
    created: datetime
    updated: datetime


IDENTITIES = Table("managed_identities", ManagedIdentity, ("group", "folded"), (("principal_id",),))


class IdentityOperations(Engine):
    """What can be done with managed identities; the rights are resource manager's, at their resource group."""

    def create_identity(
        self,
        caller: Caller,
        name: str,
        *,
        resource_group: str | None = None,
        location: str = "local",
        tags: Mapping[str, str] | None = None,
    ) -> ManagedIdentity:
        """Make an identity, and its principal known by its name. resource_group: the store's own where None. Raises
        Conflict where there is one of this name in the group."""
        group = resource_group or self._settings.resource_group
        with self._identity_attempt(caller, "ManagedIdentityPut", group, name) as attempt, attempt.transaction():
            attempt.require(WRITE, attempt.subject, data=False)
            made = ManagedIdentity(
                group=folded(group),
                folded=folded(name),
                name=name,
                resource_group=group,
                location=location,
                principal_id=str(uuid.UUID(bytes=self._random(16), version=4)),
                client_id=str(uuid.UUID(bytes=self._random(16), version=4)),
                tags=dict(tags or {}),
                created=attempt.now,
                updated=attempt.now,
            )
            found = list(_problems(made))
            if found:
                raise BadParameter.of(found)
            if IDENTITIES.get(attempt.tx, made.group, made.folded) is not None:
                raise Conflict(f"there is a managed identity `{name}` in the resource group `{group}` already")
            attempt.details.update(principal=made.principal_id)
            IDENTITIES.put(attempt.tx, made)
            principal = PrincipalRow(id=made.principal_id, type="managed_identity", name=made.name)
            attempt.changes_registry().put_principal(attempt.tx, principal)
            return made

    def update_identity(
        self, caller: Caller, name: str, *, resource_group: str | None = None, tags: Mapping[str, str]
    ) -> ManagedIdentity:
        """Change an identity's tags: nothing else of it ever changes."""
        group = resource_group or self._settings.resource_group
        with self._identity_attempt(caller, "ManagedIdentityPatch", group, name) as attempt, attempt.transaction():
            there = self._identity(attempt, group, name, WRITE)
            changed = msgspec.structs.replace(there, tags=dict(tags))
            found = list(_problems(changed))
            if found:
                raise BadParameter.of(found)
            if changed != there:
                changed = msgspec.structs.replace(changed, updated=attempt.now)
                IDENTITIES.put(attempt.tx, changed)
            return changed

    def get_identity(self, caller: Caller, name: str, *, resource_group: str | None = None) -> ManagedIdentity:
        """Return an identity."""
        group = resource_group or self._settings.resource_group
        with self._identity_attempt(caller, "ManagedIdentityGet", group, name) as attempt, attempt.reading():
            return self._identity(attempt, group, name, READ)

    def list_identities(self, caller: Caller, *, resource_group: str | None = None) -> tuple[ManagedIdentity, ...]:
        """Return the identities the caller may see, by resource group and name. resource_group: all where None."""
        with self._attempt(caller, "ManagedIdentityList", self.top) as attempt, attempt.reading():
            within = {} if resource_group is None else {"group": folded(resource_group)}
            seen = [one for one in IDENTITIES.scan(attempt.tx, **within) if self._visible(attempt, one)]
            return tuple(sorted(seen, key=lambda one: (one.group, one.folded)))

    def delete_identity(self, caller: Caller, name: str, *, resource_group: str | None = None) -> ManagedIdentity:
        """Delete an identity for good, with every role it was given, could take up or asked for, and its place in every
        group. Raises Forbidden for the last Owner, and for the last administrator of a Managed HSM."""
        group = resource_group or self._settings.resource_group
        with self._identity_attempt(caller, "ManagedIdentityDelete", group, name) as attempt, attempt.transaction():
            there = self._identity(attempt, group, name, DELETE)
            attempt.details.update(principal=there.principal_id)
            self._take_away_everything(attempt, there.principal_id)
            attempt.changes_registry().remove_principal(attempt.tx, there.principal_id)
            IDENTITIES.delete(attempt.tx, there.group, there.folded)
            return there

    def _take_away_everything(self, attempt: Attempt, principal_id: str) -> None:
        """Take away all that a principal was given. Where it approves something it stays named: an approval that nobody
        can give any more is safer than one that nobody has to give."""
        registry = attempt.changes_registry()
        for given in [one for one in registry.role_assignments.values() if one.principal_id == principal_id]:
            require_another_owner(registry, given, self.top)
            registry.remove_assignment(attempt.tx, given)
        for home in [vault for vault in registry.vaults.values() if vault.pool is not None]:
            local = registry.local(home.name)
            for inside in [one for one in local.assignments.values() if one.principal_id == principal_id]:
                self._require_another_administrator(attempt, local, inside, home)
                registry.remove_local_assignment(attempt.tx, home, inside)
        for vault in registry.vaults.values():
            policy = registry.policies(vault).by_principal.get(principal_id)
            if policy is not None:
                registry.remove_policy(attempt.tx, vault, policy)
        for eligible in [one for one in ELIGIBLE.scan(attempt.tx) if one.principal_id == principal_id]:
            ELIGIBLE.delete(attempt.tx, eligible.id)
        for request in [one for one in REQUESTS.scan(attempt.tx) if one.principal_id == principal_id]:
            REQUESTS.delete(attempt.tx, request.id)
        for secret in CLIENT_SECRETS.scan(attempt.tx, principal_id=principal_id):
            CLIENT_SECRETS.delete(attempt.tx, principal_id, secret.id)
        delete_credentials(attempt.tx, principal_id)

    def _require_another_administrator(
        self, attempt: Attempt, local: LocalAccess, given: LocalAssignment, home: Vault
    ) -> None:
        try:
            require_another_administrator(local, given, home)
        except Forbidden:
            # Who may delete the identity need not know the Managed HSMs it administers.
            if attempt.may(READ_HSM, self._scope(home), data=False):
                raise
            raise errors.denied_plainly() from None

    def _identity_attempt(self, caller: Caller, operation: str, group: str, name: str) -> Attempt:
        return self._attempt(caller, operation, identity_scope(self.top.subscription, group, name))

    def _identity(self, attempt: Attempt, group: str, name: str, action: str) -> ManagedIdentity:
        attempt.require(action, attempt.subject, data=False)
        there = IDENTITIES.get(attempt.tx, folded(group), folded(name))
        if there is not None:
            return there
        others = [one.name for one in IDENTITIES.scan(attempt.tx, group=folded(group)) if self._visible(attempt, one)]
        raise errors.not_found("managed identity", name, f" in the resource group `{group}`", near(name, others))

    def _visible(self, attempt: Attempt, identity: ManagedIdentity) -> bool:
        place = identity_scope(self.top.subscription, identity.resource_group, identity.name)
        return attempt.may(READ, place, data=False)


def _problems(identity: ManagedIdentity) -> Iterator[tuple[str, str]]:
    for attribute, problem in (
        ("name", identity_name_problem(identity.name)),
        ("resource_group", resource_group_name_problem(identity.resource_group)),
    ):
        if problem:
            yield attribute, problem
    for tag, words in tag_rules.problems(identity.tags):
        yield f"tags.{tag}" if tag else "tags", words
