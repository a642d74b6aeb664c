"""What differs between two descriptions of one thing."""

from collections.abc import Callable
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


def to_change(actual: Resource, declared: Resource) -> tuple[Difference, ...]:
    """Return the attributes in which what is there is not what is declared; what a vault sets by itself under the
    declaration is left out. What it set under an earlier one is not: a fixed date may take the place of a policy's."""
    return _differences(actual, declared, declared.left_to_the_vault)


def differences(before: Resource, after: Resource) -> tuple[Difference, ...]:
    """Return the attributes in which what was read later is not what was recorded; what a vault sets by itself under
    either is left out."""
    return _differences(before, after, lambda: before.left_to_the_vault() | after.left_to_the_vault())


def renaming(before: Resource, after: Resource) -> Difference | None:
    """Return the change of a real name, None where both have one."""
    if before.name.lower() == after.name.lower():
        return None
    entry = next(entry for entry in _compared_attributes(type(after)) if entry.name == "name")
    return Difference(entry, before.name, after.name)


def _differences(
    before: Resource, after: Resource, left_to_the_vault: Callable[[], frozenset[str]]
) -> tuple[Difference, ...]:
    resource = type(after)
    reader = compared(resource)
    if reader(before) == reader(after):
        return ()
    ignored = left_to_the_vault()
    found = []
    for entry in _compared_attributes(resource):
        was, becomes = getattr(before, entry.name), getattr(after, entry.name)
        if was == becomes or entry.name in ignored:
            continue
        if entry.name in resource.names and was.lower() == becomes.lower():
            continue  # a vault takes two spellings for one name and keeps the first
        found.append(Difference(entry, was, becomes))
    return tuple(found)


@cache
def _compared_attributes(resource: type[Resource]) -> tuple[Attribute, ...]:
    return tuple(entry for entry in attributes(resource) if entry.comparison == "compared")
