"""A declaration less what is wrong with its shape, so that the rest can be checked too and everything is told at
once."""

from collections.abc import Iterable
from typing import Any

from kvstack.declare.graph import Path


def without(document: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return the document without the things (or a vault's attributes, or whole sections) these paths lead into."""
    whole = {**document, "moved": [], "removed": [], "import": []}
    copied: set[Path] = set()
    for path in paths:
        match path:
            case ("vaults", vault, str(collection), str(item), *_) if isinstance(_at(whole, path[:3]), dict):
                _drop(whole, ("vaults", vault, collection), item, copied)
            case ("vaults", vault, str(attribute), *_):
                _drop(whole, ("vaults", vault), attribute, copied)
            case ("vaults", str(vault)):
                _drop(whole, ("vaults",), vault, copied)
            case (str(section), *_) if section != "stack":
                whole.pop(section, None)
            case _:
                pass
    return whole


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
