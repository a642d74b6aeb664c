"""One kind of work that time makes due: what it is called, and what does it once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import msgspec

from kvstack.terms.diagnostic import Diagnostic
from kvstack.vault.errors import Conflict
from kvstack.vault.records import Certificate, Key, Secret, Vault

Action = Literal[
    "purge",
    "rotate",
    "settle-rotation",
    "renew",
    "disable-previous",
    "near-expiry",
    "expired",
    "tell-contacts",
    "unread",
]
Thing = Vault | Key | Secret | Certificate


class Due(msgspec.Struct, frozen=True):
    """One thing that is due. action: what is to be done, `unread` where its row cannot be read; since: when it became
    due."""

    action: Action
    kind: Literal["vault", "managed_hsm", "key", "secret", "certificate"]
    vault: str
    name: str
    since: datetime


class Failed(msgspec.Struct, frozen=True):
    """One thing that is due and could not be done now. The next run tries again."""

    due: Due
    diagnostic: Diagnostic


class Found(msgspec.Struct, frozen=True):
    """One thing that is due, with its row as it was when it was found: it may have changed since."""

    due: Due
    thing: Thing


# Does a thing's slow part (making a key) while the store is free for others, and returns what is left to be committed;
# None where all is done. Both look anew whether it still is due, and raise NotDue where it is not.
Ready = Callable[[Any, Found], Callable[[], None] | None]


class DueKind(msgspec.Struct, frozen=True):
    """One kind of work. action: as the dates of a thing name it (`dates.py`); ready: a method of the service."""

    action: Action
    ready: Ready


class NotDue(Conflict):
    """Somebody did it meanwhile, or made it unnecessary: there is nothing to do."""

    def __init__(self, due: Due) -> None:
        super().__init__(f"{due.kind} `{due.name or due.vault}`: {due.action} is no longer due", inner="NotDue")
