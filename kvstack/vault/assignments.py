"""Role assignments: handed out, taken away, listed; who may hand out what."""

import uuid
from datetime import datetime
from typing import Final

from kvstack.terms.approval import Deed, access, role_words
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType, is_guid
from kvstack.terms.role import OWNER, RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import Request, scope_key
from kvstack.vault.approval_guard import named, place, require_approved
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import ELIGIBLE, REQUESTS
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.items import moment
from kvstack.vault.registry import Registry
from kvstack.vault.role_definitions import require_assignable
from kvstack.vault.transaction import Transaction

READ: Final = "Microsoft.Authorization/roleAssignments/read"
WRITE: Final = "Microsoft.Authorization/roleAssignments/write"
DELETE: Final = "Microsoft.Authorization/roleAssignments/delete"


class AssignmentOperations(Engine):
    """What can be done with role assignments."""

    def create_role_assignment(
        self,
        caller: Caller,
        scope: Scope,
        *,
        role: str,
        principal_id: str,
        principal_type: PrincipalType | None,
        id: str | None = None,  # noqa: A002  # the record's own word
        starts: datetime | None = None,
        expires: datetime | None = None,
        description: str = "",
        condition: str = "",
    ) -> RoleAssignment:
        """Give a principal a role. role: a name or an id; principal_type: what the directory knows it as where None;
        id: made from scope, role and principal where None; condition: what else has to hold. Raises Conflict where the
        principal has the role at this scope already."""
        with self._attempt(caller, "RoleAssignmentPut", scope) as attempt, attempt.transaction():
            here = self._placed(attempt, scope)
            attempt.subject = here
            # Before anything is told about roles and where they may be given.
            attempt.require(WRITE, here, data=False)
            principal_type = told_type(attempt.registry, principal_id, principal_type)
            found = checked_role(attempt.registry, role, principal_id, principal_type, id)
            require_assignable(attempt.registry.custom_roles.get(found.id), here)
            if condition:
                from kvstack.vault.conditions import require_readable  # most assignments have none

                require_readable(condition)
            self._require_may_hand_out(attempt, WRITE, here, found)
            assignment = RoleAssignment(
                id=(id or assignment_id(here, found.id, principal_id)).lower(),
                scope=here,
                role_id=found.id,
                principal_id=principal_id.lower(),
                principal_type=principal_type,
                starts=moment("starts", starts),
                expires=moment("expires", expires),
                description=description,
                condition=condition,
                created=attempt.now,
                created_by=caller.id,
            )
            if assignment.starts and assignment.expires and assignment.expires <= assignment.starts:
                raise BadParameter("expires: the assignment ends before it starts")
            self._require_home(attempt, here)
            for other in attempt.registry.assignments.at(assignment.principal_id, here):
                if other.role_id == assignment.role_id:
                    raise Conflict(
                        f"the principal {principal_id} has the role `{found.name}` at {here.path} already",
                        f"Its assignment is {other.id}.",
                        code="RoleAssignmentExists",
                    )
            if assignment.id in attempt.registry.role_assignments:
                raise Conflict(
                    f"the role assignment {assignment.id} is there already, of another scope, role or principal",
                    code="RoleAssignmentUpdateNotPermitted",
                )
            attempt.details.update(role=found.name, principal=assignment.principal_id, assignment=assignment.id)
            require_approved(attempt, _deed(attempt, "give", assignment, found))
            attempt.changes_registry().put_assignment(attempt.tx, assignment)
            return assignment

    def delete_role_assignment(
        self,
        caller: Caller,
        id: str,  # noqa: A002
        *,
        scope: Scope | None = None,
    ) -> RoleAssignment:
        """Take a role away. scope: the one it has to be at, any where None. The last Owner at the top stays: nobody
        could ever give access again."""
        with self._attempt(caller, "RoleAssignmentDelete", self.top) as attempt, attempt.transaction():
            assignment = self._assignment(attempt, id, DELETE, scope)
            definition = attempt.registry.roles().get(assignment.role_id)
            if definition is not None:
                self._require_may_hand_out(attempt, DELETE, assignment.scope, definition)
            attempt.details.update(
                role=definition.name if definition is not None else assignment.role_id,
                principal=assignment.principal_id,
                assignment=assignment.id,
            )
            require_another_owner(attempt.registry, assignment, self.top)
            require_approved(attempt, _deed(attempt, "take", assignment, definition))
            attempt.changes_registry().remove_assignment(attempt.tx, assignment)
            return assignment

    def get_role_assignment(
        self,
        caller: Caller,
        id: str,  # noqa: A002
        *,
        scope: Scope | None = None,
    ) -> RoleAssignment:
        """Return a role assignment. scope: the one it has to be at, any where None."""
        with self._attempt(caller, "RoleAssignmentGet", self.top) as attempt, attempt.reading():
            return self._assignment(attempt, id, READ, scope)

    def list_role_assignments(
        self,
        caller: Caller,
        scope: Scope | None = None,
        *,
        above: bool = True,
        below: bool = True,
        principal_id: str = "",
        with_groups: bool = False,
        in_force: bool = False,
    ) -> tuple[RoleAssignment, ...]:
        """Return role assignments: all, or those at a scope, and above and below it as asked; of these, those
        the caller may see. The scopes above are seen with the right at the scope itself: they hold there. principal_id:
        of this principal only, everybody's where empty; with_groups: and of the groups it is in; in_force: only those
        that hold now."""
        with self._attempt(caller, "RoleAssignmentList", scope or self.top) as attempt, attempt.reading():
            here = self._placed(attempt, scope or self.top)
            seen_here = attempt.may(READ, here, data=False)
            if not seen_here and scope is not None and not below:
                raise attempt.denied(READ, here, data=False)
            whose = Caller(principal_id.lower())
            acting = frozenset(attempt.registry.principals_of(whose) if with_groups else (whose.id,))
            return tuple(
                assignment
                for assignment in attempt.registry.role_assignments.values()
                if _related(assignment.scope, here, above=above, below=below)
                and (not principal_id or assignment.principal_id in acting)
                and (not in_force or assignment.holds(attempt.now, attempt.latest))
                and (seen_here or attempt.may(READ, assignment.scope, data=False))
            )

    def _assignment(
        self,
        attempt: Attempt,
        id: str,  # noqa: A002
        action: str,
        scope: Scope | None = None,
    ) -> RoleAssignment:
        assignment = attempt.registry.role_assignments.get(id.lower())
        if assignment is None or (scope is not None and scope_key(assignment.scope) != scope_key(scope)):
            attempt.require(action, scope or self.top, data=False)
            raise NotFound(f"there is no role assignment {id}", code="RoleAssignmentNotFound")
        attempt.subject = assignment.scope
        attempt.require(action, assignment.scope, data=False)
        return assignment

    def _placed(self, attempt: Attempt, scope: Scope) -> Scope:
        """Return a scope as the things in it are spelled."""
        if not scope.vault:
            return scope
        vault = attempt.registry.vault(scope.vault)
        if vault is None or vault.resource_group.lower() != scope.resource_group.lower():
            return scope
        return self._scope(vault, scope.item)

    def _require_home(self, attempt: Attempt, scope: Scope) -> None:
        """Refuse a scope that is not there; of a thing in a vault, the vault has to be."""
        if scope.subscription.lower() != self.top.subscription.lower():
            raise NotFound(f"there is no subscription {scope.subscription}", code="SubscriptionNotFound")
        if not scope.vault and scope.item:
            raise BadParameter(
                f"no role is given at a managed identity: {scope.path}", "Give it at its resource group."
            )
        if not scope.vault:
            return
        vault = attempt.registry.vault(scope.vault)
        if vault is None or vault.deletion is not None:
            raise attempt.vault_not_found(scope.vault)
        if vault.pool is not None and scope.item:
            raise BadParameter(
                f"no role of resource manager gives a right inside Managed HSM `{vault.name}`",
                f"`kvstack managed-hsm role assign {vault.name}` gives a local one.",
            )
        if vault.resource_group.lower() != scope.resource_group.lower():
            raise NotFound(
                f"there is no vault `{scope.vault}` in the resource group `{scope.resource_group}`",
                f"It is in `{vault.resource_group}`.",
                code="VaultNotFound",
            )

    def _require_may_hand_out(self, attempt: Attempt, action: str, scope: Scope, role: RoleDefinition) -> None:
        """Refuse a caller none of whose assignments lets him give or take this role, or whom a denial stops."""
        attempt.require(action, scope, data=False)
        request = Request(attempt.registry.principals_of(attempt.caller), action, False, scope)
        limited: set[str] = set()
        for assignment in attempt.registry.assignments.granting(request, attempt.now, attempt.latest):
            granting = attempt.registry.assignments.permissions(assignment)
            if granting is None:
                continue
            if granting.role.may_assign is None or role.id in granting.role.may_assign:
                return
            limited.add(granting.role.name)
        raise Forbidden(
            f"{attempt.caller.words} may not give or take the role `{role.name}` at {scope.path}",
            f"{' and '.join(sorted(limited))} may hand out only the Key Vault data roles.",
            inner="ForbiddenByRbac",
        )


def assignment_id(scope: Scope, role_id: str, principal_id: str) -> str:
    """Return the id of an assignment that was given none: the same three make the same id, so that it is made once."""
    name = "|".join((scope.path.lower(), role_id.lower(), principal_id.lower()))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def drop_assignments_below(tx: Transaction, registry: Registry, scope: Scope) -> None:
    """Take away every role at a scope or below it, everybody's eligibility for one, and every denial."""
    for assignment in [one for one in registry.role_assignments.values() if scope.contains(one.scope)]:
        registry.remove_assignment(tx, assignment)
    for denial in [one for one in registry.denials.values() if scope.contains(one.scope)]:
        registry.remove_denial(tx, denial)
    for eligible in ELIGIBLE.scan(tx):
        if scope.contains(eligible.scope):
            for request in REQUESTS.scan(tx, eligible_id=eligible.id):
                REQUESTS.delete(tx, request.id)
            ELIGIBLE.delete(tx, eligible.id)


def told_type(registry: Registry, principal_id: str, told: PrincipalType | None) -> PrincipalType:
    """Return a principal's type, where it was told as Azure does: not at all, or a managed identity as the service
    principal it is, too."""
    known = registry.principals.get(principal_id.lower())
    if told is None:
        return known.type if known is not None else "user"
    if told == "service_principal" and known is not None and known.type == "managed_identity":
        return known.type
    return told


def checked_role(
    registry: Registry,
    role: str,
    principal_id: str,
    principal_type: str,
    id: str | None,  # noqa: A002
) -> RoleDefinition:
    """Return the role that is meant. Raises BadParameter for what makes no sense in an assignment."""
    try:
        found = registry.role(role)
    except ValueError as error:
        raise BadParameter(str(error)) from None
    if not is_guid(principal_id):
        raise BadParameter(f"`{principal_id}` is no principal's id: a GUID is")
    if principal_type not in PRINCIPAL_TYPES:
        raise BadParameter(f"`{principal_type}` is no type of principal: {', '.join(PRINCIPAL_TYPES)} are")
    if id is not None and not is_guid(id):
        raise BadParameter(f"`{id}` is no role assignment's id: a GUID is")
    return found


def require_another_owner(registry: Registry, assignment: RoleAssignment, top: Scope) -> None:
    """Refuse to take the last Owner at the top away: nobody could ever give access again."""
    if _is_lasting_owner(assignment, top) and not any(
        other.id != assignment.id and _is_lasting_owner(other, top) for other in registry.role_assignments.values()
    ):
        raise Forbidden(
            "the last Owner of the subscription cannot be taken away",
            "Make somebody else Owner there first, without an end.",
        )


def _deed(attempt: Attempt, verb: str, given: RoleAssignment, role: RoleDefinition | None) -> Deed:
    """Return the giving or taking of a role, as an approval is about it."""
    name, who = role.name if role is not None else given.role_id, named(attempt, given.principal_id)
    return access(place(given.scope), verb, role_words(name, who, given.starts, given.expires, given.condition))


def _is_lasting_owner(assignment: RoleAssignment, top: Scope) -> bool:
    return (
        assignment.role_id == OWNER
        and scope_key(assignment.scope) == scope_key(top)
        and assignment.starts is None
        and assignment.expires is None
        and not assignment.condition
    )


def _related(scope: Scope, here: Scope, *, above: bool, below: bool) -> bool:
    if scope_key(scope) == scope_key(here):
        return True
    return (above and scope.contains(here)) or (below and here.contains(scope))
