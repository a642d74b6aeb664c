"""Deny assignments resolved: who is meant, who is left out, and where it holds."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.resolve_access import Access, principals_meant
from kvstack.declare.variables import Located
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.terms.principal import Principal


class Denials:
    """Resolves the deny assignments of one stack. access: knows its scopes."""

    def __init__(self, principals: Mapping[str, Principal], access: Access) -> None:
        self._principals = principals
        self._access = access

    def resolved(
        self, declared: DenyAssignment, path: Path, vault: str | None, problems: list[Located]
    ) -> tuple[DenyAssignment, str | None]:
        """Return the denial with ids and the whole scope; and the key of the vault it is about."""
        scope, vault_key = self._access.scope(declared.scope, path, vault, problems)
        principals = declared.principals
        if principals is not None:
            principals = self._meant(principals, (*path, "principals"), problems)
        excluded = self._meant(declared.excluded, (*path, "except"), problems)
        denial = msgspec.structs.replace(declared, scope=scope, principals=principals, excluded=excluded)
        return denial, vault_key

    def _meant(self, written: frozenset[str], where: Path, problems: list[Located]) -> frozenset[str]:
        instead = "Make it first, and give its principal id; a denial without `principals` is for everybody."
        return principals_meant(self._principals, written, where, problems, instead)
