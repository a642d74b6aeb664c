"""Which thing a verb is about: one argument, `VAULT/NAME` by real names, or the thing's address."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from kvstack.cli.context import Context
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import item_name_problem, vault_name_problem

Collection = Literal["keys", "secrets", "certificates"]
NOUNS: dict[Collection, str] = {"keys": "key", "secrets": "secret", "certificates": "certificate"}


class Thing(msgspec.Struct, frozen=True):
    """A key, a secret or a certificate. vault, name: real names."""

    collection: Collection
    vault: str
    name: str

    @property
    def noun(self) -> str:
        """What it is called: `key`, `secret`, `certificate`."""
        return NOUNS[self.collection]

    @property
    def written(self) -> str:
        """The thing as the command line takes it."""
        return f"{self.vault}/{self.name}"


def thing(context: Context, written: str, collection: Collection) -> Thing:
    """Return the thing that is meant. Raises KvstackError."""
    noun = NOUNS[collection]
    match written.split("/"):
        case [vault, name]:
            return _checked(Thing(collection, vault, name))
        case [_, other, _] if other in NOUNS and other != collection:
            other_noun = NOUNS[other]
            raise KvstackError(f"`{written}` is a {other_noun}", f"`kvstack {other_noun}` is for those.")
        case [vault, where, name] if where == collection:
            return _checked(_declared(context, written) or Thing(collection, vault, name))
        case _:
            raise KvstackError(
                f"`{written}` is no {noun}",
                f"Write VAULT/NAME by real names, or the address VAULT/{collection}/NAME; --version names a version.",
            )


def vault_name(written: str) -> str:
    """Return a vault's name, checked. Raises KvstackError."""
    problem = vault_name_problem(written)
    if problem is not None:
        raise KvstackError(problem)
    return written


def _checked(found: Thing) -> Thing:
    problem = vault_name_problem(found.vault) or item_name_problem(found.name)
    if problem is not None:
        raise KvstackError(problem)
    return found


def _declared(context: Context, address: str) -> Thing | None:
    """Return what the stack calls by this address; None where there is no stack, or it does not declare it: then the
    address is made of real names, as it is by default."""
    from kvstack.terms.address import Address

    if not (context.directory / "kvstack.yaml").is_file():
        return None
    node = context.declaration().desired.nodes.get(Address(address))
    if node is None:
        return None
    collection = next((one for one, noun in NOUNS.items() if noun == node.resource.kind), None)
    return None if collection is None else Thing(collection, node.vault, node.resource.name)


@contextmanager
def recover_hint(noun: str, written: str) -> Iterator[None]:
    """Name the command that brings a thing back, where an operation fails because it is soft-deleted."""
    try:
        yield
    except KvstackError as error:
        from kvstack.vault.errors import VaultError

        if not isinstance(error, VaultError):
            raise
        match error.inner or error.code:
            case "ObjectIsDeletedButRecoverable":
                back = f"`kvstack {noun} recover {written}` brings it back"
                raise error.with_detail(f"{back}; `kvstack {noun} purge {written}` frees its name for good.") from None
            case "VaultNotFound" | "SecretNotFound" | "KeyNotFound" | "CertificateNotFound" if (
                "is soft-deleted" in error.summary
            ):
                vault = written.split("/", 1)[0]
                home = "managed-hsm" if "Managed HSM" in error.summary else "vault"
                what = f"{home} recover {vault}" if error.code == "VaultNotFound" else f"{noun} recover {written}"
                detail = error.diagnostics[0].detail
                raise error.with_detail(f"{detail} `kvstack {what}` does.") from None
            case _:
                raise
