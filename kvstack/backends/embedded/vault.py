"""Vaults in the embedded vault."""

import contextlib

from kvstack.backends.embedded import reading
from kvstack.backends.embedded.already import already
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.tags import tags_of
from kvstack.backends.protocol import Actual, Wanted
from kvstack.resources.vault import Approval, Network, Vault
from kvstack.schema.resource import Resource
from kvstack.vault import records
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.records import ApprovalRule, NetworkRules
from kvstack.vault.service import VaultService


class VaultHandler:
    """Creates, updates, deletes, recovers and purges vaults."""

    def __init__(self, service: VaultService, caller: Caller, places: Places) -> None:
        self._service = service
        self._caller = caller
        self._places = places

    def create(self, wanted: Wanted[Vault]) -> Actual[Resource]:
        """Make the vault."""
        try:
            return self._made(wanted)
        except Conflict:
            if (there := already(self._service, self._caller, self._places.subscription, wanted)) is not None:
                return there
            raise

    def _made(self, wanted: Wanted[Vault]) -> Actual[Resource]:
        vault = wanted.resource
        return self._read(
            self._service.create_vault(
                self._caller,
                vault.name,
                resource_group=vault.resource_group,
                location=vault.location,
                sku=vault.sku,
                soft_delete_retention_days=vault.soft_delete_retention_days,
                purge_protection=vault.purge_protection,
                network=_rules(vault.network),
                lock=vault.lock,
                approval=_rule(vault.approval),
                tags=tags_of(wanted),
                access_model=vault.access_model,
            )
        )

    def update(self, actual: Actual[Vault], wanted: Wanted[Vault], changed: frozenset[str]) -> Actual[Resource]:
        """Change what can be changed in place; tags and the owner's are written together."""
        vault = wanted.resource
        changes: dict[str, object] = {
            name: getattr(vault, name)
            for name in ("sku", "soft_delete_retention_days", "purge_protection", "lock", "access_model")
            if name in changed
        }
        if "network" in changed:
            changes["network"] = _rules(vault.network)
        if "approval" in changed:
            changes["approval"] = _rule(vault.approval)
        if "tags" in changed or "owner" in changed:
            changes["tags"] = tags_of(wanted)
        return self._read(self._service.update_vault(self._caller, actual.resource.name, **changes))  # type: ignore[arg-type]  # each under its own name

    def delete(self, actual: Actual[Vault]) -> None:
        """Delete the vault with what is in it; all of it can be recovered."""
        with contextlib.suppress(NotFound):  # one that is gone already is no error
            self._service.delete_vault(self._caller, actual.resource.name)

    def recover(self, actual: Actual[Vault]) -> Actual[Resource]:
        """Bring the vault back with what was in it."""
        return self._read(self._service.recover_vault(self._caller, actual.resource.name))

    def purge(self, actual: Actual[Vault]) -> None:
        """Destroy the deleted vault for good."""
        self._service.purge_vault(self._caller, actual.resource.name)

    def _read(self, vault: records.Vault) -> Actual[Resource]:
        self._places.groups[vault.folded] = vault.resource_group
        return reading.of_vault(vault, self._places.vault(vault.name).subscription)


def _rule(approval: Approval | None) -> ApprovalRule | None:
    return None if approval is None else ApprovalRule(tuple(sorted(approval.by)), tuple(sorted(approval.operations)))


def _rules(network: Network) -> NetworkRules:
    return NetworkRules(network.default_action, tuple(sorted(network.ip_rules)), network.bypass)
