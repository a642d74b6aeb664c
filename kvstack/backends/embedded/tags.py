"""The tags a thing gets: those declared, and those that say whose it is."""

from typing import Any

from kvstack.backends.protocol import Wanted
from kvstack.terms.tags import with_owner


def tags_of(wanted: Wanted[Any]) -> dict[str, str]:
    """Return the tags as the vault is to keep them."""
    declared: dict[str, str] = wanted.resource.tags
    return dict(declared) if wanted.owner is None else with_owner(declared, wanted.owner)
