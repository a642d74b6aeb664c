"""Who gains and loses what by a plan: the values that renderings show."""

from datetime import datetime
from typing import Literal

import msgspec

Verb = Literal["gains", "loses", "keeps"]


class Hold(msgspec.Struct, frozen=True):
    """How somebody has a right. starts, until: when it is in force, None for no bound; on_request: it has to be taken
    up first, each time for a while; conditional: only where its condition holds."""

    starts: datetime | None = None
    until: datetime | None = None
    on_request: bool = False
    conditional: bool = False

    @property
    def weakness(self) -> tuple[bool, bool, bool, float, float]:
        """What tells a better hold from a lesser one: the best has the least."""
        return (
            self.on_request,
            self.conditional,
            self.until is not None,
            -self.until.timestamp() if self.until is not None else 0.0,
            self.starts.timestamp() if self.starts is not None else 0.0,
        )


class Through(msgspec.Struct, frozen=True):
    """What a right rests on. role: its name; scope: where it was given, as a stack writes it; group: the id of the
    group it was given to, empty where it was given to whoever has it."""

    role: str
    scope: str
    group: str = ""


class AccessChange(msgspec.Struct, frozen=True, kw_only=True):
    """Rights that somebody gains, loses, or has otherwise than before. rights: their names; words: the same as people
    say it; scope: where, as a stack writes it; hold: how they are had (of what is lost: were had); before: how they
    were had before, of what is kept; still_at: of what is lost, narrower places where some of it is still had."""

    verb: Verb
    rights: tuple[str, ...]
    words: str
    scope: str
    through: Through
    hold: Hold
    before: Hold | None = None
    still_at: tuple[str, ...] = ()


class PrincipalAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What changes for one principal. name: as people know it; members: names of those in a group, who have it
    together."""

    id: str
    name: str
    type: str
    members: tuple[str, ...] = ()
    changes: tuple[AccessChange, ...]


class NobodyAnyMore(msgspec.Struct, frozen=True):
    """Rights that somebody had and nobody will have. because: what stands in the way, empty where it is just that
    nobody is given them."""

    rights: tuple[str, ...]
    words: str
    scope: str
    because: str = ""


class AccessEffects(msgspec.Struct, frozen=True, kw_only=True):
    """Who gains and loses what. unread: why some of it could not be told, empty where all of it could; names: of the
    principals that are named by their ids."""

    principals: tuple[PrincipalAccess, ...] = ()
    nobody: tuple[NobodyAnyMore, ...] = ()
    unread: str = ""
    names: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.principals or self.nobody)


NO_EFFECTS = AccessEffects()
