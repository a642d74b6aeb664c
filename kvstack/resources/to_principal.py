"""What is given to a principal, as the three ways of giving share it."""

from collections.abc import Mapping
from typing import Self

import msgspec

from kvstack.resources.identity import needed_identity
from kvstack.schema.resource import Resource
from kvstack.terms.identity import in_resource_group


class ToPrincipal(Resource, frozen=True, kw_only=True):
    """Something given to one principal. principal: its id, or `identity/GROUP/NAME` for a managed identity."""

    listed = True
    soft_deleted = False

    principal: str

    def ends_with(self) -> tuple[str, ...]:
        """Return the managed identity it is given to, where it is given to one."""
        return needed_identity(self.principal)

    def placed(self, resource_group: str) -> Self:
        """Return it with the backend's own resource group, where its managed identity names none."""
        principal = in_resource_group(self.principal, resource_group)
        return self if principal == self.principal else msgspec.structs.replace(self, principal=principal)

    def told_by(self, principals: Mapping[str, str]) -> Self:
        """Return it with its principal as the backend tells it."""
        principal = principals.get(self.principal, self.principal)
        return self if principal == self.principal else msgspec.structs.replace(self, principal=principal)
