"""Attributes as a plan shows them: plain data, nested ones by their paths, never a secret value."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from kvstack.plan.change import AttributeChange
from kvstack.schema.differences import Difference
from kvstack.schema.resource import Resource, attributes


def changes(differences: tuple[Difference, ...]) -> tuple[AttributeChange, ...]:
    """Return differences as a plan shows them."""
    return tuple(
        change
        for difference in differences
        for change in _flattened(
            difference.attribute.written, difference.before, difference.after, difference.attribute.rule.name
        )
    )


def of_new(resource: Resource) -> tuple[AttributeChange, ...]:
    """Return what is worth showing of a thing that will be made: everything that is not its default."""
    return tuple(
        change
        for entry in attributes(type(resource))
        if entry.comparison == "compared"
        and entry.name != "name"
        and getattr(resource, entry.name) != entry.default
        and getattr(resource, entry.name) is not None
        for change in _flattened(entry.written, None, getattr(resource, entry.name), entry.rule.name)
    )


def plain(value: Any) -> Any:
    """Return a value as JSON has it: sets sorted, moments as text in UTC."""
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case frozenset() | set():
            return sorted(plain(entry) for entry in value)
        case tuple() | list():
            return [plain(entry) for entry in value]
        case dict():
            return {key: plain(entry) for key, entry in value.items()}
        case msgspec.Struct():
            return {
                field.encode_name: plain(getattr(value, field.name))
                for field in msgspec.structs.fields(value)
                if getattr(value, field.name) != field.default
            }
        case _:
            return value


def _flattened(path: str, before: Any, after: Any, rule: str) -> Iterator[AttributeChange]:
    one = before if isinstance(before, msgspec.Struct) else after
    if not isinstance(one, msgspec.Struct):
        yield AttributeChange(path, plain(before), plain(after), rule)
        return
    # Where the whole is new, or gone, what is at its default is not worth a line; unless there would be none.
    fields = msgspec.structs.fields(one)
    bare = (before is None or after is None) and all(getattr(one, field.name) == field.default for field in fields)
    for field in fields:
        was = getattr(before, field.name) if before is not None else None
        becomes = getattr(after, field.name) if after is not None else None
        unremarkable = (before is None and becomes == field.default) or (after is None and was == field.default)
        unremarkable = unremarkable and not (bare and (was or becomes))
        if was != becomes and not unremarkable:
            yield from _flattened(f"{path}.{field.encode_name}", was, becomes, rule)
