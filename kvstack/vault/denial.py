"""Deny assignments: what nobody named may do at a scope, whatever roles say."""

from datetime import datetime
from functools import cached_property

from kvstack.terms.principal import EVERYONE
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.permissions import Permissions, permissions
from kvstack.vault.table import Row


class DenyAssignment(Row, frozen=True, kw_only=True, dict=True):
    """One. id: a GUID; principals, excluded: ids in lower case, of groups too; below: whether it holds for what is
    below its scope as well."""

    id: str
    name: str
    scope: Scope
    principals: frozenset[str]
    excluded: frozenset[str] = frozenset()
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()
    below: bool = True
    description: str = ""
    created: datetime
    created_by: str = ""

    @property
    def definition(self) -> RoleDefinition:
        """What it denies, as a role would allow it."""
        return RoleDefinition(
            self.id,
            self.name,
            actions=self.actions,
            not_actions=self.not_actions,
            data_actions=self.data_actions,
            not_data_actions=self.not_data_actions,
        )

    @cached_property
    def permissions(self) -> Permissions:
        """What it denies, as a role would allow it, to be asked."""
        return permissions(self.definition)

    def meets(self, principals: tuple[str, ...], action: str, *, data: bool) -> bool:
        """Tell whether it is about somebody who acts under these ids, and about this action."""
        if self.excluded.intersection(principals):
            return False
        if EVERYONE not in self.principals and not self.principals.intersection(principals):
            return False
        return self.permissions.allow(action, data=data)
