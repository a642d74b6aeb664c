"""Who may do what inside one Managed HSM: its local roles and assignments, asked of the one evaluator."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from kvstack.terms.local_role import local_action, local_data_actions, local_roles
from kvstack.terms.principal import PrincipalType
from kvstack.terms.right import Right, rights_at
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault import errors
from kvstack.vault.access import DENIED, Assignments, Decision, Request, decision, smallest_role
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.errors import VaultError
from kvstack.vault.records import Vault
from kvstack.vault.table import Row, Table


class LocalAssignment(Row, frozen=True, kw_only=True):
    """That a principal has a role inside a Managed HSM. vault_id: the Managed HSM's; id: a GUID; scope: `/`, `/keys` or
    `/keys/NAME`; role_id, principal_id: in lower case."""

    vault_id: str
    id: str
    scope: str
    role_id: str
    principal_id: str
    principal_type: PrincipalType
    created: datetime
    created_by: str = ""


class LocalRole(Row, frozen=True, kw_only=True):
    """A role of a Managed HSM's own. id: the definition's, a GUID in lower case."""

    vault_id: str
    id: str
    definition: RoleDefinition
    created: datetime
    updated: datetime
    updated_by: str = ""


LOCAL_ASSIGNMENTS = Table("local_assignments", LocalAssignment, ("vault_id", "id"))
LOCAL_ROLES = Table("local_roles", LocalRole, ("vault_id", "id"))


class LocalAccess:
    """The local roles and assignments of one Managed HSM."""

    def __init__(self, assignments: Iterable[LocalAssignment] = (), roles: Iterable[LocalRole] = ()) -> None:
        self.custom_roles = {role.id: role for role in roles}
        self.assignments = {assignment.id: assignment for assignment in assignments}
        self._evaluated = Assignments(map(_evaluable, self.assignments.values()), self.roles())

    def roles(self) -> dict[str, RoleDefinition]:
        """Return every local role definition by id."""
        return {**local_roles(), **{role.id: role.definition for role in self.custom_roles.values()}}

    def decide(self, principals: tuple[str, ...], action: str, scope: Scope, now: datetime) -> Decision:
        """Return whether somebody may do something: denied, unless a local assignment at the scope or above allows it.

        action: a vault's or a Managed HSM's own; scope: the Managed HSM's, or of something in it.
        """
        asked = _request(principals, action, scope)
        return DENIED if asked is None else decision(asked, self._evaluated, now)

    def granting(
        self, principals: tuple[str, ...], action: str, scope: Scope, now: datetime
    ) -> Iterator[LocalAssignment]:
        """Yield every assignment that allows something, nearest scope first."""
        asked = _request(principals, action, scope)
        if asked is not None:
            for found in self._evaluated.granting(asked, now):
                yield self.assignments[found.id]

    def reach(self, principals: tuple[str, ...], scope: str, now: datetime) -> Iterator[tuple[str, tuple[Right, ...]]]:
        """Yield the id of every assignment that gives somebody rights at a local scope, with these rights.

        What is done with keys, and with no one key, is looked for at `/keys`, as it is decided.
        """
        place = _place("/keys" if scope == "/" else scope)
        for assignment, role in self._evaluated.in_force(principals, place, now):
            rights = tuple(right for right in rights_at("managed_hsm") if role.allow(_local(right), data=True))
            if rights:
                yield assignment.id, rights

    def smallest_role(self, action: str) -> RoleDefinition | None:
        """Return the role that allows an action and the least beside it."""
        local = local_action(action)
        if local is None:
            return None
        everything = local_data_actions()
        return smallest_role(local, data=True, roles=self.roles().values(), all_data_actions=everything)

    def known(self, principals: tuple[str, ...]) -> bool:
        """Tell whether somebody has any role here."""
        return any(one.principal_id in principals for one in self.assignments.values())

    def refusal(self, home: Vault, who: str, action: str, scope: Scope) -> VaultError:
        """Return why somebody who knows of the Managed HSM may not do something in it. who: in words."""
        local = local_action(action)
        if local is None:
            return errors.keys_only(home.name)
        if home.pool is not None and home.pool.activated is None and "/securitydomain/" not in local:
            return errors.not_activated(home.name)
        role = self.smallest_role(action)
        return errors.denied_locally(who, local, home.name, local_scope(scope), role.name if role else None)

    # Keeping up with the store

    def put_assignment(self, assignment: LocalAssignment) -> None:
        """Count one that was not there."""
        self.assignments[assignment.id] = assignment
        self._evaluated.add(_evaluable(assignment))

    def remove_assignment(self, assignment: LocalAssignment) -> None:
        """Count one no longer."""
        del self.assignments[assignment.id]
        self._evaluated.remove(_evaluable(assignment))

    def put_role(self, role: LocalRole) -> None:
        """Count assignments of a role by this definition from here on."""
        self.custom_roles[role.id] = role
        self._evaluated.put_role(role.definition)

    def remove_role(self, role: LocalRole) -> None:
        """Let assignments of a role allow nothing."""
        del self.custom_roles[role.id]
        self._evaluated.remove_role(role.id)


def _local(right: Right) -> str:
    return local_action(right.action) or right.action


def local_scope(scope: Scope) -> str:
    """Return the scope inside a Managed HSM: `/`, `/keys` or `/keys/NAME`."""
    return f"/{scope.item}"


def _request(principals: tuple[str, ...], action: str, scope: Scope) -> Request | None:
    """Return what the evaluator is asked, None for an action on what a Managed HSM does not hold."""
    local = local_action(action)
    return None if local is None else Request(principals, local, True, _place(_within(local, scope)))


def _within(action: str, scope: Scope) -> str:
    # What is done with keys, and with no one key, is done at `/keys`.
    if not scope.item and action.startswith("Microsoft.KeyVault/managedHsm/keys/"):
        return "/keys"
    return local_scope(scope)


def _evaluable(assignment: LocalAssignment) -> RoleAssignment:
    return RoleAssignment(
        id=assignment.id,
        scope=_place(assignment.scope),
        role_id=assignment.role_id,
        principal_id=assignment.principal_id,
        principal_type=assignment.principal_type,
        created=assignment.created,
    )


def _place(scope: str) -> Scope:
    """Return a local scope as the evaluator takes it: a tree of three levels, whose parts have other names there."""
    _, collection, name = (*scope.split("/", 2), "")[:3]
    return Scope("/", collection, name)
