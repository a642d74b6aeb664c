"""Everything that bears on one address, and what is decided about it."""

from datetime import datetime

import msgspec

from kvstack.backends.protocol import Actual
from kvstack.declare.graph import Node, Removal
from kvstack.plan.change import Change
from kvstack.plan.standing import Standing
from kvstack.schema.resource import Lifecycle, Resource
from kvstack.state.state import Intend, Record
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic


class Missing(msgspec.Struct, frozen=True):
    """What something needs and will not have. ends: it is there, and this plan deletes it."""

    identity: str
    ends: bool


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that bears on one address.

    node: as declared, None where it is not. record: as applied last. intent: what a run that ended early was about to
    make. actual: what is under the declared (or else the recorded) identity. before: what is under the recorded
    identity, where that is another. vault: what is decided about the vault it is in, None where nothing changes there.
    taken_along: the replacement of something else that this does not outlast. container: the vault it is in, as it is.
    needed: what it needs, as declared or else as it is. needs_missing: what it needs, where that is neither there nor
    declared. still_needed_by: what stays and needs it, which stands in the way of its end. destroyed: as declared,
    where the plan is to destroy it all the same.
    """

    address: Address
    kind: str
    node: Node | None
    record: Record | None
    intent: Intend | None
    actual: Actual[Resource] | None
    before: Actual[Resource] | None
    standing: Standing
    owner: str
    offered: str | None
    imported: bool
    removal: Removal | None
    moved_from: Address | None
    name_held_by: Address | None
    vault_address: Address | None
    vault: Change | None
    taken_along: Change | None
    container: Actual[Resource] | None
    needed: tuple[Resource, ...]
    needs_missing: Missing | None
    still_needed_by: Actual[Resource] | None
    now: datetime
    destroyed: Node | None

    @property
    def there(self) -> Actual[Resource]:
        """What is under the identity; there is something under every standing but ABSENT."""
        if self.actual is None:
            raise AssertionError(f"nothing is there at {self.address}")
        return self.actual

    @property
    def prevents_destroy(self) -> bool:
        """Whether what is declared forbids the end of what is there."""
        declared = self.node or self.destroyed
        return declared is not None and declared.resource.lifecycle.prevent_destroy

    @property
    def purges(self) -> bool:
        """Whether its deletion is to be for good: by `removed`, or by its lifecycle as declared or recorded."""
        recorded = self.record.resource.lifecycle if self.record is not None else Lifecycle()
        declared = self.destroyed.resource.lifecycle if self.destroyed is not None else Lifecycle()
        asked = self.removal is not None and self.removal.purge
        return asked or recorded.purge_on_delete or declared.purge_on_delete

    @property
    def was_replaced(self) -> bool:
        """Whether a run that ended early has made this in the place of what is recorded, under another name."""
        owner = self.there.owner
        ours = owner is not None and (owner.stack, owner.address) == (self.owner, self.address)
        return ours and self.before is not None and self.before.deletion is not None

    @property
    def lives_elsewhere(self) -> bool:
        """Whether what is recorded is still there in another place than the vault that is made, or made anew."""
        if self.before is None or self.taken_along is not None:
            return False
        there = self.vault.actual if self.vault is not None else None
        return there is None or self.before.vault.lower() != there.resource.name.lower()

    @property
    def stays_deleted(self) -> bool:
        """Whether it is alive in a deleted vault that this plan neither brings back nor ends."""
        deletion = self.there.deletion
        goes_on = self.vault is None or self.vault.action not in (Action.RECOVER, Action.DELETE, Action.PURGE)
        return deletion is not None and deletion.with_vault and goes_on

    def change(self, **more: object) -> Change:
        """Return a change of this address. more: what else it says."""
        said: dict[str, object] = {
            "address": self.address,
            "kind": self.kind,
            "node": self.node,
            "actual": self.actual,
            "record": self.record,
            "moved_from": self.moved_from,
            "vault_address": self.vault_address,
            **more,
        }
        return Change(**said)  # type: ignore[arg-type]  # each under its own name


class Inside(msgspec.Struct, frozen=True):
    """One thing in a vault. ours: whether it is this stack's."""

    actual: Actual[Resource]
    ours: bool


class Decision(msgspec.Struct, frozen=True):
    """The change, and what else has to be said about it."""

    change: Change
    diagnostics: tuple[Diagnostic, ...] = ()
