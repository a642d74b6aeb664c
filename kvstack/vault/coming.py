"""What a forecast goes by, and what it says: one thing after the other, each with what is wrong with it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from kvstack.terms.event import Filter
from kvstack.vault.due_kind import Action
from kvstack.vault.records import Certificate, Key, Secret, Vault

ConflictCode = Literal["not-done", "outlives-authority", "expires-before-rotation", "no-rotation", "nobody-notified"]
Kind: TypeAlias = Literal[
    "key", "secret", "certificate", "vault", "managed_hsm", "role_assignment", "eligible_assignment"
]


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """What somebody should look at before that day."""

    code: ConflictCode
    words: str


class Coming(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is going to happen. at: when, at the earliest; action: as the scheduler names it, `ends` for
    rights; since: when it became due; done: false for what the scheduler would try in vain."""

    at: datetime
    action: Action | Literal["ends"]
    kind: Kind
    vault: str
    name: str
    since: datetime
    done: bool = True
    conflicts: tuple[Conflict, ...] = ()


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A thing as it stands. followed: when each of its versions that is still to be disabled was followed by another
    one; authority: id of the vault and folded name of what signs it; barred: why no new version can be made; signs:
    of what others are signed by, whether its newest version is an authority's: its policy may have changed since."""

    row: Key | Secret | Certificate
    followed: tuple[datetime, ...] = ()
    authority: tuple[str, str] | None = None
    barred: str = ""
    signs: bool = True


class Known(msgspec.Struct, frozen=True):
    """What the forecast goes by. vaults: soft-deleted; endings: rights that end; wanted: what people are told of."""

    things: Sequence[Standing]
    vaults: Sequence[Vault] = ()
    endings: Sequence[Coming] = ()
    wanted: Sequence[Filter] = ()
