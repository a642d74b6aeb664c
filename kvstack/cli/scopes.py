"""Scopes on the command line: as a stack writes them, or as Azure Resource Manager does."""

from kvstack.cli.context import OpenVault
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import item_name_problem, resource_group_name_problem, vault_name_problem
from kvstack.terms.scope import Scope
from kvstack.terms.scope import scope as scope_of_path

_COLLECTIONS = ("keys", "secrets", "certificates")


def scope_of(vault: OpenVault, written: str, *, inside: bool = False) -> Scope:
    """Return the scope that is meant. inside: also one within a Managed HSM, `managed_hsm/NAME/keys/NAME`; no role of
    resource manager is given there. Raises KvstackError."""
    subscription = vault.unlocked.settings.subscription_id
    if written.startswith("/"):
        try:
            return scope_of_path(written)
        except ValueError as error:
            raise KvstackError(str(error)) from None
    match written.split("/"):
        case ["subscription"]:
            return Scope(subscription)
        case ["resource_group", group]:
            _require(resource_group_name_problem(group))
            return Scope(subscription, group)
        case ["vault", name]:
            return _vault(vault, name)
        case ["managed_hsm", name]:
            _require(vault_name_problem(name))
            hsm = vault.service.get_managed_hsm(vault.caller, name)
            return Scope(subscription, hsm.resource_group, hsm.name, managed_hsm=True)
        case ["managed_hsm", name, "keys", *key] if inside and len(key) < 2:
            home = scope_of(vault, f"managed_hsm/{name}")
            for one in key:
                _require(item_name_problem(one))
            return Scope(home.subscription, home.resource_group, home.vault, "/".join(("keys", *key)), True)
        case ["vault", name, collection, item] if collection in _COLLECTIONS:
            _require(item_name_problem(item))
            home = _vault(vault, name)
            return Scope(home.subscription, home.resource_group, home.vault, f"{collection}/{item}")
        case _:
            raise KvstackError(
                f"`{written}` is no scope",
                "Write `subscription`, `resource_group/NAME`, `vault/NAME`, `vault/NAME/secrets/NAME` (or keys), or "
                "`managed_hsm/NAME`.",
            )


def _vault(vault: OpenVault, name: str) -> Scope:
    _require(vault_name_problem(name))
    there = vault.service.get_vault(vault.caller, name)
    return Scope(vault.unlocked.settings.subscription_id, there.resource_group, there.name)


def _require(problem: str | None) -> None:
    if problem is not None:
        raise KvstackError(problem)
