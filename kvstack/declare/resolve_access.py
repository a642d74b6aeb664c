"""Role assignments resolved: who is meant, which role, and where it holds."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.resolve_roles import Roles
from kvstack.declare.variables import Located
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.eligible import Eligible
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.vault import Vault
from kvstack.terms import limits, name
from kvstack.terms.identity import identity_name_problem, identity_named
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal, PrincipalType, is_guid

_COLLECTIONS = ("keys", "secrets", "certificates")


class Access:
    """Resolves the assignments of one stack. vaults: declared ones by key; blocks: the same with what stands inside
    them; roles: those of the stack's own."""

    def __init__(
        self, principals: Mapping[str, Principal], vaults: Mapping[str, Vault], blocks: Mapping[str, Any], roles: Roles
    ) -> None:
        self.principals = principals
        self.roles = roles
        self.vaults = vaults
        self.blocks = blocks
        self._by_real_name = {vault.name.lower(): key for key, vault in vaults.items()}
        self._assigned: list[tuple[RoleAssignment, Path]] = []

    def resolved(
        self, declared: RoleAssignment, path: Path, vault: str | None, problems: list[Located]
    ) -> tuple[RoleAssignment, str | None]:
        """Return the assignment with ids, the role's own name and the whole scope; and the key of the vault it is
        about."""
        principal = principal_meant(self.principals, declared.principal, declared.principal_type, path, problems)
        role_name = self.roles.meant(declared.role, path, problems)
        found = len(problems)
        scope, vault_key = self.scope(declared.scope, path, vault, problems)
        if all(problem.severity != "error" for problem in problems[found:]):
            outside = self.roles.outside(declared.role, scope, (*path, "scope") if declared.scope else path)
            problems += [outside] if outside is not None else []
        assignment = msgspec.structs.replace(
            declared,
            principal=principal.id if principal else declared.principal.lower(),
            principal_type=principal.type if principal else declared.principal_type,
            role=role_name or declared.role,
            scope=scope,
            eligible=self._eligible(declared, principal, path, problems),
        )
        self._assigned.append((assignment, path))
        problems.extend(self._without_effect(assignment, vault_key, path))
        return assignment, vault_key

    def _eligible(
        self, declared: RoleAssignment, principal: Principal | None, path: Path, problems: list[Located]
    ) -> Eligible | None:
        """Return on which terms a role may be taken up, with the ids of who has to agree."""
        if declared.eligible is None:
            return None
        where = (*path, "eligible", "approvers")
        approvers = principals_meant(
            self.principals, declared.eligible.approvers, where, problems, "Name people: a program approves nothing."
        )
        if approvers == {principal.id if principal else declared.principal.lower()}:
            wrong = "nobody approves his own request"
            problems.append(Located(where, wrong, "Name somebody else, or a group."))
        return msgspec.structs.replace(declared.eligible, approvers=approvers)

    def _without_effect(self, assignment: RoleAssignment, vault_key: str | None, path: Path) -> Iterator[Located]:
        """Yield a warning where a role's rights to data do not count: in a vault under access policies."""
        if vault_key is None or self.vaults[vault_key].access_model != "access_policies":
            return
        known = assignment.role
        if self.roles.gives_data(known):
            yield Located(
                path,
                f"`{known}` gives no right to what is in `{self.vaults[vault_key].name}`: it goes by access policies",
                "Give permissions under the vault's `policies`, or take the line out.",
                "warning",
            )

    def resolved_policy(self, declared: AccessPolicy, path: Path, problems: list[Located]) -> AccessPolicy:
        """Return the policy with its principal's id, and every permission in the place of `all`."""
        principal = principal_meant(self.principals, declared.principal, None, path, problems, typed=False)
        meant_id = principal.id if principal else declared.principal.lower()
        return msgspec.structs.replace(declared.resolved(), principal=meant_id)

    def redundant(self) -> Iterator[Located]:
        """Yield a warning for every assignment that one at a wider scope makes useless."""
        whole = {
            (given.principal, given.role, given.scope): given for given, _ in self._assigned if given.eligible is None
        }
        for given, path in self._assigned:
            for wider in _above(given.scope):
                other = whole.get((given.principal, given.role, wider))
                if other is not None and other.until is None:
                    yield Located(
                        path,
                        f"`{given.role}` is given to the same principal at `{wider}` already",
                        "This line grants nothing more.",
                        "warning",
                    )

    def scope(self, written: str, path: Path, vault: str | None, problems: list[Located]) -> tuple[str, str | None]:
        """Return a scope in full, by real names, and the key of the vault it is about. path: of what it is written
        in; vault: the key of the vault that stands in."""
        where = (*path, "scope") if written else path
        match written.split("/") if written else []:
            case [] if vault is not None:
                return f"vault/{self.vaults[vault].name}", vault
            case [collection, item] if vault is not None and collection in _COLLECTIONS:
                return f"vault/{self.vaults[vault].name}/{self._item(vault, collection, item, where, problems)}", vault
            case ["subscription"] if vault is None:
                return "subscription", None
            case ["resource_group", group] if vault is None:
                if wrong := name.resource_group_name_problem(group):
                    problems.append(Located(where, wrong))
                return f"resource_group/{group}", None
            case ["vault", other, *rest] if vault is None:
                key = other if other in self.vaults else self._by_real_name.get(other.lower())
                real = self.vaults[key].name if key else other
                if wrong := name.vault_name_problem(real):
                    problems.append(Located(where, wrong))
                match rest:
                    case []:
                        return f"vault/{real}", key
                    case [collection, item] if collection in _COLLECTIONS:
                        inner = self._item(key, collection, item, where, problems) if key else f"{collection}/{item}"
                        return f"vault/{real}/{inner}", key
            case _:
                pass
        problems.append(_no_scope(written, where, vault))
        return written, None

    def _item(self, vault: str, collection: str, item: str, where: Path, problems: list[Located]) -> str:
        """Return the scope of one thing in a declared vault, by its real name."""
        if wrong := name.item_name_problem(item):
            problems.append(Located(where, wrong))
            return f"{collection}/{item}"
        declared = getattr(self.blocks[vault], collection, {})
        if item in declared:
            return f"{collection}/{declared[item].name or item}"
        if all(item.lower() != (thing.name or key).lower() for key, thing in declared.items()):
            problems.append(
                Located(
                    where,
                    f"the stack declares no `{collection}/{item}` in `{vault}`{meant(item, declared)}",
                    "The assignment holds for whatever has that name.",
                    "warning",
                )
            )
        return f"{collection}/{item}"


def principal_meant(
    principals: Mapping[str, Principal],
    written: str,
    principal_type: PrincipalType | None,
    path: Path,
    problems: list[Located],
    *,
    typed: bool = True,
) -> Principal | None:
    """Return the declared principal a line names, or the managed identity of somebody else; None for an object id, or
    with a problem told. typed: whether an object id has to say what it is."""
    found = principals.get(written) or _anybodys_identity(written)
    where = (*path, "principal")
    if found is not None:
        if principal_type not in (None, found.type):
            section = "identities" if identity_named(found.id) else "principals"
            problems.append(Located((*path, "principal_type"), f"`{written}` is a {found.type} in `{section}`"))
        return found
    if not is_guid(written):
        there = f"`principals` has {', '.join(principals)}." if principals else "`principals` is empty."
        problems.append(Located(where, f"there is no principal `{written}`{meant(written, principals)}", there))
    elif typed and principal_type is None:
        problems.append(Located(where, "an object id needs its `principal_type`", "Or give it a name in `principals`."))
    return None


def _anybodys_identity(written: str) -> Principal | None:
    """Return the managed identity that is written `identity/GROUP/NAME`: another stack's, or nobody's."""
    named = identity_named(written)
    if named is None or name.resource_group_name_problem(named[0]) or identity_name_problem(named[1]):
        return None
    return Principal(id=written.lower(), type="managed_identity", name=written)


def policies_problems(vault: Vault, count: int, path: Path) -> Iterator[Located]:
    """Yield what is wrong with having so many policies in a vault. path: of all of them."""
    if vault.access_model != "access_policies":
        yield Located(
            path,
            f"`{vault.name}` goes by roles: no policy counts in it",
            "Write `access_model: access_policies` in the vault, or give roles under `access` instead.",
            at_key=True,
        )
    if count > limits.ACCESS_POLICIES:
        yield Located(
            path,
            f"a vault has at most {limits.ACCESS_POLICIES} access policies, not {count}",
            "Give them to groups.",
            at_key=True,
        )


def principals_meant(
    principals: Mapping[str, Principal], written: frozenset[str], where: Path, problems: list[Located], instead: str
) -> frozenset[str]:
    """Return the ids of those a list names, by their names in `principals` or by object ids. instead: what to do in
    place of naming a managed identity, whose id nobody knows before it is made."""
    found = set()
    for one in sorted(written):
        known = principals.get(one)
        if identity_named(known.id if known is not None else one) is not None:
            problem = f"`{one}` is a managed identity: its principal id is known only once it is made"
            problems.append(Located(where, problem, instead))
        elif known is None and not is_guid(one):
            near = meant(one, principals)
            detail = "Name one from `principals`, or give an object id."
            problems.append(Located(where, f"there is no principal `{one}`{near}", detail))
        found.add(known.id if known is not None else one.lower())
    return frozenset(found)


def vault_of_scope(scope: str) -> str:
    """Return the real name of the vault a scope in full is about; empty for a wider one."""
    level, _, rest = scope.partition("/")
    return rest.split("/")[0] if level == "vault" else ""


def _above(scope: str) -> Iterator[str]:
    parts = scope.split("/")
    if parts[0] == "vault" and len(parts) == 4:
        yield "/".join(parts[:2])
    if parts[0] != "subscription":
        yield "subscription"


def _no_scope(written: str, where: Path, vault: str | None) -> Located:
    if vault is None:
        return Located(
            where,
            f"`{written}` is no scope" if written else "an assignment outside a vault needs a `scope`",
            "Write `subscription`, `resource_group/NAME`, `vault/NAME` or `vault/NAME/secrets/NAME`.",
        )
    return Located(
        where,
        f"`{written}` is no scope in a vault",
        "Write `keys/NAME`, `secrets/NAME` or `certificates/NAME`, or nothing for the whole vault; "
        "what reaches wider stands under the stack's own `access`.",
    )
