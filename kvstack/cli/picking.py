"""Picking deleted things on a terminal: what is shown, and what a key does. Pure; `picker.py` has the terminal."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from kvstack.cli.table import columns
from kvstack.render.escape import plain
from kvstack.vault.deleted_things import KINDS, DeletedThing, Kind

End = Literal["recover", "quit"]
_HEADINGS: Final = ("", "KIND", "NAME", "DELETED", "PURGE DUE", "BY")
_KEYS: Final = "up/down move  space mark  a all  t type  enter recover  q quit"


class Picking(msgspec.Struct, frozen=True):
    """Where somebody stands. cursor: among those shown; marked: by name; kind: the only one shown, None for all."""

    things: tuple[DeletedThing, ...]
    cursor: int = 0
    marked: frozenset[str] = frozenset()
    kind: Kind | None = None

    @property
    def shown(self) -> tuple[DeletedThing, ...]:
        """What is listed now."""
        return tuple(one for one in self.things if self.kind in (None, one.kind))

    @property
    def chosen(self) -> list[DeletedThing]:
        """What is marked; where nothing is, what the cursor is at."""
        marked = [one for one in self.things if one.written in self.marked]
        return marked or list(self.shown[self.cursor : self.cursor + 1])


def pressed(state: Picking, key: str) -> Picking | End:
    """Return what a key makes of it. key: a character, or `up`, `down`, `home`, `end`, `enter`, `escape`."""
    last = max(len(state.shown) - 1, 0)
    match key:
        case "up" | "k":
            return msgspec.structs.replace(state, cursor=max(state.cursor - 1, 0))
        case "down" | "j":
            return msgspec.structs.replace(state, cursor=min(state.cursor + 1, last))
        case "home":
            return msgspec.structs.replace(state, cursor=0)
        case "end":
            return msgspec.structs.replace(state, cursor=last)
        case " " if state.shown:
            here = {state.shown[state.cursor].written}
            return msgspec.structs.replace(state, marked=state.marked ^ here, cursor=min(state.cursor + 1, last))
        case "a":
            listed = {one.written for one in state.shown}
            return msgspec.structs.replace(
                state, marked=state.marked - listed if listed <= state.marked else state.marked | listed
            )
        case "t":
            kinds = (None, *(kind for kind in KINDS if any(one.kind == kind for one in state.things)))
            following = kinds[(kinds.index(state.kind) + 1) % len(kinds)]
            return msgspec.structs.replace(state, kind=following, cursor=0)
        case "enter":
            return "recover" if state.chosen else state
        case "q" | "escape" | "\x03" | "\x04":
            return "quit"
        case _:
            return state


def screen(state: Picking, width: int, height: int, name_of: Callable[[str], str]) -> list[str]:
    """Return the lines of a terminal. name_of: a principal's name for its id."""
    room = max(height - 4, 1)
    first = max(min(state.cursor - room // 2, len(state.shown) - room), 0)
    rows = [_HEADINGS, *(_row(one, state, name_of) for one in state.shown[first : first + room])]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    of_kind = "everything" if state.kind is None else f"{state.kind}s only"
    lines = [_cut(f"Soft-deleted: {len(state.shown)} ({of_kind}), {len(state.marked)} marked", width)]
    for number, row in enumerate(rows):
        line = _cut(
            "  ".join(cell + " " * (wide - columns(cell)) for cell, wide in zip(row, widths, strict=True)), width
        )
        at_cursor = number - 1 + first == state.cursor and number > 0
        lines.append(f"\x1b[7m{line}\x1b[0m" if at_cursor else line)
    return [*lines, "", _cut(_KEYS, width)]


def _row(one: DeletedThing, state: Picking, name_of: Callable[[str], str]) -> Sequence[str]:
    return (
        "[x]" if one.written in state.marked else "[ ]",
        one.kind,
        plain(one.vault if one.kind in ("vault", "managed-hsm") else f"{one.vault}/{one.name}"),
        f"{one.deleted:%Y-%m-%d %H:%M}",
        f"{one.purge_due:%Y-%m-%d}",
        plain(name_of(one.by)),
    )


def _cut(line: str, width: int) -> str:
    while columns(line) > width:
        line = line[:-1]
    return line
