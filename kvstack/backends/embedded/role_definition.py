"""Roles of a stack's own in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading_access
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.names import role_name
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.role_definition import RoleDefinition
from kvstack.schema.resource import Resource
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class RoleDefinitionHandler:
    """Defines roles. Their ids are made of stack and name: two runs make one."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[RoleDefinition]) -> Actual[Resource]:
        """Define it."""
        try:
            return self._put(wanted.resource, role_name(self._owner, wanted.resource.name), new=True)
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody defined it since the plan was made: run `kvstack plan` again.") from None

    def update(
        self, actual: Actual[RoleDefinition], wanted: Wanted[RoleDefinition], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Define it anew: every assignment of it counts by that at once."""
        if changed == {"owner"}:
            return actual  # type: ignore[return-value]  # one of its own resource type
        return self._put(wanted.resource, actual.id, new=False)

    def delete(self, actual: Actual[RoleDefinition]) -> None:
        """Take it away. One that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.delete_role_definition(self._caller, actual.id)

    def _put(self, role: RoleDefinition, identifier: str, *, new: bool) -> Actual[Resource]:
        made = self._service.put_role_definition(
            self._caller,
            role.name,
            id=identifier,
            new=new,
            assignable_scopes=[self._places.scope(scope) for scope in sorted(role.assignable_scopes)],
            description=role.description,
            actions=sorted(role.actions),
            not_actions=sorted(role.not_actions),
            data_actions=sorted(role.data_actions),
            not_data_actions=sorted(role.not_data_actions),
        )
        return reading_access.of_role(made, self._owner)
