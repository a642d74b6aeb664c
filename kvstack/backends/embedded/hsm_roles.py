"""Roles inside Managed HSMs in the embedded vault: defined, and given."""

import contextlib

from kvstack.backends.embedded import reading_hsm
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.names import local_assignment_name, local_role_name
from kvstack.backends.embedded.people import principal_id
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.schema.resource import Resource
from kvstack.terms.principal import PrincipalType
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class _Handler:
    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner


class HsmRoleDefinitionHandler(_Handler):
    """Defines roles of Managed HSMs' own. Their ids are made of stack, Managed HSM and name: two runs make one."""

    def create(self, wanted: Wanted[HsmRoleDefinition]) -> Actual[Resource]:
        """Define it, or the same again."""
        return self._put(wanted)

    def update(
        self, actual: Actual[HsmRoleDefinition], wanted: Wanted[HsmRoleDefinition], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Define it anew: every assignment of it counts by that at once."""
        return self._put(wanted, actual.id)

    def delete(self, actual: Actual[HsmRoleDefinition]) -> None:
        """Take it away. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.remove_local_role(self._caller, actual.vault, actual.id)

    def _put(self, wanted: Wanted[HsmRoleDefinition], identifier: str | None = None) -> Actual[Resource]:
        role = wanted.resource
        made = self._service.define_local_role(
            self._caller,
            wanted.vault,
            id=identifier or local_role_name(self._owner, wanted.vault, role.name),
            name=role.name,
            description=role.description,
            data_actions=sorted(role.data_actions),
            not_data_actions=sorted(role.not_data_actions),
        )
        return reading_hsm.of_local_role(made, wanted.vault, self._owner)


class HsmRoleAssignmentHandler(_Handler):
    """Gives roles inside Managed HSMs and takes them away. Ids are made of stack, scope, role and principal."""

    def create(self, wanted: Wanted[HsmRoleAssignment]) -> Actual[Resource]:
        """Give the role."""
        given = wanted.resource
        kind: PrincipalType = given.principal_type or "service_principal"
        principal = principal_id(self._service, self._caller, given.principal)
        try:
            made = self._service.assign_local_role(
                self._caller,
                wanted.vault,
                id=local_assignment_name(self._owner, wanted.vault, given.scope, given.role, principal),
                role=given.role,
                principal_id=principal,
                principal_type=kind,
                scope=given.scope,
            )
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody gave it since the plan was made: run `kvstack plan` again.") from None
        principals = {principal: given.principal}
        return reading_hsm.of_local_assignment(made, wanted.vault, given.role, self._owner, principals=principals)

    def update(
        self, actual: Actual[HsmRoleAssignment], wanted: Wanted[HsmRoleAssignment], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Return it as it is: nothing of an assignment changes in place, and whose it is stands in the state."""
        return actual  # type: ignore[return-value]  # one of its own resource type

    def delete(self, actual: Actual[HsmRoleAssignment]) -> None:
        """Take the role away. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.unassign_local_role(self._caller, actual.vault, actual.id)
