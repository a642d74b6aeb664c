"""Where things stand: a second pass over a file, made only when there is something to say about it."""

from collections.abc import Iterable, Iterator
from typing import Any

from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave libyaml's parser out
from yaml.error import YAMLError
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from kvstack.declare.graph import Path
from kvstack.declare.yaml import place_of
from kvstack.terms.diagnostic import Place

_START = (MappingStartEvent, SequenceStartEvent)
_END = (MappingEndEvent, SequenceEndEvent)


class Spot:
    """Where a path's key and its value begin; a list's entry has no key of its own."""

    __slots__ = ("key", "value")

    def __init__(self, key: Place, value: Place) -> None:
        self.key = key
        self.value = value


def spots(content: bytes, file: str, paths: Iterable[Path]) -> dict[Path, Spot]:
    """Return where these paths stand; one that is not in the file is left out. The file has been read before without
    error."""
    wanted = {path[:length] for path in paths for length in range(len(path) + 1)}
    found: dict[Path, Spot] = {}
    parser = CParser(content.decode("utf-8-sig"))
    try:
        parser.get_event()
        parser.get_event()
        first = parser.get_event()
        at = place_of(file, first)
        found[()] = Spot(at, at)
        if isinstance(first, _START):
            _walk(parser, file, (), isinstance(first, MappingStartEvent), wanted, found)
    except YAMLError:
        pass  # a file that cannot be parsed was told about already, with its place: there are no others in it
    return found


def _walk(parser: Any, file: str, path: Path, mapping: bool, wanted: set[Path], found: dict[Path, Spot]) -> None:
    index = 0
    while True:
        event = parser.get_event()
        if isinstance(event, _END):
            return
        key = event
        step: str | int = index
        if mapping:
            if not isinstance(event, ScalarEvent):
                _skip(parser, event)
                _skip(parser, parser.get_event())
                continue
            step = event.value
            event = parser.get_event()
        index += 1
        below = (*path, step)
        if below not in wanted:
            _skip(parser, event)
            continue
        found.setdefault(below, Spot(place_of(file, key), place_of(file, event)))
        if isinstance(event, _START):
            _walk(parser, file, below, isinstance(event, MappingStartEvent), wanted, found)


def _skip(parser: Any, event: Any) -> None:
    if not isinstance(event, _START):
        return
    depth = 1
    next_event = parser.get_event
    while depth:
        kind = next_event().__class__
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            depth += 1
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            depth -= 1


def longest_known(path: Path, found: dict[Path, Spot]) -> Iterator[Path]:
    """Yield a path and those above it, longest first, as far as they are known."""
    for length in range(len(path), -1, -1):
        if path[:length] in found:
            yield path[:length]
