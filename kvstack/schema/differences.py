"""What differs between two descriptions of one thing."""

from functools import cache
from typing import Any

import msgspec

from kvstack.schema.attribute import Attribute
from kvstack.schema.resource import Resource, attributes, compared


class Difference(msgspec.Struct, frozen=True):
    """One attribute that is not as it should be."""

    attribute: Attribute
    before: Any
    after: Any


def differences(before: Resource, after: Resource) -> tuple[Difference, ...]:
    """Return the attributes in which `after` (declared, or read later) is not `before`; what a vault sets by itself
    under either is left out."""
    resource = type(after)
    reader = compared(resource)
    if reader(before) == reader(after):
        return ()
    ignored = before.left_to_the_vault() | after.left_to_the_vault()
    found = []
    for entry in _compared_attributes(resource):
        was, becomes = getattr(before, entry.name), getattr(after, entry.name)
        if was == becomes or entry.name in ignored:
            continue
        if entry.name == "name" and was.lower() == becomes.lower():
            continue  # a vault takes two spellings for one name and keeps the first
        found.append(Difference(entry, was, becomes))
    return tuple(found)


@cache
def _compared_attributes(resource: type[Resource]) -> tuple[Attribute, ...]:
    return tuple(entry for entry in attributes(resource) if entry.comparison == "compared")
