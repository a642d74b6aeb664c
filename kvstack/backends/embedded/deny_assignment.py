"""Deny assignments in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading_access
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.names import denial_name
from kvstack.backends.embedded.places import Places
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.schema.resource import Resource
from kvstack.terms.principal import EVERYONE
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.service import VaultService


class DenyAssignmentHandler:
    """Forbids, and allows again. A denial's id is made of stack, scope and name: two runs make one."""

    def __init__(self, service: VaultService, caller: Caller, places: Places, owner: str) -> None:
        self._service = service
        self._caller = caller
        self._places = places
        self._owner = owner

    def create(self, wanted: Wanted[DenyAssignment]) -> Actual[Resource]:
        """Forbid."""
        try:
            return self._made(wanted.resource)
        except Conflict as error:
            there = already(self._service, self._caller, self._places.subscription, wanted, stack=self._owner)
            if there is not None:
                return there
            raise error.with_detail("Somebody made it since the plan was made: run `kvstack plan` again.") from None

    def update(
        self, actual: Actual[DenyAssignment], wanted: Wanted[DenyAssignment], changed: frozenset[str]
    ) -> Actual[Resource]:
        """Forbid otherwise: taken away and made again in one step, without a gap."""
        with self._service.batch():
            self._service.delete_deny_assignment(self._caller, actual.id)
            return self._made(actual.resource if changed == {"owner"} else wanted.resource)

    def delete(self, actual: Actual[DenyAssignment]) -> None:
        """Allow again. What is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._service.delete_deny_assignment(self._caller, actual.id)

    def _made(self, denial: DenyAssignment) -> Actual[Resource]:
        scope = self._places.scope(denial.scope)
        made = self._service.create_deny_assignment(
            self._caller,
            scope,
            denial.name,
            id=denial_name(self._owner, scope, denial.name),
            principals=[EVERYONE] if denial.principals is None else sorted(denial.principals),
            excluded=sorted(denial.excluded),
            actions=sorted(denial.actions),
            not_actions=sorted(denial.not_actions),
            data_actions=sorted(denial.data_actions),
            not_data_actions=sorted(denial.not_data_actions),
            below=denial.below,
            description=denial.description,
        )
        return reading_access.of_denial(made, self._owner)
