"""The path of a thing in a declaration: what plans print and `--target` takes."""

from typing import NewType

# `payments-dev`, `payments-dev/keys/signing`, `payments-dev/access/on-call/key-vault-crypto-officer/keys/signing`.
Address = NewType("Address", str)


def joined(*parts: str) -> Address:
    """Return the address made of these parts."""
    return Address("/".join(parts))


def parent(address: Address) -> Address:
    """Return the vault's address for a thing in a vault, the address itself for a vault."""
    return Address(address.split("/", 1)[0])


def is_within(address: Address, target: Address) -> bool:
    """Tell whether an address is the target or lies below it."""
    return address == target or address.startswith(target + "/")


def slug(words: str) -> str:
    """Return words as one part of an address: `Key Vault Reader` is `key-vault-reader`."""
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())
