"""The plan: what is desired, what was applied, and what is there, held against each other. Pure: data in, data out."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from kvstack.backends.protocol import Actual, Snapshot
from kvstack.declare.graph import Desired, Node, Removal
from kvstack.plan import order
from kvstack.plan.access_model import switches
from kvstack.plan.change import Change, Plan, UnreadThing
from kvstack.plan.decide import decision
from kvstack.plan.drift import drift
from kvstack.plan.moves import found_again, moved_records
from kvstack.plan.situation import Inside, Missing, Situation
from kvstack.plan.standing import Standing, made_before, standing
from kvstack.resources.catalog import BESIDE, CONTAINERS
from kvstack.schema.differences import differences
from kvstack.schema.resource import Resource, compared
from kvstack.state.state import Record, State
from kvstack.terms.action import Action
from kvstack.terms.address import Address, is_within, joined, parent
from kvstack.terms.diagnostic import Diagnostic


def plan(
    desired: Desired,
    state: State,
    snapshot: Snapshot,
    *,
    now: datetime,
    values: Mapping[Address, str] | None = None,
    targets: tuple[Address, ...] = (),
    destroy: bool = False,
    refresh_only: bool = False,
) -> Plan:
    """Return what has to happen.

    values: fingerprints of the secret values that `env` and `file` offer now, by address; targets: addresses the plan
    is restricted to, with what they depend on; destroy: plan the end of everything; refresh_only: only tell what moved.
    """
    desired = desired.told_by(snapshot.principals)
    planned = _Planning(desired, state, snapshot, now, values or {}, destroy)
    changes, bookkeeping = planned.changes() if not refresh_only else planned.nothing_but_unread()
    planned.diagnostics += switches(changes, desired, snapshot)
    considered = len(desired.nodes)
    diagnostics, unread = list(planned.diagnostics), planned.unread
    if targets:
        diagnostics += _unmatched(targets, desired, state)
        unread = [thing for thing in unread if any(is_within(thing.address, target) for target in targets)]
        changes, considered = _targeted(changes, unread, targets, desired)
        bookkeeping = [entry for entry in bookkeeping if any(is_within(entry.address, target) for target in targets)]
    declared = frozenset(desired.nodes)
    told = {change.address for change in changes} | {thing.address for thing in unread}
    return Plan(
        stack=desired.stack,
        environment=desired.environment,
        changes=tuple(order.with_dependencies(changes)),
        unchanged=0 if refresh_only else considered - len(told & declared),
        bookkeeping=tuple(bookkeeping),
        compared_at_apply=tuple(entry.address for entry in bookkeeping if entry.compared_at_apply),
        drift=drift(state, snapshot, desired.nodes),
        unread=tuple(unread),
        diagnostics=tuple(diagnostics),
        lineage=state.lineage,
        serial=state.serial,
        made_at=now,
        destroy=destroy,
        refresh_only=refresh_only,
        targets=targets,
    )


class _Planning:
    """One run over everything declared, recorded and tagged as ours."""

    def __init__(
        self,
        desired: Desired,
        state: State,
        snapshot: Snapshot,
        now: datetime,
        values: Mapping[Address, str],
        destroy: bool,
    ) -> None:
        self.desired = desired
        self.state = state
        self.snapshot = snapshot
        self.now = now
        self.values = values
        self.destroy = destroy
        self.nodes: Mapping[Address, Node] = {} if destroy else desired.nodes
        self.declared = {node.identity: node for node in self.nodes.values()}
        self.moved = found_again(moved_records(desired.moves, state.records), self.nodes)
        self.records = self.moved.records
        self.by_identity = {record.identity: record for record in self.records.values()}
        self.vaults = {
            record_or_node.identity: address
            for known in (self.records, self.nodes)
            for address, record_or_node in known.items()
            if type(record_or_node.resource) in CONTAINERS.values()
        }
        # What is recorded and no longer declared.
        self.ends = {
            record.identity: address for address, record in self.records.items() if record.identity not in self.declared
        }
        self.made_before = made_before(state, snapshot)
        self.unread: list[UnreadThing] = []
        self.diagnostics: list[Diagnostic] = list(self.moved.diagnostics)
        self.decided: dict[Address, Change] = {}
        self.replaced: dict[str, Change] = {}  # what takes others along, by identity

    def changes(self) -> tuple[list[Change], list[Change]]:
        """Return what changes, and the no-ops whose record is missing or out of date."""
        changes: list[Change] = []
        bookkeeping: list[Change] = []
        for change in self._all():
            if change.action is not Action.NO_OP:
                changes.append(change)
                self.decided[change.address] = change
                if change.action is Action.REPLACE and change.node is not None:
                    self.replaced[change.node.identity] = change
            elif change.compared_at_apply or _record_is_stale(change):
                bookkeeping.append(change)
        return changes, bookkeeping

    def nothing_but_unread(self) -> tuple[list[Change], list[Change]]:
        """Return no changes at all, having noted which recorded things could not be read: whether they moved is not
        known."""
        for address, record in self.records.items():
            if self._is_unread(record.identity):
                self.unread.append(UnreadThing(address, self._reason(record.identity)))
        return [], []

    def _all(self) -> Iterator[Change]:
        for address, node in self.nodes.items():
            record = self.records.get(address)
            if record is None or not self._is_settled(address, node, record):
                yield from self._decided(address, node, record, node.identity)
        claimed = set(self.declared)
        for address, record in self.records.items():
            if address not in self.nodes:
                claimed.add(record.identity)
                yield from self._decided(address, None, record, record.identity)
        yield from self._leftovers(claimed)

    def _is_settled(self, address: Address, node: Node, record: Record) -> bool:
        """Tell, at a glance, that nothing differs: what is declared, recorded and there is one and the same, and ours.

        Most of a large stack is so at most times; whatever is not, or needs a closer look, is decided about in full.
        """
        actual = self.snapshot.things.get(node.identity)
        if (
            actual is None
            or actual.deletion is not None
            or record.identity != node.identity
            or record.id != actual.id
            or record.version != actual.version
            or node.vault_address in self.decided
            or address in self.moved.sources
            or self._is_unread(node.identity)
            or self._taken_along(node) is not None
        ):
            return False
        owner, declared = actual.owner, node.resource
        read = compared(type(declared))
        attributes = read(declared)
        if attributes != read(actual.resource) or attributes != read(record.resource):
            return False
        source = declared.value_source
        if source is not None and (source.read_at_plan or record.fingerprint != actual.fingerprint):
            return False
        if _said_otherwise(record.resource, declared):
            return False
        if actual.hints or declared.hints(self.now):
            return False
        if not hasattr(declared, "tags"):
            return True
        return owner is not None and owner.address == address and owner.stack == self.desired.owner

    def _leftovers(self, claimed: set[str]) -> Iterator[Change]:
        """Decide about what is this stack's by its tags, by its name, or by what a run that ended early was about to
        make, and is neither declared nor recorded: made just before a crash, or back with its vault."""
        for identity, address in self.made_before.items():
            if identity not in claimed and address not in self.nodes and address not in self.records:
                yield from self._decided(address, None, None, identity)
        for identity, actual in self.snapshot.things.items():
            if (
                identity not in claimed
                and identity not in self.by_identity
                and (actual.deletion is None or actual.deletion.with_vault)
                and (ours := self._address_as_ours(identity, actual)) is not None
            ):
                if actual.deletion is not None and not self._comes_back(ours, identity):
                    continue
                if ours not in self.nodes and ours not in self.records:
                    yield from self._decided(ours, None, None, identity)

    def _address_as_ours(self, identity: str, actual: Actual[Resource]) -> Address | None:
        """Return the address of what is this stack's, None for what is not known to be."""
        if actual.owner is not None and actual.owner.stack == self.desired.owner:
            return Address(actual.owner.address)
        vault = self.vaults.get("/".join(identity.split("/", 2)[:2]))
        if vault is not None and actual.named_by_us and actual.resource.gives_access:
            return joined(vault, actual.resource.collection, *actual.resource.address_parts())
        return None

    def _comes_back(self, address: Address, identity: str) -> bool:
        """Tell whether the deleted vault that a thing is in is recovered."""
        vault = self.decided.get(self._vault_address(address, identity))
        return vault is not None and vault.action is Action.RECOVER

    def _decided(self, address: Address, node: Node | None, record: Record | None, identity: str) -> Iterator[Change]:
        there = self._standing(identity, record)
        if there is Standing.UNREAD or (record is not None and self._is_unread(record.identity)):
            unread = identity if there is Standing.UNREAD or record is None else record.identity
            self.unread.append(UnreadThing(address, self._reason(unread)))
            return
        vault_address = node.vault_address if node is not None else self._vault_address(address, identity)
        waits_for = self._waits_for(node)
        if waits_for:
            self.unread.append(UnreadThing(address, waits_for))
            return
        situation = Situation(
            address=address,
            kind=node.resource.kind if node else record.kind if record else self.snapshot.things[identity].kind,
            node=node,
            record=record,
            intent=self.state.intents.get(address),
            actual=self.snapshot.things.get(identity),
            before=self.snapshot.things.get(record.identity) if record and record.identity != identity else None,
            standing=there,
            owner=self.desired.owner,
            offered=self.values.get(address),
            imported=address in self.desired.imports,
            removal=self._removal(address) if node is None else None,
            moved_from=self.moved.sources.get(address),
            name_held_by=self.moved.held.get(address),
            vault_address=vault_address if vault_address != address else None,
            vault=self.decided.get(vault_address) if vault_address and vault_address != address else None,
            taken_along=self._taken_along(node),
            container=self.snapshot.things.get("/".join(identity.split("/", 2)[:2]))
            if identity.count("/") > 1
            else None,
            needed=self._needed(node),
            needs_missing=self._needs_missing(node),
            still_needed_by=self._still_needed_by(identity) if node is None else None,
            now=self.now,
            destroyed=self.desired.nodes.get(address) if self.destroy else None,
        )
        decided = decision(situation, lambda: self._inside(identity))
        self.diagnostics.extend(decided.diagnostics)
        yield decided.change

    def _taken_along(self, node: Node | None) -> Change | None:
        """Return the replacement that a thing does not outlast, beside that of its vault."""
        if node is None or not self.replaced:
            return None
        return next((self.replaced[one] for one in node.resource.ends_with() if one in self.replaced), None)

    def _waits_for(self, node: Node | None) -> str:
        """Return what has to be done with what a thing is in, once that is made, before the thing can be planned; or
        why that cannot be read which it is told by."""
        for identity in node.resource.ends_with() if node is not None and self.snapshot.unread else ():
            if self._is_unread(identity):
                return self._reason(identity)
        holder = self.decided.get(node.vault_address) if node is not None and node.vault_address is not None else None
        if holder is None or holder.node is None or holder.action not in (Action.CREATE, Action.REPLACE):
            return ""
        return holder.node.resource.comes_first()

    def _vault_address(self, address: Address, identity: str) -> Address:
        """Return the address of the vault that something undeclared is in: whatever it is called now; its own for what
        is in none."""
        if address.split("/", 1)[0] in BESIDE:
            return address
        container = "/".join(identity.split("/", 2)[:2])
        return self.vaults.get(container, parent(address))

    def _standing(self, identity: str, record: Record | None) -> Standing:
        if self._is_unread(identity):
            return Standing.UNREAD
        recorded = self.by_identity.get(identity)
        return standing(
            self.snapshot.things.get(identity),
            recorded or (record if record and record.identity == identity else None),
            self.desired.owner,
            made_before=identity in self.made_before,
        )

    def _is_unread(self, identity: str) -> bool:
        return self.snapshot.unread_because(identity) is not None

    def _reason(self, identity: str) -> str:
        return self.snapshot.unread_because(identity) or "not read"

    def _removal(self, address: Address) -> Removal | None:
        parts = address.split("/")
        for length in range(len(parts), 0, -1):
            found = self.desired.removals.get(Address("/".join(parts[:length])))
            if found is not None:
                return found
        return None

    def _needed(self, node: Node | None) -> tuple[Resource, ...]:
        """Return what a thing needs, as declared, or else as it is; what is neither is not among it."""
        found = []
        for needed in node.resource.needs(node.vault) if node is not None else ():
            one = self.declared.get(needed) or self.snapshot.things.get(needed)
            if one is not None:
                found.append(one.resource)
        return tuple(found)

    def _needs_missing(self, node: Node | None) -> Missing | None:
        for needed in node.resource.needs(node.vault) if node is not None else ():
            if needed in self.declared or self._is_unread(needed):
                continue
            there = self.snapshot.things.get(needed)
            if there is None or there.deletion is not None:
                return Missing(needed, ends=False)
            if self._ends(needed):
                return Missing(needed, ends=True)
        return None

    def _still_needed_by(self, identity: str) -> Actual[Resource] | None:
        """Return something that needs this, and that this plan does not end, where this cannot end before it."""
        there = self.snapshot.things.get(identity)
        if there is None or not there.resource.stays_while_needed:
            return None
        for key, actual in self.snapshot.things.items():
            if identity not in actual.resource.needs(actual.vault) or actual.deletion is not None:
                continue
            record = self.by_identity.get(key)
            replaced = record is not None and record.address in self.nodes and key not in self.declared
            if not (self._ends(key) or replaced or self._ends(f"vaults/{actual.vault.lower()}")):
                return actual
        return None

    def _ends(self, identity: str) -> bool:
        """Tell whether what is recorded under this identity is to be deleted: it is no longer declared, nor kept."""
        if identity not in self.ends:
            return False
        removal = self._removal(self.ends[identity])
        return removal is None or removal.destroy

    def _inside(self, identity: str) -> tuple[Inside, ...]:
        """Return what is in this vault, each with whether it is this stack's."""
        return tuple(
            Inside(
                actual,
                key in self.by_identity
                or key in self.made_before
                or (actual.owner is not None and actual.owner.stack == self.desired.owner),
            )
            for key, actual in self.snapshot.things.items()
            if key.startswith(identity + "/")
        )


def _record_is_stale(change: Change) -> bool:
    """Tell whether the state does not say what the vault says about something that needs no change."""
    record, actual = change.record, change.actual
    if actual is None or change.node is None:
        return False
    return (
        record is None
        or record.address != change.address
        or record.id != actual.id
        or record.version != actual.version
        or (record.fingerprint != actual.fingerprint and record.kind == "secret")
        or _said_otherwise(record.resource, change.node.resource)
        or bool(differences(record.resource, actual.resource))
    )


def _said_otherwise(recorded: Resource, declared: Resource) -> bool:
    """Tell whether what no vault knows is recorded otherwise than it is declared: it counts once the thing is not
    declared any more."""
    return recorded.lifecycle != declared.lifecycle or recorded.value_source != declared.value_source


def _targeted(
    changes: list[Change], unread: list[UnreadThing], targets: tuple[Address, ...], desired: Desired
) -> tuple[list[Change], int]:
    wanted = {change.address for change in changes if any(is_within(change.address, target) for target in targets)}
    # What a target depends on comes along: a key cannot be made in a vault that is not there, nor a role be given that
    # nobody has defined.
    nodes = {change.address: change.node for change in changes if change.address in wanted and change.node is not None}
    nodes |= {thing.address: desired.nodes[thing.address] for thing in unread if thing.address in desired.nodes}
    of_identity = {node.identity: address for address, node in desired.nodes.items()}
    waiting = list(nodes.values())
    while waiting:
        node = waiting.pop()
        for identity in node.resource.needs(node.vault):
            needed = of_identity.get(identity)
            if needed is not None and needed not in nodes:
                nodes[needed] = desired.nodes[needed]
                waiting.append(nodes[needed])
    wanted |= set(nodes)
    wanted |= {Address(address.split("/", 1)[0]) for address in nodes}
    wanted |= {
        change.address for change in changes if change.with_vault and Address(change.address.split("/", 1)[0]) in wanted
    }
    considered = sum(any(is_within(address, target) for target in targets) for address in desired.nodes)
    kept = [change for change in changes if change.address in wanted]
    extra = sum(change.node is not None and not any(is_within(change.address, t) for t in targets) for change in kept)
    return kept, considered + extra


def _unmatched(targets: tuple[Address, ...], desired: Desired, state: State) -> Iterator[Diagnostic]:
    yield Diagnostic(
        severity="warning",
        summary="the plan is restricted by --target: it is not the whole declaration",
        detail="Use it to get out of trouble, not as a habit.",
    )
    known = [*desired.nodes, *state.records]
    for target in targets:
        if not any(is_within(address, target) for address in known):
            yield Diagnostic(severity="error", summary=f"nothing is declared or recorded at `{target}`", address=target)
