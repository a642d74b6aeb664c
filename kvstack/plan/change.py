"""A plan and its parts: the one value that everything people and pipelines see is a rendering of."""

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node
from kvstack.plan.access import NO_EFFECTS, AccessEffects
from kvstack.schema.resource import Resource
from kvstack.state.state import Record
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.approval import Deed
from kvstack.terms.diagnostic import Diagnostic, Place
from kvstack.terms.principal import Principal


class Sensitive(msgspec.Struct, frozen=True):
    """A secret value, as far as a plan may know it."""

    fingerprint: str | None


class KnownAfterApply(msgspec.Struct, frozen=True):
    """A value that is made, or can be read, in apply only. note: `value compared at apply`, `generated`, ..."""

    note: str = "known after apply"


class AttributeChange(msgspec.Struct, frozen=True):
    """One attribute before and after. path: dotted where it is nested (`rotation.every`); before and after: plain data
    (None, bool, int, str, lists and dicts of them), Sensitive or KnownAfterApply; rule: the change rule's name."""

    path: str
    before: Any
    after: Any
    rule: str = "update"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step for one address.

    reasons: why it happens, most important first. irreversible: what it does cannot be undone. moved_from: the address
    it had. with_vault: it happens to the thing because it happens to its vault (deletion, recovery), in the same step.
    purge_first: a replacement whose name has to be purged first. depends_on: what has to be finished before.
    node, actual, record, changed (names of attributes to change, `owner` for the tags) and new_version are what apply
    works on; renderings do not look at them.
    """

    address: Address
    kind: str
    action: Action
    irreversible: bool = False
    reasons: tuple[str, ...] = ()
    attributes: tuple[AttributeChange, ...] = ()
    moved_from: Address | None = None
    with_vault: bool = False
    purge_first: bool = False
    vault_address: Address | None = None
    depends_on: tuple[Address, ...] = ()
    place: Place | None = None
    compared_at_apply: bool = False
    node: Node | None = None
    actual: Actual[Resource] | None = None
    record: Record | None = None
    changed: frozenset[str] = frozenset()
    new_version: bool = False


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was applied. what: what happened to it. by: who did it and when, from the audit."""

    address: Address
    kind: str
    what: str  # "changed" | "deleted" | "purged" | "new version" | "tags lost"
    attributes: tuple[AttributeChange, ...] = ()
    by: str | None = None
    at: datetime | None = None
    operation: str | None = None


class UnreadThing(msgspec.Struct, frozen=True):
    """A declared thing whose state could not be read, and why."""

    address: Address
    reason: str


class NeedsApproval(msgspec.Struct, frozen=True, kw_only=True):
    """Something a change does that waits for an approval. vault: whose rule wants it, by its real name; by: ids of
    those who may approve, groups too; names: the same for people; declared: the rule is not in the vault yet, this
    plan brings it."""

    address: Address
    vault: str
    deed: Deed
    by: tuple[str, ...]
    names: tuple[str, ...] = ()
    declared: bool = False


class GivenApproval(msgspec.Struct, frozen=True):
    """An approval of this very plan, as it counts now. problem: why it does not count, empty where it does."""

    approver: str
    until: datetime
    problem: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would change. changes: everything that is not a no-op, in the order of the declaration (deletions at the
    end); unchanged: how many no-ops there are; bookkeeping: no-ops whose record in
    the state is missing or out of date; compared_at_apply: secrets whose value was not there to compare;
    principals: those the backend does not know yet, or knows otherwise; access: who gains and loses what;
    needs_approval: what of it waits for an approval; approvals: those it has, None where nobody has looked, as in a
    saved plan."""

    stack: str
    environment: str | None
    changes: tuple[Change, ...]
    unchanged: int = 0
    bookkeeping: tuple[Change, ...] = ()
    compared_at_apply: tuple[Address, ...] = ()
    drift: tuple[Drifted, ...] = ()
    unread: tuple[UnreadThing, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    principals: tuple[Principal, ...] = ()
    access: AccessEffects = NO_EFFECTS
    needs_approval: tuple[NeedsApproval, ...] = ()
    approvals: tuple[GivenApproval, ...] | None = None
    lineage: str = ""
    serial: int = 0
    declaration_digest: str = ""
    made_at: datetime | None = None
    destroy: bool = False
    refresh_only: bool = False
    targets: tuple[Address, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not self.unread

    @property
    def summary(self) -> dict[str, int]:
        """How many changes of each action there are, every action named."""
        counted = Counter(change.action for change in self.changes)
        return {action.value: counted[action] for action in Action if action is not Action.NO_OP}

    @property
    def refused(self) -> bool:
        """Whether the plan holds something that cannot be done."""
        return any(change.action is Action.REFUSE for change in self.changes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do. That the backend learns a name is nothing; that a group has other members
        is."""
        return not self.changes and not any(principal.type == "group" for principal in self.principals)
