"""What differs between two descriptions of one thing."""

from typing import Any

import msgspec

from kvstack.schema.attribute import Attribute
from kvstack.schema.resource import Resource, attributes, compared


class Difference(msgspec.Struct, frozen=True):
    """One attribute that is not as it should be. path: dotted below the attribute where it is nested."""

    attribute: Attribute
    before: Any
    after: Any


def differences(before: Resource, after: Resource, declared_before: Resource | None = None) -> tuple[Difference, ...]:
    """Return the attributes in which `after` (declared) is not `before` (there).

    declared_before: what was declared at the last apply, so that taking out a line that is kept when unset is a change.
    """
    reader = compared(_base(type(after)))
    if reader(before) == reader(after):
        return ()
    found = []
    for entry in attributes(_base(type(after))):
        if entry.comparison not in ("compared", "kept when unset"):
            continue
        was, becomes = getattr(before, entry.name), getattr(after, entry.name)
        if was == becomes or (entry.name == "name" and was.lower() == becomes.lower()):
            continue
        if entry.comparison == "kept when unset" and becomes is None:
            if declared_before is None or getattr(declared_before, entry.name) is None:
                continue
        found.append(Difference(entry, was, becomes))
    return tuple(found)


def _base(resource: type[Resource]) -> type[Resource]:
    """Return the type that declares the kind, for one that only adds what stands inside it in a file."""
    while "kind" not in resource.__dict__:
        resource = resource.__base__  # type: ignore[assignment]  # a Resource's base up to the one with a kind is a Resource
    return resource
