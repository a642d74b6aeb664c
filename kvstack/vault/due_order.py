"""In which order what is due is done: the scheduler's, and the forecast's."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from kvstack.vault.due_kind import Found
from kvstack.vault.expiring import NOTICES
from kvstack.vault.records import Certificate, Secret

# How much is committed at once: enough that a commit costs little a thing, and few enough that others wait for none.
TOGETHER = 32

T = TypeVar("T")


def turn(found: Found) -> tuple[bool, datetime, bool, str, str, str, str]:
    """Return what things are put in order by: authorities before what they sign, then what is due longest; people are
    told that something expires once it was not followed by another version at that moment."""
    due, thing = found.due, found.thing
    signs = due.action == "renew" and isinstance(thing, Certificate) and thing.policy.authority is not None
    return not signs, due.since, due.action in NOTICES, due.vault, due.kind, due.name, due.action


def apart(found: Found) -> bool:
    """Tell whether it is done while the store is free for others, before what is committed together."""
    due, thing = found.due, found.thing
    asks = isinstance(thing, Secret) and thing.rotation is not None and thing.rotation.rotator is not None
    return due.action in ("renew", "settle-rotation") or (due.action == "rotate" and asks)


def together(found: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield what is done in one go, in order. found: in order."""
    return (found[first : first + TOGETHER] for first in range(0, len(found), TOGETHER))
