"""What of a plan needs an approval: each change as the deeds that a vault's rule may hold up."""

from collections.abc import Iterable, Iterator, Mapping

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node
from kvstack.plan.change import Change, NeedsApproval
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource
from kvstack.terms import approval
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.approval import Deed, Held
from kvstack.terms.principal import Principal


def deeds(
    changes: Iterable[Change], principals: Iterable[Principal], known: Mapping[str, Principal]
) -> tuple[tuple[Address, Deed], ...]:
    """Return what the changes do that a rule may hold up, each with the address it is done at. principals: those the
    backend will be told of; known: those it knows."""
    found = [(change.address, deed) for change in changes for deed in _deeds(change)]
    for principal in principals:
        before = known[principal.id].members if principal.id in known else frozenset()
        if principal.members != before:
            address = Address(f"principals/{principal.name}")
            found.append((address, approval.membership(principal.id, principal.members)))
    return tuple(found)


def needs(
    done: Iterable[tuple[Address, Deed]],
    held: Iterable[Held],
    changes: Iterable[Change],
    nodes: Mapping[Address, Node],
    names: Mapping[str, str],
) -> Iterator[NeedsApproval]:
    """Yield what waits for an approval: what the rules there now hold up, and what a rule would that this plan brings
    to a vault that is there. names: of principals, by id."""
    by_deed: dict[Deed, list[Held]] = {}
    for one in held:
        by_deed.setdefault(one.deed, []).append(one)
    new = {change.address for change in changes if change.action in (Action.CREATE, Action.REPLACE)}
    declared = {
        f"vault/{node.resource.name.lower()}": node.resource.approval
        for address, node in nodes.items()
        if isinstance(node.resource, Vault) and address not in new
    }
    for address, deed in done:
        if deed in by_deed:
            yield from (_need(address, one.vault, deed, one.by, names) for one in by_deed[deed])
            continue
        vault = "/".join(deed.where.split("/")[:2])
        rule = declared.get(vault)
        if rule is not None and deed.operation in rule.operations and not deed.rule:
            by = tuple(sorted(rule.by))
            yield _need(address, vault.removeprefix("vault/"), deed, by, names, declared=True)


def _need(
    address: Address,
    vault: str,
    deed: Deed,
    by: tuple[str, ...],
    names: Mapping[str, str],
    *,
    declared: bool = False,
) -> NeedsApproval:
    shown = tuple(sorted(names.get(one) or one for one in by))
    return NeedsApproval(address=address, vault=vault, deed=deed, by=by, names=shown, declared=declared)


def _deeds(change: Change) -> Iterator[Deed]:
    node, actual = change.node, change.actual
    if change.with_vault and change.action is not Action.RECOVER:
        return  # it is the vault's end that is approved, or not
    match change.action:
        case Action.DELETE | Action.PURGE | Action.REPLACE if actual is not None:
            yield from _end(actual, purged=change.action is Action.PURGE or change.purge_first)
            if change.action is Action.REPLACE and node is not None:
                yield from _access("give", node)
        case Action.CREATE | Action.REPLACE if node is not None:
            yield from _access("give", node)
        case Action.UPDATE | Action.IMPORT | Action.RECOVER if node is not None and actual is not None:
            if change.changed - {"owner"}:
                yield from _access("take", actual)
                yield from _access("give", node)
                for where, what in actual.resource.redefined(node.resource):
                    yield approval.access(where, "change", what)
            if "access_model" in change.changed and isinstance(node.resource, Vault):
                yield approval.switching(node.resource.name, node.resource.access_model)
            if "approval" in change.changed and isinstance(node.resource, Vault):
                rule = node.resource.approval
                by, operations = (rule.by, rule.operations) if rule is not None else ((), ())
                yield approval.ruling(node.resource.name, by, operations)
        case _:
            return


def _end(actual: Actual[Resource], *, purged: bool) -> Iterator[Deed]:
    resource = actual.resource
    for where, what in resource.redefined(None):
        yield approval.access(where, "take", what)
    if resource.grants(actual.vault) is not None:
        yield from _access("take", actual)
    elif resource.soft_deleted:
        if actual.deletion is None:
            yield approval.deletion(resource.identity(actual.vault))
        if purged:
            yield approval.purge(resource.identity(actual.vault))


def _access(verb: str, thing: Node | Actual[Resource]) -> Iterator[Deed]:
    granted = thing.resource.grants(thing.vault)
    if granted is not None:
        yield approval.access(granted[0], verb, granted[1])
