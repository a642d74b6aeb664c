"""Access inside one Managed HSM: principals by name, local roles by name, built in or its own."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.resolve_access import principal_meant, principals_meant
from kvstack.declare.variables import Located
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.terms.local_role import local_roles
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal


class LocalAccess:
    """Resolves the assignments of one Managed HSM. own: the roles it declares, by key."""

    def __init__(self, principals: Mapping[str, Principal], own: Mapping[str, HsmRoleDefinition]) -> None:
        self._principals = principals
        names = [role.name for role in local_roles().values()] + [role.name or key for key, role in own.items()]
        self._roles = {name.lower(): name for name in names}
        self._by_key = {key.lower(): role.name or key for key, role in own.items()}

    def resolved(self, declared: HsmRoleAssignment, path: Path, problems: list[Located]) -> HsmRoleAssignment:
        """Return the assignment with its principal's id and the role's own name."""
        principal = principal_meant(self._principals, declared.principal, declared.principal_type, path, problems)
        role = self._by_key.get(declared.role.lower()) or self._roles.get(declared.role.lower())
        if role is None:
            known = sorted(self._roles.values())
            near = meant(declared.role, known)
            problems.append(
                Located(
                    (*path, "role"),
                    f"there is no local role `{declared.role}`{near}",
                    "" if near else f"There are {', '.join(known)}.",
                )
            )
        return msgspec.structs.replace(
            declared,
            principal=principal.id if principal else declared.principal.lower(),
            principal_type=principal.type if principal else declared.principal_type,
            role=role or declared.role,
        )

    def with_administrators(self, declared: ManagedHsm, path: Path, problems: list[Located]) -> ManagedHsm:
        """Return the Managed HSM with its first administrators' ids."""
        instead = "Give it the role `Managed HSM Administrator` in `access`."
        where: Path = (*path, "administrators")
        found = principals_meant(self._principals, declared.administrators, where, problems, instead)
        return msgspec.structs.replace(declared, administrators=found)
