"""The JSON of a calendar, as types: what is here is the contract, and schemas/calendar.json comes from it."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kvstack.render.documents import FORMAT_VERSION, Version

if TYPE_CHECKING:
    from kvstack.vault.coming import Coming

ActionName = Literal[
    "rotate",
    "settle-rotation",
    "renew",
    "disable-previous",
    "near-expiry",
    "expired",
    "tell-contacts",
    "purge",
    "ends",
]
KindName = Literal["key", "secret", "certificate", "vault", "managed_hsm", "role_assignment", "eligible_assignment"]
ConflictCode = Literal["not-done", "outlives-authority", "expires-before-rotation", "no-rotation", "nobody-notified"]


class ConflictDocument(msgspec.Struct, frozen=True):
    """What somebody should look at before that day."""

    code: Annotated[ConflictCode, Meta(description="What kind of conflict: stays the same.")]
    words: Annotated[str, Meta(description="The same for people; may be put in other words.")]


class ComingDocument(msgspec.Struct, frozen=True):
    """One thing that is going to happen."""

    at: Annotated[
        datetime, Meta(tz=True, description="When it is done, at the earliest, in UTC. What is overdue: now.")
    ]
    action: Annotated[ActionName, Meta(description="What happens.")]
    kind: Annotated[KindName, Meta(description="To what kind of thing.")]
    vault: Annotated[str, Meta(description="The vault's real name; empty for a right that is wider than one vault.")]
    name: Annotated[
        str, Meta(description="The thing's real name; of a right its role and principal; empty for a vault itself.")
    ]
    due_since: Annotated[datetime, Meta(tz=True, description="When it became, or becomes, due.")]
    done: Annotated[bool, Meta(description="false: it is tried then, and fails.")]
    conflicts: Annotated[tuple[ConflictDocument, ...], Meta(description="What is wrong with it.")]


class CalendarDocument(msgspec.Struct, frozen=True):
    """What is going to happen: the answer of `kvstack calendar --json`."""

    format_version: Version
    now: Annotated[datetime, Meta(tz=True, description="The vault's time, from which it looks ahead.")]
    until: Annotated[datetime, Meta(tz=True, description="How far it looks.")]
    coming: Annotated[tuple[ComingDocument, ...], Meta(description="In order.")]


def calendar_document(now: datetime, until: datetime, coming: "Iterable[Coming]") -> dict[str, Any]:
    """Return what is coming in the shape of schemas/calendar.json."""
    found: dict[str, Any] = msgspec.to_builtins(
        CalendarDocument(FORMAT_VERSION, now, until, tuple(map(_coming, coming)))
    )
    return found


def _coming(one: "Coming") -> ComingDocument:
    # What cannot be read (`unread`) is no date of a calendar: a forecast has every action but that one.
    action: Any = one.action
    return ComingDocument(
        at=one.at,
        action=action,
        kind=one.kind,
        vault=one.vault,
        name=one.name,
        due_since=one.since,
        done=one.done,
        conflicts=tuple(ConflictDocument(conflict.code, conflict.words) for conflict in one.conflicts),
    )
