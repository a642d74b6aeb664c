"""The two tags that say which stack a thing belongs to, and the rules for all the others."""

from collections.abc import Iterator, Mapping

import msgspec

from kvstack.terms import limits

STACK_TAG = "kvstack-stack"
ADDRESS_TAG = "kvstack-address"


class Owner(msgspec.Struct, frozen=True):
    """Whose a thing is: the stack (with its environment, as `stack` or `stack/environment`) and the address in it."""

    stack: str
    address: str


def with_owner(tags: Mapping[str, str], owner: Owner) -> dict[str, str]:
    """Return the tags with those of the owner."""
    return {**tags, STACK_TAG: owner.stack, ADDRESS_TAG: owner.address}


def owner_of(tags: Mapping[str, str]) -> Owner | None:
    """Return whose a thing is by its tags, or None. A tag is a claim, not a proof."""
    stack, address = tags.get(STACK_TAG), tags.get(ADDRESS_TAG)
    return Owner(stack, address) if stack is not None and address is not None else None


def without_owner(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags a user declared: all but the owner's."""
    return {name: value for name, value in tags.items() if name != STACK_TAG and name != ADDRESS_TAG}


def problems(tags: Mapping[str, str], *, secret: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (tag name, what is wrong) for tags of a thing that is not a stack's own; an empty name is the whole."""
    if len(tags) > limits.TAGS:
        yield "", f"{len(tags)} tags: a vault takes {limits.TAGS}"
    longest_name = limits.SECRET_TAG_NAME_CHARACTERS if secret else limits.TAG_NAME_CHARACTERS
    longest_value = limits.SECRET_TAG_VALUE_CHARACTERS if secret else limits.TAG_VALUE_CHARACTERS
    for name, value in tags.items():
        if not name or len(name) > longest_name:
            yield name, f"a tag's name has 1-{longest_name} characters"
        if len(value) > longest_value:
            yield name, f"a tag's value has at most {longest_value} characters"
