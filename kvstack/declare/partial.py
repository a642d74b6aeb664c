"""A declaration less what is wrong with its shape, so that the rest can be checked too and everything is told at
once."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kvstack.declare.graph import Path
from kvstack.resources.catalog import CONTAINERS, inside
from kvstack.schema.resource import attributes
from kvstack.terms.near import nearest

_REQUIRED = {
    (section, resource.collection): frozenset(entry.written for entry in attributes(resource) if entry.required)
    for section, container in CONTAINERS.items()
    for resource in inside(container)
    if not resource.listed and not resource.written_as
}
_OF_A_CONTAINER = {
    section: tuple(entry.written for entry in attributes(container)) for section, container in CONTAINERS.items()
}
_INSIDE_AN_ATTRIBUTE = 6  # (SECTION, VAULT, COLLECTION, NAME, ATTRIBUTE, what is inside it)


class Remainder(msgspec.Struct, frozen=True):
    """What is left of a declaration. doubtful: the things from which something was taken, with the attributes that
    were, or that were meant."""

    document: dict[str, Any]
    doubtful: Mapping[Path, frozenset[str]]

    def tells(self, path: Path) -> bool:
        """Tell whether a problem found in what is left is one of the whole: of a thing from which something was taken,
        only what lies inside one of its attributes is."""
        return path[:4] not in self.doubtful or len(path) >= _INSIDE_AN_ATTRIBUTE


def without(document: dict[str, Any], paths: Iterable[Path]) -> Remainder:
    """Return the document without the attributes these paths lead into, or without the things that need them."""
    whole = {**document, "moved": [], "removed": [], "import": []}
    copied: set[Path] = set()
    doubtful: dict[Path, frozenset[str]] = {}
    for path in paths:
        match path:
            case (str(section), vault, str(collection), str(item), *rest) if section in CONTAINERS and isinstance(
                _at(whole, path[:3]), dict
            ):
                holder: Path = (section, vault, collection)
                required = _REQUIRED.get((section, collection), frozenset())
                if rest and rest[0] not in required and isinstance(_at(whole, path[:4]), dict):
                    _drop(whole, (*holder, item), str(rest[0]), copied)
                    doubtful[path[:4]] = doubtful.get(path[:4], frozenset()) | {str(rest[0])}
                else:
                    _drop(whole, holder, item, copied)
            case (str(section), vault, str(attribute), *_) if section in CONTAINERS:
                _drop(whole, (section, vault), attribute, copied)
                taken = {attribute, nearest(attribute, _OF_A_CONTAINER[section]) or attribute}
                doubtful[path[:2]] = doubtful.get(path[:2], frozenset()) | taken
            case (str(section), str(vault)) if section in CONTAINERS:
                _drop(whole, (section,), vault, copied)
            case (str(section), *_) if section != "stack":
                whole.pop(section, None)
            case _:
                pass
    return Remainder(whole, doubtful)


def _at(document: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(document, dict) or step not in document:
            return None
        document = document[step]
    return document


def _drop(whole: dict[str, Any], holder: Path, key: str, copied: set[Path]) -> None:
    """Take one key out, copying what is above it once: the document itself may share parts through aliases."""
    current: Any = whole
    for length, step in enumerate(holder, start=1):
        below = current.get(step) if isinstance(current, dict) else None
        if not isinstance(below, dict):
            return
        if holder[:length] not in copied:
            copied.add(holder[:length])
            current[step] = below = dict(below)
        current = below
    current.pop(key, None)
