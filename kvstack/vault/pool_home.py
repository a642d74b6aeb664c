"""Finding a Managed HSM: as a resource, whose rights are resource manager's, or for what is inside it."""

import msgspec

from kvstack.terms.scope import Scope
from kvstack.vault import errors
from kvstack.vault.engine import READ_HSM, Attempt
from kvstack.vault.grouping import is_within, scope_within
from kvstack.vault.records import Pool, Vault


def managed_hsm(attempt: Attempt, name: str, action: str, resource_group: str | None = None) -> tuple[Vault, Pool]:
    """Return a live Managed HSM the caller may do something with as a resource. resource_group: the one it has to be
    in, any where None. Raises VaultError."""
    attempt.require(action, would_be(attempt, name, resource_group), data=False)
    return _live(attempt, name, resource_group)


def inside(attempt: Attempt, name: str, action: str, item: str = "", *, activated: bool = True) -> tuple[Vault, Pool]:
    """Return a live Managed HSM inside which the caller may do something. item: `keys` or `keys/NAME`, empty for `/`;
    activated: whether it has to be. Raises VaultError."""
    vault = attempt.registry.vault(name)
    if vault is None or vault.pool is None:
        # There is nobody with a right inside it: who may see it as a resource is told what there is.
        attempt.require(READ_HSM, would_be(attempt, name), data=False)
        return _live(attempt, name)
    attempt.at_item(vault, item)
    attempt.require(action, attempt.subject, data=True)
    home, pool = _live(attempt, name)
    attempt.require_let_in(home)
    if activated and pool.activated is None:
        raise errors.not_activated(home.name)
    return home, pool


def would_be(attempt: Attempt, name: str, resource_group: str | None = None) -> Scope:
    """Return the scope of a Managed HSM, live or deleted, or where one of this name would be."""
    there = attempt.registry.vault(name)
    scope = scope_within(attempt.scope_of(there if there is not None else name), resource_group)
    attempt.subject = scope if there is not None else msgspec.structs.replace(scope, managed_hsm=True)
    return attempt.subject


def _live(attempt: Attempt, name: str, resource_group: str | None = None) -> tuple[Vault, Pool]:
    vault = attempt.registry.vault(name)
    if vault is None or vault.deletion is not None or not is_within(vault, resource_group):
        raise attempt.vault_not_found(name, kind="Managed HSM")
    if vault.pool is None:
        raise errors.wrong_kind(vault.name, "vault", "kvstack vault --help")
    return vault, vault.pool
