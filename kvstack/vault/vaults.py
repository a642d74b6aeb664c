"""Vaults: made, changed, soft-deleted, recovered, purged."""

import uuid
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms import approval as deeds
from kvstack.terms import limits
from kvstack.terms import tags as tag_rules
from kvstack.terms.access_policy import ACCESS_MODELS, AccessModel
from kvstack.terms.name import folded, resource_group_name_problem, vault_name_problem
from kvstack.terms.principal import is_guid
from kvstack.terms.scope import Scope
from kvstack.vault import errors, firewall, soft_delete
from kvstack.vault.approval_guard import require_approved
from kvstack.vault.assignments import WRITE as WRITE_ASSIGNMENT
from kvstack.vault.assignments import drop_assignments_below
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.events import emit_purge_scheduled
from kvstack.vault.grouping import is_within, scope_within
from kvstack.vault.items import KEYS, ItemOperations
from kvstack.vault.records import ApprovalRule, Deletion, Lock, NetworkRules, Sku, Vault

READ = "Microsoft.KeyVault/vaults/read"
WRITE = "Microsoft.KeyVault/vaults/write"
DELETE = "Microsoft.KeyVault/vaults/delete"
READ_DELETED = "Microsoft.KeyVault/deletedVaults/read"
PURGE = "Microsoft.KeyVault/locations/deletedVaults/purge/action"
WRITE_LOCK = "Microsoft.Authorization/locks/write"


class VaultOperations(ItemOperations):
    """What can be done with a vault as a whole; its rights are resource manager's."""

    def create_vault(
        self,
        caller: Caller,
        name: str,
        *,
        resource_group: str | None = None,
        location: str = "local",
        sku: Sku = "standard",
        soft_delete_retention_days: int = 90,
        purge_protection: bool = False,
        network: NetworkRules = NetworkRules(),  # noqa: B008  # frozen
        lock: Lock | None = None,
        approval: ApprovalRule | None = None,
        tags: Mapping[str, str] | None = None,
        access_model: AccessModel = "rbac",
    ) -> Vault:
        """Make a vault. access_model: what gives a right to what is in it: roles, or policies of its own. Raises
        Conflict where its name is taken, by a soft-deleted vault too."""
        group = resource_group or self._settings.resource_group
        scope = msgspec.structs.replace(self._scope(name), resource_group=group)
        with self._attempt(caller, "VaultPut", scope) as attempt, attempt.transaction():
            attempt.require(WRITE, scope, data=False)
            if lock is not None or approval is not None:
                attempt.require(WRITE_LOCK, scope, data=False)
            wanted = Vault(
                folded=folded(name),
                id=str(uuid.UUID(bytes=self._random(16), version=4)),
                name=name,
                resource_group=group,
                location=location,
                sku=sku,
                soft_delete_retention_days=soft_delete_retention_days,
                purge_protection=purge_protection,
                network=network,
                lock=lock,
                approval=_in_order(approval),
                tags=dict(tags or {}),
                created=attempt.now,
                updated=attempt.now,
                access_model=access_model,
            )
            found = list(vault_problems(wanted))
            if found:
                raise BadParameter.of(found)
            self._make_way(attempt, name)
            self._barrier.create_data_key(attempt.tx, wanted.id)
            attempt.changes_registry().put_vault(attempt.tx, wanted)
            return wanted

    def update_vault(
        self,
        caller: Caller,
        name: str,
        *,
        sku: Sku | UnsetType = UNSET,
        soft_delete_retention_days: int | UnsetType = UNSET,
        purge_protection: bool | UnsetType = UNSET,
        network: NetworkRules | UnsetType = UNSET,
        lock: Lock | UnsetType | None = UNSET,
        approval: ApprovalRule | UnsetType | None = UNSET,
        tags: Mapping[str, str] | UnsetType = UNSET,
        access_model: AccessModel | UnsetType = UNSET,
        resource_group: str | None = None,
    ) -> Vault:
        """Change a vault's settings; what is not given stays. approval: None takes the rule away, which the rule itself
        wants approved; access_model: another takes the right to give roles, as on Azure; resource_group: the one it has
        to be in, any where None. Raises BadParameter for what can never be changed."""
        with self._attempt(caller, "VaultPatch", self._scope(name)) as attempt, attempt.transaction():
            there = self._managed(attempt, name, WRITE, resource_group)
            if lock is not UNSET and lock != there.lock:
                attempt.require(WRITE_LOCK, attempt.subject, data=False)
            if access_model not in (UNSET, there.access_model):
                attempt.require(WRITE_ASSIGNMENT, attempt.subject, data=False)
                require_approved(attempt, deeds.switching(there.folded, str(access_model)))
                attempt.details["access_model"] = str(access_model)
                attempt.tx.access_changed.append((there, "AccessPolicy", ""))
            if soft_delete_retention_days not in (UNSET, there.soft_delete_retention_days):
                raise BadParameter(
                    f"the retention of vault `{there.name}` is {there.soft_delete_retention_days} days for good",
                    "It is set once, when a vault is made.",
                )
            if there.purge_protection and purge_protection is False:
                raise BadParameter(
                    f"purge protection of vault `{there.name}` is on and cannot be switched off",
                    "It can be switched on, never off.",
                )
            if there.sku == "premium" and sku == "standard":
                in_hsm = [key.name for key in KEYS.scan(attempt.tx, vault_id=there.id) if key.specification.in_hsm]
                if in_hsm:
                    raise Conflict(
                        f"vault `{there.name}` holds {len(in_hsm)} HSM keys, a standard vault cannot (`{in_hsm[0]}`)",
                        "Purge them first; a soft-deleted key counts too.",
                    )
            changed = msgspec.structs.replace(
                there,
                sku=there.sku if sku is UNSET else sku,
                purge_protection=there.purge_protection if purge_protection is UNSET else purge_protection,
                network=there.network if network is UNSET else network,
                lock=there.lock if lock is UNSET else lock,
                approval=there.approval if approval is UNSET else _in_order(approval),
                tags=there.tags if tags is UNSET else dict(tags),
                access_model=there.access_model if access_model is UNSET else access_model,
            )
            found = list(_problems(changed))
            if found:
                raise BadParameter.of(found)
            if changed.approval != there.approval:
                attempt.require(WRITE_LOCK, attempt.subject, data=False)
                rule = changed.approval or ApprovalRule((), ())
                require_approved(attempt, deeds.ruling(there.folded, rule.by, rule.operations))
                attempt.details["rule"] = f"{' '.join(rule.operations)} by {' '.join(rule.by)}" if rule.by else "none"
            if changed != there:
                changed = msgspec.structs.replace(changed, updated=attempt.now)
                attempt.changes_registry().put_vault(attempt.tx, changed)
            return changed

    def get_vault(self, caller: Caller, name: str, *, resource_group: str | None = None) -> Vault:
        """Return a live vault. resource_group: the one it has to be in, any where None."""
        with self._attempt(caller, "VaultGet", self._scope(name)) as attempt, attempt.reading():
            return self._managed(attempt, name, READ, resource_group)

    def list_vaults(self, caller: Caller) -> tuple[Vault, ...]:
        """Return the live vaults the caller may see."""
        with self._attempt(caller, "VaultList", self.top) as attempt, attempt.reading():
            return tuple(
                vault
                for vault in sorted(attempt.registry.vaults.values(), key=lambda one: one.folded)
                if vault.deletion is None and vault.pool is None and attempt.may(READ, self._scope(vault), data=False)
            )

    def delete_vault(self, caller: Caller, name: str, *, resource_group: str | None = None) -> Vault:
        """Soft-delete a vault with all in it. Role assignments at and below it are gone for good, as on Azure; access
        policies come back with it. resource_group: the one it has to be in, any where None."""
        with self._attempt(caller, "VaultDelete", self._scope(name)) as attempt, attempt.transaction():
            there = self._managed(attempt, name, DELETE, resource_group)
            if there.lock is not None:
                raise Conflict(
                    f"vault `{there.name}` is locked against deletion", "Lift its lock first.", code="ScopeLocked"
                )
            require_approved(attempt, deeds.deletion(f"vaults/{there.folded}"))
            registry = attempt.changes_registry()
            drop_assignments_below(attempt.tx, registry, self._scope(there))
            deleted = msgspec.structs.replace(
                there, deletion=soft_delete.deletion(self._time(attempt), there, caller), updated=attempt.now
            )
            registry.put_vault(attempt.tx, deleted)
            emit_purge_scheduled(attempt, deleted)
            return deleted

    def list_deleted_vaults(self, caller: Caller) -> tuple[Vault, ...]:
        """Return the soft-deleted vaults the caller may see."""
        with self._attempt(caller, "DeletedVaultList", self.top) as attempt, attempt.reading():
            return tuple(
                vault
                for vault in sorted(attempt.registry.vaults.values(), key=lambda one: one.folded)
                if vault.deletion is not None
                and vault.pool is None
                and attempt.may(READ_DELETED, self._scope(vault), data=False)
            )

    def get_deleted_vault(self, caller: Caller, name: str) -> Vault:
        """Return a soft-deleted vault."""
        with self._attempt(caller, "DeletedVaultGet", self._scope(name)) as attempt, attempt.reading():
            scope = self._would_be(attempt, name)
            attempt.require(READ_DELETED, scope, data=False)
            return self._deleted_vault(attempt, name)[0]

    def recover_vault(self, caller: Caller, name: str) -> Vault:
        """Bring a soft-deleted vault back, with its settings and all that is in it, without its role assignments."""
        with self._attempt(caller, "VaultRecover", self._scope(name)) as attempt, attempt.transaction():
            scope = self._would_be(attempt, name)
            attempt.require(WRITE, scope, data=False)
            there, _ = self._deleted_vault(attempt, name)
            recovered = msgspec.structs.replace(there, deletion=None, updated=attempt.now)
            attempt.changes_registry().put_vault(attempt.tx, recovered)
            return recovered

    def purge_vault(self, caller: Caller, name: str) -> None:
        """Destroy a soft-deleted vault and all in it, for good. Raises Forbidden where it is purge-protected."""
        with self._attempt(caller, "VaultPurge", self._scope(name)) as attempt, attempt.transaction():
            # A right at the vault's own scope cannot be meant: the scope is gone with the vault.
            self._would_be(attempt, name)
            attempt.require(PURGE, self.top, data=False)
            there, deletion = self._deleted_vault(attempt, name)
            soft_delete.require_purgeable("vault", there.name, there, deletion, self._time(attempt))
            require_approved(attempt, deeds.purge(f"vaults/{there.folded}"))
            self._purge_vault(attempt, there)

    def _make_way(self, attempt: Attempt, name: str) -> None:
        """Refuse a name that is taken; make way where retention of a deleted vault has ended."""
        there = attempt.registry.vault(name)
        if there is None:
            return
        if there.deletion is None:
            detail = "" if there.pool is None else "Vaults and Managed HSMs share their names."
            raise Conflict(f"there is a {there.kind} `{there.name}` already", detail, code="VaultAlreadyExists")
        if not soft_delete.past(there.deletion, self._time(attempt)):
            raise errors.deleted_but_recoverable(there.kind, there.name, "", there.deletion.scheduled_purge)
        if attempt.changing:
            attempt.details["purged"] = f"{there.name}, soft-deleted until {there.deletion.scheduled_purge.isoformat()}"
            self._purge_vault(attempt, there)

    def _would_be(self, attempt: Attempt, name: str, resource_group: str | None = None) -> Scope:
        """Return the scope of a vault, live or deleted, or where one of this name would be."""
        attempt.subject = scope_within(self._scope(attempt.registry.vault(name) or name), resource_group)
        return attempt.subject

    def _managed(self, attempt: Attempt, name: str, action: str, resource_group: str | None = None) -> Vault:
        scope = self._would_be(attempt, name, resource_group)
        attempt.require(action, scope, data=False)
        vault = attempt.registry.vault(name)
        if vault is None or vault.deletion is not None or not is_within(vault, resource_group):
            raise attempt.vault_not_found(name)
        if vault.pool is not None:
            raise errors.wrong_kind(vault.name, vault.kind, "kvstack managed-hsm --help")
        return vault

    def _deleted_vault(self, attempt: Attempt, name: str) -> tuple[Vault, Deletion]:
        vault = attempt.registry.vault(name)
        if vault is None or vault.deletion is None:
            raise errors.not_found("soft-deleted vault", name, "", code="DeletedVaultNotFound")
        if vault.pool is not None:
            raise errors.wrong_kind(vault.name, vault.kind, "kvstack managed-hsm --help")
        return vault, vault.deletion


def vault_problems(vault: Vault) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) for what no new vault is."""
    yield from _name_problems(vault.name, vault.resource_group)
    yield from _problems(vault)


def _name_problems(name: str, resource_group: str) -> Iterator[tuple[str, str]]:
    for attribute, problem in (
        ("name", vault_name_problem(name)),
        ("resource_group", resource_group_name_problem(resource_group)),
    ):
        if problem:
            yield attribute, problem


def _problems(vault: Vault) -> Iterator[tuple[str, str]]:
    least, most = limits.RETENTION_DAYS
    if not least <= vault.soft_delete_retention_days <= most:
        yield (
            "soft_delete_retention_days",
            f"deleted things are kept {least}-{most} days, not {vault.soft_delete_retention_days}",
        )
    if vault.sku not in ("standard", "premium"):
        yield "sku", f"a vault is `standard` or `premium`, not `{vault.sku}`"
    if vault.access_model not in ACCESS_MODELS:
        yield "access_model", f"a vault goes by `rbac` or by `access_policies`, not by `{vault.access_model}`"
    for tag, words in tag_rules.problems(vault.tags):
        yield f"tags.{tag}" if tag else "tags", words
    yield from firewall.problems(vault.network)
    if vault.approval is not None:
        yield from _rule_problems(vault.approval)


def _rule_problems(rule: ApprovalRule) -> Iterator[tuple[str, str]]:
    if not rule.by:
        yield "approval.by", "a rule nobody can approve under: name somebody, or a group"
    for one in rule.by:
        if not is_guid(one):
            yield "approval.by", f"`{one}` is no principal's id: a GUID is"
    if not rule.operations or not {*rule.operations} <= {*deeds.APPROVABLE}:
        yield "approval.for", f"approval is for {', '.join(deeds.APPROVABLE)}, one at least"


def _in_order(rule: ApprovalRule | None) -> ApprovalRule | None:
    """Return a rule in its one spelling."""
    if rule is None:
        return None
    return ApprovalRule(tuple(sorted({one.lower() for one in rule.by})), tuple(sorted({*rule.operations})))
