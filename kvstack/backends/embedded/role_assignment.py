"""Role assignments in the embedded vault."""

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.names import name_of
from kvstack.backends.embedded.people import principal_id
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.schema.resource import Resource
from kvstack.terms.principal import PrincipalType
from kvstack.terms.role import role
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class RoleAssignmentHandler:
    """Gives roles and takes them away. An assignment's id is made of its scope, role and principal: two runs make
    one."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[RoleAssignment]) -> Actual[Resource]:
        """Give the role."""
        try:
            return self._given(wanted.resource)
        except Conflict:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise

    def update(
        self, actual: Actual[RoleAssignment], wanted: Wanted[RoleAssignment], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change from when and until when, the condition and the description: taken away and given again in one step,
        without a gap."""
        with self._service.batch():
            self._service.delete_role_assignment(self._caller, actual.id)
            return self._given(wanted.resource)

    def delete(self, actual: Actual[RoleAssignment]) -> None:
        """Take the role away. One that is gone already is no error."""
        try:
            self._service.delete_role_assignment(self._caller, actual.id)
        except NotFound:
            return

    def _given(self, assignment: RoleAssignment) -> Actual[Resource]:
        scope = self._places.scope(assignment.scope)
        kind: PrincipalType = assignment.principal_type or "service_principal"
        principal = principal_id(self._service, self._caller, assignment.principal)
        try:
            given = self._service.create_role_assignment(
                self._caller,
                scope,
                id=name_of(self._owner, scope, role(assignment.role).id, principal),
                role=assignment.role,
                principal_id=principal,
                principal_type=kind,
                starts=assignment.starts,
                expires=assignment.until,
                description=assignment.description,
                condition=assignment.condition,
            )
        except Conflict as error:
            raise error.with_detail("Somebody gave it since the plan was made: run `kvstack plan` again.") from None
        return reading.of_assignment(given, self._owner, {principal: assignment.principal})
