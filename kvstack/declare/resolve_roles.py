"""Roles of the stack's own resolved: where each may be given, and which role a line means."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.variables import Located
from kvstack.resources.role_definition import RoleDefinition, is_built_in
from kvstack.resources.vault import Vault
from kvstack.terms import role
from kvstack.terms.name import folded
from kvstack.terms.near import meant


class Roles:
    """The roles of one stack. declared: by key; vaults: declared ones by key."""

    def __init__(self, declared: Mapping[str, RoleDefinition], vaults: Mapping[str, Vault]) -> None:
        self._vaults = vaults
        self._groups = {
            vault.name.lower(): vault.resource_group.lower() if vault.resource_group else ""
            for vault in vaults.values()
        }
        self.declared = {key: self._resolved(key, written) for key, written in declared.items()}
        self._by_name = {folded(one.name): one for one in self.declared.values()}
        self._by_key = {folded(key): one for key, one in self.declared.items()}
        self._built_in: dict[str, str | ValueError] = {}

    def problems(self, key: str) -> list[Located]:
        """Return what is wrong with one declared role."""
        path: Path = ("roles", key)
        found = []
        if is_built_in(key):
            words = f"`{key}` is a built-in role"
            detail = "A line that names it would mean another one: give this one another key."
            found.append(Located(path, words, detail, at_key=True))
        named_by_key = self.declared[key].name == key
        for problem in self.declared[key].problems():
            located = Located.below(path, problem)
            if problem.path == ("name",) and named_by_key:
                if found:
                    continue
                located = msgspec.structs.replace(located, path=path, at_key=True)
            found.append(located)
        return found

    def meant(self, written: str, path: Path, problems: list[Located]) -> str | None:
        """Return the name of the role a line means, built in or declared; None with the problem told."""
        own = self._own(written)
        if own is not None:
            return own.name
        if written not in self._built_in:
            try:
                self._built_in[written] = role.role(written).name
            except ValueError as error:
                near = meant(written, (*self.declared, *(one.name for one in self.declared.values())))
                self._built_in[written] = ValueError(f"there is no role `{written}`{near}") if near else error
        found = self._built_in[written]
        if isinstance(found, str):
            return found
        detail = "A role of your own stands under `roles`." if not self.declared else ""
        problems.append(Located((*path, "role"), str(found), detail))
        return None

    def gives_data(self, name: str) -> bool:
        """Tell whether the role of this name gives a right to data; not where nothing has the name."""
        own = self._by_name.get(folded(name))
        if own is not None:
            return bool(own.data_actions)
        try:
            return bool(role.role(name).data_actions)
        except ValueError:
            return False

    def outside(self, written: str, scope: str, path: Path) -> Located | None:
        """Return that a role may not be given at a scope, where that is certain. scope: in full, `vault/NAME/...`."""
        own = self._own(written)
        if own is None or any(self._contains(wider, scope.lower()) for wider in own.assignable_scopes):
            return None
        where = ", ".join(f"`{one}`" for one in sorted(own.assignable_scopes))
        return Located(
            path,
            f"the role `{own.name}` may not be given at `{scope}`",
            f"It may be given at {where}, and below: write more into its `assignable_scopes`, or give another role.",
        )

    def _own(self, written: str) -> RoleDefinition | None:
        return self._by_key.get(folded(written)) or self._by_name.get(folded(written))

    def _resolved(self, key: str, written: RoleDefinition) -> RoleDefinition:
        scopes = frozenset(map(self._real, written.assignable_scopes))
        return msgspec.structs.replace(written, name=written.name or key, assignable_scopes=scopes).resolved()

    def _real(self, scope: str) -> str:
        """Return a scope with the real name of a vault that is written by its key."""
        level, _, name = scope.partition("/")
        declared = self._vaults.get(name) if level == "vault" else None
        return f"vault/{declared.name}" if declared is not None else scope

    def _contains(self, wider: str, scope: str) -> bool:
        if wider == "subscription" or scope == wider or scope.startswith(f"{wider}/"):
            return True
        level, _, group = wider.partition("/")
        if level != "resource_group" or not scope.startswith("vault/"):
            return False
        # Where a vault says nothing of its resource group, or is somebody else's, only the backend knows it.
        return self._groups.get(scope.split("/")[1], "") in ("", group)
