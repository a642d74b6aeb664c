"""What kvstack asks of a backend: one bulk read, and a handler a resource type."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from kvstack.schema.obstacle import Hint
from kvstack.schema.resource import Resource
from kvstack.terms.approval import Deed, Given, Held
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.event import StackEvent
from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.terms.tags import Owner

R = TypeVar("R", bound=Resource)


class Deletion(msgspec.Struct, frozen=True):
    """How a soft-deleted thing stands. purge_at: when retention ends; purgeable: whether it may be purged before."""

    at: datetime
    purge_at: datetime
    purgeable: bool
    with_vault: bool = False  # it is alive in a vault that is deleted, and comes back with it


class Actual(msgspec.Struct, Generic[R], frozen=True):
    """One thing as just read.

    id: the backend's own id. vault: real name of the vault it is in, empty for a vault and for wider things. version:
    id of the newest version. fingerprint: of the newest secret value, keyed by the vault. by_rotation: the newest
    version was made by a rotation. named_by_us: it has no tags, and the name kvstack would give it. deletion: None
    while it is alive. hints: what is worth a word about it as it is, although nothing has to change.
    """

    kind: str
    id: str
    vault: str
    resource: R
    owner: Owner | None = None
    version: str | None = None
    fingerprint: str | None = None
    by_rotation: bool = False
    named_by_us: bool = False
    deletion: Deletion | None = None
    hints: tuple[Hint, ...] = ()


class Unread(msgspec.Struct, frozen=True):
    """What could not be read. identity: of a thing, with everything in it; or, ended by `/`, what is in a place. but:
    places in it, ended by `/`, that were read."""

    identity: str
    reason: str
    but: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """Everything in the vaults of a stack, by identity (Resource.identity), read in bulk. principals: by id, how things
    name them where not by that: managed identities, whose ids no declaration knows."""

    things: Mapping[str, Actual[Resource]]
    unread: tuple[Unread, ...] = ()
    principals: Mapping[str, str] = {}

    def unread_because(self, identity: str) -> str | None:
        """Return why a thing could not be read; None where it was, or is known not to be there."""
        if not self.unread or identity in self.things:
            return None
        for entry in self.unread:
            if (
                identity == entry.identity or identity.startswith(entry.identity.removesuffix("/") + "/")
            ) and not identity.startswith(entry.but):
                return entry.reason
        return None


class Wanted(msgspec.Struct, Generic[R], frozen=True):
    """What a handler is to make true. vault: real name of the vault it goes into; owner: whose it is from then on, None
    to take the owner's tags away; value: for a resource with a value source, where there is a new one."""

    resource: R
    vault: str
    owner: Owner | None
    value: SecretValue | None = None


class Handler(Protocol[R]):
    """Changes things of one resource type. Every method is durable when it returns (or when the batch around it
    ends)."""

    def create(self, wanted: Wanted[R]) -> Actual[R]:
        """Make it. Idempotent: a thing that is there, and already ours and as wanted, is simply returned."""
        ...

    def update(self, actual: Actual[R], wanted: Wanted[R], changed: frozenset[str]) -> Actual[R]:
        """Change attributes in place. changed: their names; `owner` among them for the owner's tags."""
        ...

    def delete(self, actual: Actual[R]) -> None:
        """Delete it (softly, where there is soft delete). A thing that is gone is no error."""
        ...


@runtime_checkable
class Rotates(Protocol[R]):
    """A handler whose things have versions."""

    def rotate(self, actual: Actual[R], wanted: Wanted[R]) -> Actual[R]:
        """Make a new version with the attributes (and value) wanted."""
        ...


@runtime_checkable
class Recovers(Protocol[R]):
    """A handler whose deleted things can come back."""

    def recover(self, actual: Actual[R]) -> Actual[R]:
        """Bring a soft-deleted thing back as it was."""
        ...


@runtime_checkable
class Purges(Protocol[R]):
    """A handler whose deleted things can be destroyed for good."""

    def purge(self, actual: Actual[R]) -> None:
        """Destroy a soft-deleted thing and free its name."""
        ...


@runtime_checkable
class Tells(Protocol):
    """A backend that tells those who want to know what became of a stack."""

    def tell(self, what: StackEvent, stack: str) -> None:
        """Tell it, where anybody wants to know, and who acts may. Nothing is sent yet."""
        ...


@runtime_checkable
class Approves(Protocol):
    """A backend that holds changes up until somebody has approved the plan that makes them."""

    @property
    def caller_id(self) -> str:
        """Who plans and applies: nobody approves his own plan."""
        ...

    def held_up(self, deeds: Iterable[Deed]) -> tuple[Held, ...]:
        """Return which deeds the rules there now hold up."""
        ...

    def approvals_of(self, plan: str) -> tuple[Given, ...]:
        """Return the approvals of a plan, by its digest, as they count now."""
        ...

    def under(self, plan: str) -> AbstractContextManager[Callable[[], None]]:
        """Act in the block under the approvals of a plan; what it gives is to be called once all of the plan is done,
        and uses them up."""
        ...


class LastChange(msgspec.Struct, frozen=True):
    """Who changed a thing last, as the backend's audit has it."""

    identity: str
    who: str
    when: datetime
    operation: str


class Offer(msgspec.Struct, frozen=True):
    """A value a secret could be set to. vault, name: real names."""

    vault: str
    name: str
    value: SecretValue


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the moment, in UTC."""
        ...


class Backend(Protocol):
    """A place vaults are in."""

    name: str
    id: str  # which vaults these are: a state belongs to one backend
    resource_group: str  # what is made and names none goes there

    @property
    def clock(self) -> Clock:
        """What tells the time these vaults go by."""
        ...

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What everybody who looks at a plan has to know of these vaults: a simulated clock, a damaged backup copy,
        ..."""
        ...

    def snapshot(self, vaults: Iterable[str]) -> Snapshot:
        """Read everything in these vaults (real names; alive or soft-deleted), all role assignments and all managed
        identities, never a value."""
        ...

    def handler(self, kind: str) -> Handler[Resource] | None:
        """Return the handler of a resource type, None where this backend has no such thing."""
        ...

    def fingerprints(self, offers: Iterable[Offer]) -> tuple[str | None, ...]:
        """Return, for each offered value, what tells it from another and nothing else: keyed, and the key never leaves
        the vault. None where whoever acts may not know."""
        ...

    def last_changes(self, identities: Iterable[str]) -> Mapping[str, LastChange]:
        """Return who changed these things last, where that is known."""
        ...

    def principals(self) -> Mapping[str, Principal] | None:
        """Return the principals the backend knows by name, by id; with the members of groups that are kept there. None
        where whoever acts may not know."""
        ...

    def make_known(self, principal: Principal) -> None:
        """Tell the backend a principal's name, and a group's members where they are kept there."""
        ...

    def batch(self) -> AbstractContextManager[None]:
        """Group calls of this thread into one durable commit; one that fails undoes only itself."""
        ...

    def is_slow(self, kind: str, resource: Resource) -> str | None:
        """Return what is being waited for where making this takes long (`generating RSA-4096 key`), else None."""
        ...

    def apart(self, kind: str) -> str | None:
        """Return what a change of this resource type does that stands in no batch (`making its tokens`), else None."""
        ...

    def close(self) -> None:
        """Let go of files, sessions and connections."""
        ...
