"""One attribute of a declared thing, found by its dotted name, and held against a requirement."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from kvstack.declare.rules import Requirement, Scalar
from kvstack.schema.resource import Resource
from kvstack.terms.duration import PATTERN, duration
from kvstack.terms.listed import listed
from kvstack.terms.wildcard import wildcard

_DURATION = re.compile(PATTERN)


def value(resource: Resource, path: str) -> Any:
    """Return an attribute by its dotted name; None where it has none."""
    found: Any = resource
    for part in path.split("."):
        if isinstance(found, msgspec.Struct):
            field = next((one for one in msgspec.structs.fields(found) if one.encode_name == part), None)
            found = getattr(found, field.name) if field is not None else None
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


def broken(found: Any, required: Requirement) -> str | None:
    """Return how a value breaks a requirement, in words, or None."""
    if required.present is not None and (found not in (None, "", ())) != required.present:
        return "is not there" if required.present else "is there"
    entries = _entries(found)
    for entry in entries or ([None] if _asks_for_a_value(required) else []):
        if words := _wrong(entry, required):
            return words
    return None


def _entries(found: Any) -> list[Any]:
    match found:
        case frozenset() | tuple() | list():
            return sorted(found) if isinstance(found, frozenset) else list(found)
        case _:
            return [found]


def _asks_for_a_value(required: Requirement) -> bool:
    asked = (required.equals, required.like, required.at_least, required.at_most)
    return bool(required.one_of) or any(one is not None for one in asked)


def _wrong(entry: Any, required: Requirement) -> str | None:
    if entry is None:
        return "is not there" if _asks_for_a_value(required) else None
    shown = f"`{_text(entry)}`"
    if required.equals is not None and not _same(entry, required.equals):
        text = "the text " if isinstance(required.equals, str) and not isinstance(entry, str) else ""
        return f"is {shown}, not {text}`{_text(required.equals)}`"
    if required.one_of and not any(_same(entry, one) for one in required.one_of):
        return f"is {shown}, not {listed((f'`{_text(one)}`' for one in required.one_of), 'or')}"
    if any(_same(entry, one) for one in required.none_of):
        return f"is {shown}"
    if required.like is not None and not like(_text(entry), required.like):
        return f"is {shown}, not like `{required.like}`"
    if required.at_least is not None and not _ordered(required.at_least, entry):
        return f"is {shown}, less than `{_text(required.at_least)}`"
    if required.at_most is not None and not _ordered(entry, required.at_most):
        return f"is {shown}, more than `{_text(required.at_most)}`"
    return None


def _same(entry: Any, wanted: Scalar) -> bool:
    # True is 1 for Python, and not for whoever writes a rule.
    return _text(entry) == _text(wanted) and isinstance(entry, bool) == isinstance(wanted, bool)


def _ordered(less: Any, more: Any) -> bool:
    """Tell whether two values can be compared, and are in order."""
    first, second = _comparable(less), _comparable(more)
    return first is not None and second is not None and first[0] == second[0] and first[1] <= second[1]


def _comparable(entry: Any) -> tuple[str, float] | None:
    match entry:
        case bool() | None:
            return None
        case int() | float():
            return "number", float(entry)
        case datetime():
            return "date", entry.timestamp()
        case str() if _DURATION.match(entry):
            return "duration", duration(entry).about_days
        case str():
            try:
                moment = datetime.fromisoformat(entry)
            except ValueError:
                return None
            return "date", (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        case _:
            return None


def _text(entry: Any) -> str:
    match entry:
        case bool():
            return "true" if entry else "false"
        case datetime():
            return entry.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case msgspec.Struct() | dict():
            return msgspec.json.encode(entry).decode()
        case _:
            return str(entry)


def like(text: str, pattern: str) -> bool:
    """Tell whether a text is like a pattern in which `*` stands for anything."""
    return wildcard(pattern, any_case=False).fullmatch(text) is not None
