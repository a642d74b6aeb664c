"""Roles inside a Managed HSM: given, taken away, defined, listed. Only these give a right to its keys."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kvstack.terms import local_role as local_role_rules
from kvstack.terms.local_role import ADMINISTRATOR, local_roles, scope_problem
from kvstack.terms.name import folded
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType, is_guid
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.assignments import told_type
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.local_access import LocalAccess, LocalAssignment, LocalRole
from kvstack.vault.pool_home import inside
from kvstack.vault.records import Vault

_POOL: Final = "Microsoft.KeyVault/managedHsm"
READ: Final = f"{_POOL}/roleAssignments/read/action"
WRITE: Final = f"{_POOL}/roleAssignments/write/action"
DELETE: Final = f"{_POOL}/roleAssignments/delete/action"
READ_ROLES: Final = f"{_POOL}/roleDefinitions/read/action"
WRITE_ROLES: Final = f"{_POOL}/roleDefinitions/write/action"
DELETE_ROLES: Final = f"{_POOL}/roleDefinitions/delete/action"


class LocalRoleOperations(Engine):
    """What can be done with the roles inside a Managed HSM."""

    def assign_local_role(
        self,
        caller: Caller,
        hsm: str,
        *,
        role: str,
        principal_id: str,
        principal_type: PrincipalType | None,
        scope: str = "/",
        id: str | None = None,  # noqa: A002  # the record's own word
    ) -> LocalAssignment:
        """Give a principal a role in a Managed HSM. role: a name or an id; principal_type: what the directory knows it
        as where None; scope: `/`, `/keys`, `/keys/NAME`; id: made from scope, role and principal where None. Raises
        Conflict where the principal has the role there already."""
        with self._attempt(caller, "LocalRoleAssignmentPut", self._scope(hsm)) as attempt, attempt.transaction():
            principal_type = told_type(attempt.registry, principal_id, principal_type)
            _require_assignable(scope, principal_id, principal_type, id)
            home, _ = inside(attempt, hsm, WRITE, scope.removeprefix("/"))
            local = attempt.registry.local(home.name)
            definition = _named(role, local.roles())
            assignment = local_assignment(
                home, scope, definition.id, principal_id, principal_type, attempt.now, caller.id, id
            )
            attempt.details.update(role=definition.name, principal=assignment.principal_id, assignment=assignment.id)
            for other in local.assignments.values():
                if _three(other) == _three(assignment):
                    raise Conflict(
                        f"the principal {principal_id} has the role `{definition.name}` at {scope} of Managed HSM "
                        f"`{home.name}` already",
                        f"Its assignment is {other.id}.",
                        code="RoleAssignmentExists",
                    )
            if assignment.id in local.assignments:
                raise Conflict(
                    f"the role assignment {assignment.id} is there already, of another scope, role or principal",
                    code="RoleAssignmentUpdateNotPermitted",
                )
            attempt.changes_registry().put_local_assignment(attempt.tx, home, assignment)
            return assignment

    def unassign_local_role(
        self,
        caller: Caller,
        hsm: str,
        id: str,  # noqa: A002
        *,
        scope: str | None = None,
    ) -> LocalAssignment:
        """Take a role in a Managed HSM away. Its last administrator stays: nobody could ever give access again. scope:
        the one it has to be at, any where None."""
        with self._attempt(caller, "LocalRoleAssignmentDelete", self._scope(hsm)) as attempt, attempt.transaction():
            home, assignment = self._local_assignment(attempt, hsm, id, DELETE, scope)
            attempt.details.update(principal=assignment.principal_id, assignment=assignment.id)
            require_another_administrator(attempt.registry.local(home.name), assignment, home)
            attempt.changes_registry().remove_local_assignment(attempt.tx, home, assignment)
            return assignment

    def get_local_assignment(
        self,
        caller: Caller,
        hsm: str,
        id: str,  # noqa: A002
        *,
        scope: str | None = None,
    ) -> LocalAssignment:
        """Return an assignment inside a Managed HSM. scope: the one it has to be at, any where None."""
        with self._attempt(caller, "LocalRoleAssignmentGet", self._scope(hsm)) as attempt, attempt.reading():
            return self._local_assignment(attempt, hsm, id, READ, scope)[1]

    def list_local_assignments(self, caller: Caller, hsm: str) -> tuple[LocalAssignment, ...]:
        """Return the assignments inside a Managed HSM that the caller may see, the widest scope first."""
        with self._attempt(caller, "LocalRoleAssignmentList", self._scope(hsm)) as attempt, attempt.reading():
            home, everything = self._seeing(attempt, hsm, READ)
            found = [
                one
                for one in attempt.registry.local(home.name).assignments.values()
                if everything or attempt.may(READ, _at(self._scope(home), one.scope), data=True)
            ]
            return tuple(sorted(found, key=lambda one: (one.scope.lower(), one.role_id, one.principal_id)))

    def define_local_role(
        self,
        caller: Caller,
        hsm: str,
        *,
        name: str,
        data_actions: Sequence[str],
        description: str = "",
        not_data_actions: Sequence[str] = (),
        id: str | None = None,  # noqa: A002  # the record's own word
    ) -> LocalRole:
        """Define a role of a Managed HSM's own, or change the one of this id: every assignment of it counts by the new
        definition at once. Raises Conflict for a name another role has."""
        with self._attempt(caller, "LocalRoleDefinitionPut", self._scope(hsm)) as attempt, attempt.transaction():
            home, _ = inside(attempt, hsm, WRITE_ROLES)
            definition = RoleDefinition(
                id=(id or str(uuid.UUID(bytes=self._random(16), version=4))).lower(),
                name=name,
                description=description,
                data_actions=tuple(data_actions),
                not_data_actions=tuple(not_data_actions),
            )
            local = attempt.registry.local(home.name)
            _require_definable(definition, local.roles())
            there = local.custom_roles.get(definition.id)
            role = LocalRole(
                vault_id=home.id,
                id=definition.id,
                definition=definition,
                created=there.created if there is not None else attempt.now,
                updated=attempt.now,
                updated_by=caller.id,
            )
            attempt.details.update(role=name, definition=definition.id)
            attempt.changes_registry().put_local_role(attempt.tx, home, role)
            return role

    def remove_local_role(self, caller: Caller, hsm: str, id: str) -> LocalRole:  # noqa: A002
        """Take a role of a Managed HSM's own away. Raises Conflict while anybody has it."""
        with self._attempt(caller, "LocalRoleDefinitionDelete", self._scope(hsm)) as attempt, attempt.transaction():
            home, _ = inside(attempt, hsm, DELETE_ROLES)
            local = attempt.registry.local(home.name)
            if id.lower() in local_roles():
                raise BadParameter(f"{id} is a built-in role: nobody changes those", code="RoleDefinitionReadOnly")
            role = local.custom_roles.get(id.lower())
            if role is None:
                raise _no_definition(id, home)
            attempt.details.update(role=role.definition.name, definition=role.id)
            given = [one for one in local.assignments.values() if one.role_id == role.id]
            if given:
                raise Conflict(
                    f"the role `{role.definition.name}` is given {len(given)} times in Managed HSM `{home.name}`",
                    f"Take its assignments away first; one is {given[0].id}, at {given[0].scope}.",
                    code="RoleDefinitionHasAssignments",
                )
            attempt.changes_registry().remove_local_role(attempt.tx, home, role)
            return role

    def get_local_role(self, caller: Caller, hsm: str, id: str) -> RoleDefinition:  # noqa: A002
        """Return a role there is inside a Managed HSM, a built-in one too."""
        with self._attempt(caller, "LocalRoleDefinitionGet", self._scope(hsm)) as attempt, attempt.reading():
            home, _ = self._seeing(attempt, hsm, READ_ROLES)
            found = attempt.registry.local(home.name).roles().get(id.lower())
            if found is None:
                raise _no_definition(id, home)
            return found

    def list_local_roles(self, caller: Caller, hsm: str) -> tuple[RoleDefinition, ...]:
        """Return every role there is inside a Managed HSM, the built-in ones first."""
        with self._attempt(caller, "LocalRoleDefinitionList", self._scope(hsm)) as attempt, attempt.reading():
            home, _ = self._seeing(attempt, hsm, READ_ROLES)
            built_in, roles = local_roles(), attempt.registry.local(home.name).roles()
            return tuple(sorted(roles.values(), key=lambda one: (one.id not in built_in, folded(one.name))))

    def _seeing(self, attempt: Attempt, hsm: str, action: str) -> tuple[Vault, bool]:
        """Return a Managed HSM, and whether the caller may see all there is of something in it; else whoever has a
        right at any scope sees what is at that scope."""
        vault = attempt.registry.vault(hsm)
        if vault is not None and vault.pool is not None and vault.deletion is None and vault.pool.activated is not None:
            scope = attempt.subject = self._scope(vault)
            local = attempt.registry.local(vault.name)
            scopes = {one.scope for one in local.assignments.values()}
            if not attempt.may(action, scope, data=True) and any(
                attempt.may(action, _at(scope, one), data=True) for one in scopes
            ):
                attempt.require_let_in(vault)
                return vault, False
        return inside(attempt, hsm, action)[0], True

    def _local_assignment(
        self,
        attempt: Attempt,
        hsm: str,
        id: str,  # noqa: A002
        action: str,
        scope: str | None,
    ) -> tuple[Vault, LocalAssignment]:
        found = attempt.registry.local(hsm).assignments.get(id.lower())
        if found is not None and scope is not None and found.scope.lower() != scope.lower():
            found = None
        item = found.scope.removeprefix("/") if found is not None else ""
        home, _ = inside(attempt, hsm, action, item)
        if found is None:
            raise NotFound(
                f"there is no role assignment {id} in Managed HSM `{home.name}`", code="RoleAssignmentNotFound"
            )
        return home, found


def local_assignment(
    home: Vault,
    scope: str,
    role_id: str,
    principal_id: str,
    principal_type: PrincipalType,
    now: datetime,
    by: str,
    id: str | None = None,  # noqa: A002
) -> LocalAssignment:
    """Return an assignment inside a Managed HSM. id: made from scope, role and principal where None: the same three
    make the same id, so that it is made once."""
    principal, name = principal_id.lower(), f"{home.id}|{scope.lower()}|{role_id.lower()}|{principal_id.lower()}"
    return LocalAssignment(
        vault_id=home.id,
        id=(id or str(uuid.uuid5(uuid.NAMESPACE_URL, name))).lower(),
        scope=scope,
        role_id=role_id,
        principal_id=principal,
        principal_type=principal_type,
        created=now,
        created_by=by,
    )


def require_another_administrator(local: LocalAccess, assignment: LocalAssignment, home: Vault) -> None:
    """Refuse to take the last administrator of a Managed HSM away: nobody could ever give access again."""
    if _lasting(assignment) and not any(
        other.id != assignment.id and _lasting(other) for other in local.assignments.values()
    ):
        raise Forbidden(
            f"the last administrator of Managed HSM `{home.name}` cannot be taken away",
            "Make somebody else `Managed HSM Administrator` at `/` first.",
        )


def _no_definition(id: str, home: Vault) -> NotFound:  # noqa: A002
    return NotFound(f"there is no role definition {id} in Managed HSM `{home.name}`", code="RoleDefinitionDoesNotExist")


def _three(assignment: LocalAssignment) -> tuple[str, str, str]:
    return assignment.scope.lower(), assignment.role_id, assignment.principal_id


def _lasting(assignment: LocalAssignment) -> bool:
    return assignment.role_id == ADMINISTRATOR and assignment.scope == "/"


def _at(scope: Scope, local: str) -> Scope:
    return Scope(scope.subscription, scope.resource_group, scope.vault, local.removeprefix("/"), True)


def _named(role: str, roles: dict[str, RoleDefinition]) -> RoleDefinition:
    try:
        return local_role_rules.named(role, roles)
    except ValueError as error:
        raise BadParameter(str(error), code="RoleDefinitionDoesNotExist") from None


def _require_assignable(scope: str, principal_id: str, principal_type: str, id: str | None) -> None:  # noqa: A002
    problem = scope_problem(scope)
    if problem:
        raise BadParameter(problem)
    if not is_guid(principal_id):
        raise BadParameter(f"`{principal_id}` is no principal's id: a GUID is")
    if principal_type not in PRINCIPAL_TYPES:
        raise BadParameter(f"`{principal_type}` is no type of principal: {', '.join(PRINCIPAL_TYPES)} are")
    if id is not None and not is_guid(id):
        raise BadParameter(f"`{id}` is no role assignment's id: a GUID is")


def _require_definable(definition: RoleDefinition, roles: dict[str, RoleDefinition]) -> None:
    if not is_guid(definition.id):
        raise BadParameter(f"`{definition.id}` is no role definition's id: a GUID is")
    if definition.id in local_roles():
        raise BadParameter(f"{definition.id} is a built-in role: nobody changes those", code="RoleDefinitionReadOnly")
    found = list(local_role_rules.problems(definition))
    if found:
        raise BadParameter.of(found)
    for other in roles.values():
        if folded(other.name) == folded(definition.name) and other.id != definition.id:
            raise Conflict(
                f"there is a local role `{other.name}` already",
                f"Its definition is {other.id}; no two roles have one name.",
                code="RoleDefinitionWithSameNameExists",
            )
