"""Who and what access is about, by name: principals the vault knows, and roles, built in or its own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from kvstack.cli.context import OpenVault
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import folded
from kvstack.terms.principal import PRINCIPAL_TYPES, PrincipalType, is_guid

if TYPE_CHECKING:
    from kvstack.terms.principal import Principal


class Directory(msgspec.Struct, frozen=True):
    """What the caller may see of it. principals: by id; roles: names of all by id."""

    principals: "Mapping[str, Principal]"
    roles: Mapping[str, str]

    def name(self, principal_id: str) -> str:
        """Return what a principal is called, its id where it has no name."""
        found = self.principals.get(principal_id)
        return found.name if found is not None and found.name else principal_id

    def role_name(self, role_id: str) -> str:
        """Return what a role is called, its id where its definition is gone."""
        return self.roles.get(role_id, role_id)

    def principal_id(self, written: str) -> str:
        """Return the id of who is meant by a name or an id. Raises KvstackError."""
        if is_guid(written):
            return written.lower()
        from kvstack.vault.principals import named

        return named(written, self.principals.values())

    def principal(self, written: str, principal_type: PrincipalType | None) -> tuple[str, PrincipalType]:
        """Return the id and the type of who is meant. Raises KvstackError."""
        identifier = self.principal_id(written)
        found = self.principals.get(identifier)
        if found is not None:
            if principal_type not in (None, found.type):
                raise KvstackError(f"`{written}` is a {found.type}, not a {principal_type}")
            return identifier, found.type
        if principal_type is None:
            raise KvstackError(
                f"the vault does not know the principal {written}",
                f"Say by `--type` what it is: {', '.join(PRINCIPAL_TYPES)}.",
            )
        return identifier, principal_type

    def role_id(self, written: str) -> str:
        """Return the id of a role given by name or id. Raises KvstackError."""
        wanted = folded(written)
        for identifier, name in self.roles.items():
            if wanted in (identifier, folded(name)):
                return identifier
        from kvstack.terms.near import meant

        raise KvstackError(f"there is no role `{written}`{meant(written, self.roles.values())}")


def directory(vault: OpenVault) -> Directory:
    """Return what whoever acts may see of the directory."""
    from kvstack.terms.role import built_in_roles_by_id
    from kvstack.vault.errors import Forbidden

    try:
        principals = {principal.id: principal for principal in vault.service.list_principals(vault.caller)}
    except Forbidden:
        principals = {}
    roles = {identifier: role.name for identifier, role in built_in_roles_by_id().items()}
    for own in vault.service.list_role_definitions(vault.caller):
        roles[own.id] = own.definition.name
    return Directory(principals, roles)
