"""Role assignments in the embedded vault: roles given, and roles that may be taken up for a while."""

import contextlib

from kvstack.backends.embedded import reading, reading_access
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.names import eligible_name, name_of
from kvstack.backends.embedded.people import principal_id
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import is_built_in
from kvstack.schema.resource import Resource
from kvstack.terms.name import folded
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
        self._own_roles: dict[str, str] = {}

    def create(self, wanted: Wanted[RoleAssignment]) -> Actual[Resource]:
        """Give the role, or let its holder take it up."""
        try:
            return self._given(wanted.resource)
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody gave it since the plan was made: run `kvstack plan` again.") from None

    def update(
        self, actual: Actual[RoleAssignment], wanted: Wanted[RoleAssignment], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Change the terms, from when and until when, the condition and the description. What is given is taken away
        and given again in one step, without a gap; activations of what is eligible stay."""
        only_ours = changed == {"owner"}
        match (wanted.resource.eligible, only_ours):
            case (None, _):
                with self._service.batch():
                    self._service.delete_role_assignment(self._caller, actual.id)
                    return self._given(actual.resource if only_ours else wanted.resource)
            case (_, True):
                return actual  # type: ignore[return-value]  # one of its own resource type
            case _:
                return self._may_take_up(wanted.resource, actual.id)

    def delete(self, actual: Actual[RoleAssignment]) -> None:
        """Take the role away; with what is eligible, its activations. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            if actual.resource.eligible is not None:
                self._service.delete_eligible_assignment(self._caller, actual.id)
            else:
                self._service.delete_role_assignment(self._caller, actual.id)

    def _given(self, assignment: RoleAssignment) -> Actual[Resource]:
        if assignment.eligible is not None:
            return self._may_take_up(assignment)
        scope = self._places.scope(assignment.scope)
        kind: PrincipalType = assignment.principal_type or "service_principal"
        principal = principal_id(self._service, self._caller, assignment.principal)
        given = self._service.create_role_assignment(
            self._caller,
            scope,
            id=name_of(self._owner, scope, self._role_id(assignment.role), principal),
            role=assignment.role,
            principal_id=principal,
            principal_type=kind,
            starts=assignment.starts,
            expires=assignment.until,
            description=assignment.description,
            condition=assignment.condition,
        )
        return reading.of_assignment(given, assignment.role, self._owner, {principal: assignment.principal})

    def _may_take_up(self, assignment: RoleAssignment, there: str | None = None) -> Actual[Resource]:
        """Let a principal take a role up. there: the id of the one whose terms change, None for a new one."""
        terms = assignment.eligible
        assert terms is not None  # noqa: S101  # that is what was asked before
        scope = self._places.scope(assignment.scope)
        kind: PrincipalType = assignment.principal_type or "service_principal"
        principal = principal_id(self._service, self._caller, assignment.principal)
        made = self._service.put_eligible_assignment(
            self._caller,
            scope,
            id=there or eligible_name(self._owner, scope, self._role_id(assignment.role), principal),
            new=there is None,
            role=assignment.role,
            principal_id=principal,
            principal_type=kind,
            starts=terms.starts,
            expires=terms.until,
            max_duration=terms.span,
            justification=terms.justification == "required",
            mfa=terms.mfa == "required",
            approvers=sorted(terms.approvers),
            condition=assignment.condition,
            description=assignment.description,
        )
        return reading_access.of_eligible(made, assignment.role, self._owner, {principal: assignment.principal})

    def _role_id(self, name: str) -> str:
        """Return the id of a role; for one that whoever acts may not see, its name stands in."""
        if is_built_in(name):
            return role(name).id
        if folded(name) not in self._own_roles:
            seen = self._service.list_role_definitions(self._caller)
            self._own_roles = {folded(one.definition.name): one.id for one in seen}
        return self._own_roles.get(folded(name), name)
