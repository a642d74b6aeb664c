"""What things in and around a vault may be called. Source: azure/facts.md, names and sizes."""

import re
from typing import Annotated

import msgspec

VAULT_NAME = r"^[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$"
ITEM_NAME = r"^[0-9a-zA-Z-]{1,127}$"
VERSION = r"^[0-9a-f]{32}$"
# Python's `$` also matches before a last newline, which no name may have.
RESOURCE_GROUP_NAME = r"^[-\w._()]{0,89}[-\w_()]$(?!\n)"

ResourceGroupName = Annotated[str, msgspec.Meta(pattern=RESOURCE_GROUP_NAME)]

_VAULT_NAME = re.compile(VAULT_NAME)
_ITEM_NAME = re.compile(ITEM_NAME)
_RESOURCE_GROUP_NAME = re.compile(RESOURCE_GROUP_NAME)


def vault_name_problem(name: str) -> str | None:
    """Return why a vault may not have this name, or None."""
    if _VAULT_NAME.fullmatch(name):
        return None
    return (
        f"`{name}` cannot name a vault: 3-24 letters, digits and hyphens, starting with a letter, "
        "ending with a letter or digit, without `--`"
    )


def item_name_problem(name: str) -> str | None:
    """Return why a key, secret or certificate may not have this name, or None."""
    if _ITEM_NAME.fullmatch(name):
        return None
    return f"`{name}` cannot name a key, secret or certificate: 1-127 letters, digits and hyphens"


def resource_group_name_problem(name: str) -> str | None:
    """Return why a resource group may not have this name, or None."""
    if _RESOURCE_GROUP_NAME.fullmatch(name):
        return None
    return f"`{name}` cannot name a resource group: 1-90 letters, digits, `-`, `_`, `.`, `(`, `)`, not ending with `.`"


def folded(name: str) -> str:
    """Return the form two names share when the vault takes them for one: names differ by more than case."""
    return name.lower()
