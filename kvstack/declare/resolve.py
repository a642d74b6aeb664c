"""From a stack file to the graph of what is desired: names, scopes and principals resolved, and every rule checked."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from kvstack.declare.graph import Desired, Node, Path
from kvstack.declare.references import with_real_names
from kvstack.declare.resolve_access import Access, policies_problems, vault_of_scope
from kvstack.declare.resolve_approval import with_approvers
from kvstack.declare.resolve_denials import Denials
from kvstack.declare.resolve_local_access import LocalAccess
from kvstack.declare.resolve_principals import principals_of
from kvstack.declare.resolve_roles import Roles
from kvstack.declare.rule_problems import rule_problems
from kvstack.declare.stack import StackFile
from kvstack.declare.stack_file import stack_file
from kvstack.declare.variables import Located
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.alert import Alert
from kvstack.resources.catalog import BESIDE, inside
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.event_subscription import EventSubscription
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.identity import Identity
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.value_source import ValueFrom
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Lifecycle, Resource, attributes
from kvstack.terms.address import Address, joined
from kvstack.terms.kind import kind_words
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal

_ALWAYS = Lifecycle()
C = TypeVar("C", bound=Resource)


def resolved(
    stack: StackFile,
    environment: str | None,
    allow_files: bool,
    problems: list[Located],
    *,
    directory: FilePath,
    doubtful: Mapping[Path, frozenset[str]] = {},  # only read
) -> Desired:
    """Return the graph, and add every problem found on the way. directory: the stack's; doubtful: vaults that are not
    whole, and which of their attributes are missing: nothing can be said of what depends on those."""
    return _Resolution(stack, environment, allow_files, problems, directory, doubtful).desired()


class _Resolution:
    def __init__(
        self,
        stack: StackFile,
        environment: str | None,
        allow_files: bool,
        problems: list[Located],
        directory: FilePath,
        doubtful: Mapping[Path, frozenset[str]],
    ) -> None:
        self.directory = directory
        self.doubtful = doubtful
        self.stack = stack
        self.environment = environment
        self.allow_files = allow_files
        self.problems = problems
        self.nodes: dict[Address, Node] = {}
        self.identities: dict[str, Address] = {}

    def desired(self) -> Desired:
        principals = principals_of(self.stack, self.problems)
        identities = self._identities(principals)
        anybody = {**principals, **identities}
        vaults = {key: self._vault(principals, key, block) for key, block in self.stack.vaults.items()}
        roles = Roles(self.stack.roles, vaults)
        access = Access(anybody, vaults, self.stack.vaults, roles)
        denials = Denials(anybody, access)
        for key, vault in vaults.items():
            path: Path = ("vaults", key)
            self._container(key, vault, path)
            for resolver, listed in ((access, RoleAssignment), (denials, DenyAssignment)):
                for index, declared in enumerate(getattr(self.stack.vaults[key], listed.collection)):
                    self._listed(resolver, declared, (*path, listed.collection, index), key)
            self._policies(access, key, vault)
        for key, block in self.stack.managed_hsms.items():
            self._managed_hsm(anybody, key, block)
        for key, role in roles.declared.items():
            self.problems.extend(roles.problems(key))
            self._check_lifecycle(("roles", key), role)
            self._add(joined("roles", key), role, "", None, ("roles", key))
        for index, assignment in enumerate(self.stack.access):
            self._listed(access, assignment, ("access", index), None)
        for index, denial in enumerate(self.stack.deny):
            self._listed(denials, denial, ("deny", index), None)
        self._events(vaults)
        self.problems.extend(access.redundant())
        self.nodes = with_real_names(self.nodes, self.identities, self.problems)
        self._lines()
        self.problems.extend(rule_problems(self.stack.rules))
        return Desired(
            stack=self.stack.stack,
            environment=self.environment,
            nodes=self.nodes,
            moves=self.stack.moved,
            removals={removal.address: removal for removal in self.stack.removed},
            imports=frozenset(line.address for line in self.stack.imports),
            principals=principals,
            production=self.environment is not None and self.stack.environments[self.environment].production,
            rules=self.stack.rules,
            silences=self.stack.silence,
        )

    def _container(self, key: str, container: Resource, path: Path) -> None:
        """Add a vault or Managed HSM, and what stands in it under a name."""
        self._check(path, container)
        if key in BESIDE:
            words = f"no {kind_words(container.kind)} has the key `{key}`: so begin the addresses of the stack's own"
            self.problems.append(Located(path, words, f"Write another, and `name: {container.name}`.", at_key=True))
        self._add(Address(key), container, container.name, None, path)
        for resource in inside(type(container)):
            if resource.written_as:
                self._only_one(key, container, resource, path)
            elif not resource.listed:
                self._items(key, container, resource, path)

    def _vault(self, principals: Mapping[str, Principal], key: str, block: Vault) -> Vault:
        vault = _without_content(Vault, key, block)
        return with_approvers(vault, principals, ("vaults", key), self.problems)

    def _managed_hsm(self, principals: Mapping[str, Principal], key: str, block: ManagedHsm) -> None:
        path: Path = ("managed_hsms", key)
        declared = _without_content(ManagedHsm, key, block)
        access = LocalAccess(principals, getattr(block, HsmRoleDefinition.collection))
        declared = access.with_administrators(declared, path, self.problems)
        self._container(key, declared, path)
        for index, assignment in enumerate(getattr(block, HsmRoleAssignment.collection)):
            line: Path = (*path, HsmRoleAssignment.collection, index)
            found = len(self.problems)
            self.problems.extend(Located.below(line, problem) for problem in assignment.problems())
            given = access.resolved(assignment, line, self.problems)
            if self._failed_since(found):
                continue
            if given.lifecycle is not _ALWAYS:
                self._check_lifecycle(line, given)
            address = joined(key, HsmRoleAssignment.collection, *assignment.address_parts())
            self._add(address, given, declared.name, Address(key), line)

    def _identities(self, principals: Mapping[str, Principal]) -> dict[str, Principal]:
        """Add the managed identities, and return each as the principal it will be."""
        found = {}
        for key, declared in self.stack.identities.items():
            path: Path = (Identity.collection, key)
            identity = _without_content(Identity, key, declared)
            self._check(path, identity)
            self._add(joined(*map(str, path)), identity, "", None, path)
            if key in principals:
                wrong = f"`{key}` is a name in `principals` already: in access, either could be meant"
                self.problems.append(Located(path, wrong, "Give one of them another name here.", at_key=True))
            found[key] = Principal(id=identity.principal, type="managed_identity", name=key)
        return found

    def _events(self, vaults: Mapping[str, Vault]) -> None:
        """Add who is told of events, and of what the audit shows."""
        told: list[tuple[str, str, EventSubscription | Alert]] = [
            *((EventSubscription.collection, key, one) for key, one in self.stack.events.items()),
            *((Alert.collection, key, one) for key, one in self.stack.alerts.items()),
        ]
        for section, key, declared in told:
            path: Path = (section, key)
            named = msgspec.structs.replace(declared, name=declared.name or key)
            found = len(self.problems)
            self._check(path, named)
            real = named.with_real_vaults(lambda written: vaults[written].name if written in vaults else written)
            self._add(joined(section, key), real if self._failed_since(found) else real.resolved(), "", None, path)

    def _items(self, key: str, vault: Resource, resource: type[Resource], above: Path) -> None:
        collection = resource.collection
        base: Path = (*above, collection)
        for name, declared in getattr(self._block(above), collection).items():
            item: Resource = declared if declared.name else msgspec.structs.replace(declared, name=name)
            path = (*base, name)
            found = len(self.problems)
            item = self._with_file(path, item)
            for problem in item.problems():
                self.problems.append(_named_by_key(Located.below(path, problem), declared, path))
            if not self._failed_since(found):
                item = item.with_real_vaults(self._real_name).resolved()
            if not self.doubtful.get(path[:2], frozenset()) & item.looks_at_in_a_vault:
                self.problems.extend(Located.below(path, problem) for problem in item.problems_within(vault))
            if item.lifecycle is not _ALWAYS:
                self._check_lifecycle(path, item)
            if isinstance(item.value_source, ValueFrom) and not self.allow_files:
                self._check_file(path, item.value_source)
            self._add(Address(f"{key}/{collection}/{name}"), item, vault.name, Address(key), path)

    def _real_name(self, written: str) -> str:
        """Return the real name of a vault, of the stack's own by its key."""
        return self._block(("vaults", written)).name or written if written in self.stack.vaults else written

    def _only_one(self, key: str, vault: Resource, resource: type[Resource], above: Path) -> None:
        """Add what a vault has one of, written as its one attribute; an empty one is none."""
        declared = getattr(self._block(above), resource.collection)
        if not declared:
            return
        path: Path = (*above, resource.collection)
        thing = resource(**{resource.written_as: declared})
        for problem in thing.problems():
            self.problems.append(Located.below(path, msgspec.structs.replace(problem, path=problem.path[1:])))
        self._add(joined(key, resource.collection), thing.resolved(), vault.name, Address(key), path)

    def _with_file(self, path: Path, item: Resource) -> Resource:
        """Return a thing with the part of its declaration that is in a file."""
        named = item.named_file()
        if named is None:
            return item
        try:
            return item.with_content(stack_file(self.directory, named[1]))
        except ValueError as error:
            self.problems.append(Located((*path, *named[0]), str(error)))
            return item

    def _listed(self, resolver: Any, declared: Resource, path: Path, vault: str | None) -> None:
        """Add what stands in a list. resolver: of its resource type; vault: the key of the vault it stands in."""
        found = len(self.problems)
        self.problems.extend(Located.below(path, problem) for problem in declared.problems())
        listed, vault_key = resolver.resolved(declared, path, vault, self.problems)
        if self._failed_since(found):
            return
        address = joined(*((vault,) if vault else ()), declared.collection, *declared.address_parts())
        if listed.lifecycle is not _ALWAYS:
            self._check_lifecycle(path, listed)
        real = vault_of_scope(listed.scope)
        self._add(address, listed.resolved(), real, Address(vault_key) if vault_key else None, path)

    def _policies(self, access: Access, key: str, vault: Vault) -> None:
        base: Path = ("vaults", key, AccessPolicy.collection)
        declared: tuple[AccessPolicy, ...] = getattr(self.stack.vaults[key], AccessPolicy.collection)
        if declared and "access_model" not in self.doubtful.get(base[:2], frozenset()):
            self.problems.extend(policies_problems(vault, len(declared), base))
        for index, policy in enumerate(declared):
            path: Path = (*base, index)
            found = len(self.problems)
            self.problems.extend(Located.below(path, problem) for problem in policy.problems())
            resolved = access.resolved_policy(policy, path, self.problems)
            if self._failed_since(found):
                continue
            if resolved.lifecycle is not _ALWAYS:
                self._check_lifecycle(path, resolved)
            address = joined(key, AccessPolicy.collection, *policy.address_parts())
            self._add(address, resolved, vault.name, Address(key), path)

    def _failed_since(self, found: int) -> bool:
        return any(problem.severity == "error" for problem in self.problems[found:])

    def _add(self, address: Address, resource: Resource, vault: str, vault_address: Address | None, path: Path) -> None:
        identity = resource.identity(vault)
        other = self.identities.get(identity)
        if other is None and address in self.nodes:
            other = address
        if other is not None:
            written = f"`{address}`" if other == address else f"`{other}` and `{address}`"
            what = (
                "is declared twice"
                if other == address
                else "are one and the same thing: names differ by more than case"
            )
            self.problems.append(Located(path, f"{written} {what}", at_key=True))
        self.identities[identity] = address
        self.nodes[address] = Node(
            address=address, resource=resource, identity=identity, vault=vault, vault_address=vault_address, path=path
        )

        for taken in resource.also_takes(vault):
            other = self.identities.setdefault(taken, address)
            if other != address:
                _, _, collection, _ = taken.split("/")
                kind = kind_words(resource.kind)
                self.problems.append(
                    Located(
                        path,
                        f"`{other}` has the name of this {kind}'s own {collection.removesuffix('s')}",
                        "Give one of them another `name`.",
                        at_key=True,
                    )
                )

    def _block(self, path: Path) -> Resource:
        """Return a vault or Managed HSM as it is written."""
        written: Resource = getattr(self.stack, str(path[0]))[path[1]]
        return written

    def _check(self, path: Path, resource: Resource) -> None:
        declared = self._block(path)
        for problem in resource.problems():
            self.problems.append(_named_by_key(Located.below(path, problem), declared, path))
        self._check_lifecycle(path, resource)

    def _check_lifecycle(self, path: Path, resource: Resource) -> None:
        known = _attribute_names(type(resource))
        for index, name in enumerate(resource.lifecycle.ignore_changes):
            if name != "all" and name not in known:
                where = (*path, "lifecycle", "ignore_changes", index)
                kind = kind_words(resource.kind)
                self.problems.append(Located(where, f"a {kind} has no attribute `{name}`{meant(name, known)}"))

    def _check_file(self, path: Path, source: ValueFrom) -> None:
        file = source.file
        if file is not None and (file.startswith("/") or ".." in file.split("/")):
            self.problems.append(
                Located(
                    (*path, "value_from", "file"),
                    "the file lies outside the stack's folder",
                    "Move it inside, or allow it with `--allow-file`: a declaration could otherwise read any file of "
                    "whoever applies it.",
                )
            )

    def _lines(self) -> None:
        for index, move in enumerate(self.stack.moved):
            if move.source in self.nodes:
                self.problems.append(
                    Located(
                        ("moved", index, "from"),
                        f"`{move.source}` is still declared",
                        "A thing moves away from an address that is no longer used.",
                    )
                )
            if move.target not in self.nodes:
                self.problems.append(
                    Located(
                        ("moved", index, "to"),
                        f"nothing is declared at `{move.target}`{meant(move.target, self.nodes)}",
                    )
                )
        for index, removal in enumerate(self.stack.removed):
            if removal.address in self.nodes:
                self.problems.append(
                    Located(("removed", index), f"`{removal.address}` is still declared", "Take it out, or this line.")
                )
            if removal.purge and not removal.destroy:
                self.problems.append(
                    Located(
                        ("removed", index, "purge"),
                        "what is kept cannot be purged",
                        "Write `destroy: true`, or take `purge` out.",
                    )
                )
        for index, line in enumerate(self.stack.imports):
            if line.address not in self.nodes:
                self.problems.append(
                    Located(
                        ("import", index, "address"),
                        f"nothing is declared at `{line.address}`{meant(line.address, self.nodes)}",
                    )
                )


def _without_content(container: type[C], key: str, block: C) -> C:
    """Return a vault or Managed HSM without what stands inside it, under its real name."""
    own = {field: getattr(block, field) for field in container.__struct_fields__}
    return container(**{**own, "name": block.name or key}).resolved()


def _named_by_key(problem: Located, declared: Resource, path: Path) -> Located:
    """Return a problem with a name at the thing's key, where the name is taken from it."""
    if problem.path == (*path, "name") and not declared.name:
        return msgspec.structs.replace(problem, path=path, at_key=True)
    return problem


@cache
def _attribute_names(resource: type[Resource]) -> tuple[str, ...]:
    known = [entry for entry in attributes(resource) if entry.comparison != "meta"]
    # A value is called by where it comes from in a declaration, and by itself in a plan: both are understood.
    values = ("value",) if any(entry.comparison == "source" for entry in known) else ()
    return (*(entry.written for entry in known), *values)


def vault_names(nodes: Mapping[Address, Node]) -> frozenset[str]:
    """Return the real names of all vaults these things are, or are in."""
    return frozenset(node.vault for node in nodes.values() if node.vault)
