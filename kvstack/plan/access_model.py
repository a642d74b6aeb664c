"""What a vault's change from roles to access policies, or back, takes from whom: said before it is done."""

from collections.abc import Iterable, Iterator

from kvstack.backends.protocol import Snapshot
from kvstack.declare.graph import Desired
from kvstack.plan.change import Change
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.identity import Identity
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource
from kvstack.terms import role
from kvstack.terms.diagnostic import Diagnostic

_SHOWN = 10


def switches(changes: Iterable[Change], desired: Desired, snapshot: Snapshot) -> Iterator[Diagnostic]:
    """Yield a warning for each vault that changes its access model while somebody has access by the one it has."""
    for change in changes:
        if change.node is None or change.actual is None or "access_model" not in change.changed:
            continue
        before, after = change.actual.resource, change.node.resource
        if isinstance(before, Vault) and isinstance(after, Vault):
            yield from _warning(change, before, after, desired, snapshot)


def _warning(change: Change, before: Vault, after: Vault, desired: Desired, snapshot: Snapshot) -> Iterator[Diagnostic]:
    there = [actual for actual in snapshot.things.values() if actual.deletion is None or actual.deletion.with_vault]
    declared = [node for node in desired.nodes.values() if node.vault.lower() in ("", before.name.lower())]
    by_roles = _by_roles((one.resource for one in there), before)
    by_policies = _by_policies(one.resource for one in there if one.vault.lower() == before.name.lower())
    if after.access_model == "access_policies":
        losing = by_roles
        keeping = _by_policies(node.resource for node in declared)
        words, other = "it will go by access policies: the roles that give {} a right to its data", "an access policy"
    else:
        losing = by_policies
        keeping = by_roles | _by_roles((node.resource for node in declared), before)
        words, other = "it will go by roles: the access policies of {}", "a role for its data"
    if not losing:
        return
    names = {principal.id: name for name, principal in desired.principals.items()}
    names |= {
        node.resource.principal: address.rpartition("/")[2]
        for address, node in desired.nodes.items()
        if isinstance(node.resource, Identity)
    }
    left = losing - keeping
    yield Diagnostic(
        severity="warning",
        summary=f"{words.format(_listed(losing, names))} count no longer",
        detail=f"Without {other}, and so without access to what is in it: {_listed(left, names)}."
        if left
        else f"All of them have {other}.",
        address=change.address,
    )


def _by_roles(things: Iterable[Resource], vault: Vault) -> set[str]:
    """Return whoever has a role, at the vault, in it or above, that gives a right to data."""
    return {one.principal for one in things if isinstance(one, RoleAssignment) and _is_about(one, vault) and _data(one)}


def _by_policies(things: Iterable[Resource]) -> set[str]:
    return {one.principal for one in things if isinstance(one, AccessPolicy)}


def _is_about(assignment: RoleAssignment, vault: Vault) -> bool:
    match assignment.scope.lower().split("/"):
        case ["vault", name, *_]:
            return name == vault.name.lower()
        case ["resource_group", group]:
            return group == (vault.resource_group or "").lower()
        case _:
            return True


def _data(assignment: RoleAssignment) -> bool:
    """Tell whether a role gives a right to data; one that is not built in may."""
    try:
        return bool(role.role(assignment.role).data_actions)
    except ValueError:
        return True


def _listed(principals: set[str], names: dict[str, str]) -> str:
    # Those the stack has no name for come last.
    found = [names.get(one, one) for one in sorted(principals, key=lambda one: (one not in names, names.get(one, one)))]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
