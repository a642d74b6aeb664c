"""Managed HSMs: made, changed, soft-deleted, recovered, purged. What is inside them comes after activation.

A Managed HSM is a vault with tokens of its own, and shares the vaults' names. Its tokens are made before the store
knows of it and destroyed after the store has forgotten it, so none of its verbs stands in a batch.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from kvstack.terms import limits
from kvstack.terms import tags as tag_rules
from kvstack.terms.local_role import ADMINISTRATOR
from kvstack.terms.name import folded, resource_group_name_problem, vault_name_problem
from kvstack.terms.principal import is_guid
from kvstack.terms.scope import Scope
from kvstack.vault import errors, soft_delete
from kvstack.vault.assignments import drop_assignments_below
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import READ_HSM as READ
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.events import emit_purge_scheduled
from kvstack.vault.items import ItemOperations
from kvstack.vault.local_roles import local_assignment
from kvstack.vault.pool_home import managed_hsm, would_be
from kvstack.vault.records import Deletion, NetworkRules, Pool, Vault

if TYPE_CHECKING:
    from kvstack.hsm.pool import TokenHealth

WRITE = "Microsoft.KeyVault/managedHSMs/write"
DELETE = "Microsoft.KeyVault/managedHSMs/delete"
READ_DELETED = "Microsoft.KeyVault/deletedManagedHsms/read"
PURGE = "Microsoft.KeyVault/locations/deletedManagedHsms/purge/action"


class ManagedHsmOperations(ItemOperations):
    """What can be done with a Managed HSM as a whole; its rights are resource manager's."""

    def create_managed_hsm(
        self,
        caller: Caller,
        name: str,
        *,
        resource_group: str | None = None,
        location: str = "local",
        soft_delete_retention_days: int = 90,
        purge_protection: bool = False,
        administrators: Sequence[str] = (),
        tokens: int = 1,
        tags: Mapping[str, str] | None = None,
    ) -> Vault:
        """Make a Managed HSM with its tokens; it has to be activated before it is of any use. administrators: ids of
        the principals who are given `Managed HSM Administrator` in it, the store's operator where there are none.
        Raises Conflict where the name is taken, by a vault or by something soft-deleted too."""
        group = resource_group or self._settings.resource_group
        scope = msgspec.structs.replace(self._hsm_scope(name), resource_group=group)
        wanted = Vault(
            folded=folded(name),
            id=str(uuid.UUID(bytes=self._random(16), version=4)),
            name=name,
            resource_group=group,
            location=location,
            sku="premium",
            soft_delete_retention_days=soft_delete_retention_days,
            purge_protection=purge_protection,
            network=NetworkRules(),
            tags=dict(tags or {}),
            created=self._clock.now(),
            updated=self._clock.now(),
            pool=Pool(tokens=(), administrators=tuple(dict.fromkeys(one.lower() for one in administrators))),
        )
        with self._attempt(caller, "ManagedHsmPut", scope) as attempt:

            def checked() -> Vault | None:
                attempt.require(WRITE, scope, data=False)
                found = [*_name_problems(name, group), *_problems(wanted, tokens)]
                if found:
                    raise BadParameter.of(found)
                return self._free_pool_name(attempt, name)

            with attempt.look():
                checked()
            with self._pools.alone():
                self._purge_former(attempt, checked)
                self._sweep()
                try:
                    made = self._pools.make(wanted.pool_id, name, range(1, tokens + 1))
                    with attempt.transaction():
                        checked()
                        return self._keep_pool(attempt, wanted, made)
                except BaseException:
                    self._sweep()
                    raise

    def update_managed_hsm(
        self,
        caller: Caller,
        name: str,
        *,
        purge_protection: bool | UnsetType = UNSET,
        tokens: int | UnsetType = UNSET,
        tags: Mapping[str, str] | UnsetType = UNSET,
        resource_group: str | None = None,
    ) -> Vault:
        """Change a Managed HSM's settings; what is not given stays. tokens: how many it is to have, never fewer than
        there are; a new one of an activated Managed HSM takes part once it was joined to the security domain;
        resource_group: the one it has to be in, any where None."""
        with self._attempt(caller, "ManagedHsmPatch", self._hsm_scope(name)) as attempt:

            def checked() -> tuple[Vault, Pool]:
                there, pool = managed_hsm(attempt, name, WRITE, resource_group)
                if there.purge_protection and purge_protection is False:
                    raise BadParameter(
                        f"purge protection of Managed HSM `{there.name}` is on and cannot be switched off",
                        "It can be switched on, never off.",
                    )
                count = len(pool.tokens)
                if tokens is not UNSET and tokens < count:
                    raise BadParameter(
                        f"tokens: Managed HSM `{there.name}` has {count}, and none of them is taken away",
                        "A token that is lost or broken stays in the list; the others work on.",
                    )
                changed = msgspec.structs.replace(
                    there,
                    purge_protection=there.purge_protection if purge_protection is UNSET else purge_protection,
                    tags=there.tags if tags is UNSET else dict(tags),
                )
                found = list(_problems(changed, count if tokens is UNSET else tokens))
                if found:
                    raise BadParameter.of(found)
                return changed, pool

            with attempt.look():
                changed, pool = checked()
            if tokens is UNSET or tokens == len(pool.tokens):
                with attempt.transaction():
                    changed, _ = checked()
                    return self._changed_pool(attempt, changed)
            with self._pools.alone():
                self._sweep()
                with attempt.look():
                    changed, pool = checked()
                numbers = range(len(pool.tokens) + 1, tokens + 1)
                try:
                    made = self._pools.make(changed.pool_id, changed.name, numbers)
                    with attempt.transaction():
                        changed, pool = checked()
                        grown = msgspec.structs.replace(pool, tokens=(*pool.tokens, *made))
                        attempt.details["tokens"] = str(tokens)
                        return self._changed_pool(attempt, msgspec.structs.replace(changed, pool=grown))
                except BaseException:
                    self._sweep()
                    raise

    def get_managed_hsm(self, caller: Caller, name: str, *, resource_group: str | None = None) -> Vault:
        """Return a live Managed HSM. resource_group: the one it has to be in, any where None."""
        with self._attempt(caller, "ManagedHsmGet", self._hsm_scope(name)) as attempt, attempt.reading():
            return managed_hsm(attempt, name, READ, resource_group)[0]

    def list_managed_hsms(self, caller: Caller) -> tuple[Vault, ...]:
        """Return the live Managed HSMs the caller may see."""
        with self._attempt(caller, "ManagedHsmList", self.top) as attempt, attempt.reading():
            return tuple(one for one in _all(attempt) if one.deletion is None and self._seen(attempt, one, READ))

    def managed_hsm_health(self, caller: Caller, name: str) -> "tuple[TokenHealth, ...]":
        """Return how each token of a Managed HSM is: ready, lost, or without the security domain."""
        with self._attempt(caller, "ManagedHsmHealth", self._hsm_scope(name)) as attempt:
            with attempt.look():
                there, _ = managed_hsm(attempt, name, READ)
            health: tuple[TokenHealth, ...] = self._pools.keys(there).health()
            with attempt.reading():
                managed_hsm(attempt, name, READ)
            return health

    def delete_managed_hsm(self, caller: Caller, name: str, *, resource_group: str | None = None) -> Vault:
        """Soft-delete a Managed HSM with all in it. Roles inside it come back with it; those of resource manager at it
        are gone for good, as on Azure. resource_group: the one it has to be in, any where None."""
        with self._attempt(caller, "ManagedHsmDelete", self._hsm_scope(name)) as attempt, attempt.transaction():
            there, _ = managed_hsm(attempt, name, DELETE, resource_group)
            registry = attempt.changes_registry()
            drop_assignments_below(attempt.tx, registry, self._scope(there))
            deleted = soft_delete.deletion(self._time(attempt), there, caller)
            emit_purge_scheduled(attempt, there)
            return self._changed_pool(attempt, msgspec.structs.replace(there, deletion=deleted))

    def list_deleted_managed_hsms(self, caller: Caller) -> tuple[Vault, ...]:
        """Return the soft-deleted Managed HSMs the caller may see."""
        with self._attempt(caller, "DeletedManagedHsmList", self.top) as attempt, attempt.reading():
            return tuple(
                one for one in _all(attempt) if one.deletion is not None and self._seen(attempt, one, READ_DELETED)
            )

    def get_deleted_managed_hsm(self, caller: Caller, name: str) -> Vault:
        """Return a soft-deleted Managed HSM."""
        with self._attempt(caller, "DeletedManagedHsmGet", self._hsm_scope(name)) as attempt, attempt.reading():
            attempt.require(READ_DELETED, would_be(attempt, name), data=False)
            return _deleted(attempt, name)[0]

    def recover_managed_hsm(self, caller: Caller, name: str) -> Vault:
        """Bring a soft-deleted Managed HSM back, with its settings, its keys and the roles inside it."""
        with self._attempt(caller, "ManagedHsmRecover", self._hsm_scope(name)) as attempt, attempt.transaction():
            attempt.require(WRITE, would_be(attempt, name), data=False)
            there, _ = _deleted(attempt, name)
            return self._changed_pool(attempt, msgspec.structs.replace(there, deletion=None))

    def purge_managed_hsm(self, caller: Caller, name: str) -> tuple[str, ...]:
        """Destroy a soft-deleted Managed HSM for good, with its tokens. Returns words on every token that could not be
        destroyed, and has to be by its own means. Raises Forbidden where it is purge-protected."""
        left: list[str] = []
        with self._attempt(caller, "ManagedHsmPurge", self._hsm_scope(name)) as attempt, attempt.transaction():
            would_be(attempt, name)
            attempt.require(PURGE, self.top, data=False)
            there, deletion = _deleted(attempt, name)
            soft_delete.require_purgeable(there.kind, there.name, there, deletion, self._time(attempt))
            self._purge_vault(attempt, there, left)
        return tuple(left)

    def _hsm_scope(self, name: str) -> Scope:
        """Return the scope of a Managed HSM of this name that is not there yet, or not looked for yet."""
        return msgspec.structs.replace(self._scope(name), managed_hsm=True)

    def _free_pool_name(self, attempt: Attempt, name: str) -> Vault | None:
        """Return a deleted namesake whose retention has ended, None where there is none. Raises Conflict where the name
        is taken, by a vault too."""
        there = attempt.registry.vault(name)
        if there is None:
            return None
        if there.deletion is None:
            code = "VaultAlreadyExists" if there.pool is None else "ManagedHsmAlreadyExists"
            detail = "" if there.pool is not None else "Vaults and Managed HSMs share their names."
            raise Conflict(f"there is a {there.kind} `{there.name}` already", detail, code=code)
        if not soft_delete.past(there.deletion, self._time(attempt)):
            raise errors.deleted_but_recoverable(there.kind, there.name, "", there.deletion.scheduled_purge)
        attempt.details["purged"] = f"{there.name}, soft-deleted until {there.deletion.scheduled_purge.isoformat()}"
        return there

    def _purge_former(self, attempt: Attempt, checked: Callable[[], Vault | None]) -> None:
        """Make way where a deleted namesake's retention has ended: its tokens have the labels of those to be made."""
        with attempt.look():
            if checked() is None:
                return
        with self._attempt(SYSTEM, "ManagedHsmPurge", attempt.subject) as purge, purge.transaction():
            former = self._free_pool_name(purge, attempt.subject.vault)
            if former is not None and former.pool is not None:
                self._purge_pool(purge, former)
            elif former is not None:
                self._purge_vault(purge, former)

    def _keep_pool(self, attempt: Attempt, wanted: Vault, tokens: tuple[str, ...]) -> Vault:
        """Keep a new Managed HSM, whose tokens are made, and its first administrators."""
        administrators = (wanted.pool and wanted.pool.administrators) or (self._settings.operator_id,)
        pool = Pool(tokens=tokens, administrators=administrators)
        made = msgspec.structs.replace(wanted, pool=pool, created=attempt.now, updated=attempt.now)
        self._barrier.create_data_key(attempt.tx, made.id)
        registry = attempt.changes_registry()
        registry.put_vault(attempt.tx, made)
        for administrator in administrators:
            known = attempt.registry.principals.get(administrator)
            assignment = local_assignment(
                made, "/", ADMINISTRATOR, administrator, known.type if known else "user", attempt.now, attempt.caller.id
            )
            registry.put_local_assignment(attempt.tx, made, assignment)
        attempt.details.update(tokens=str(len(tokens)), administrators=" ".join(administrators))
        return made

    def _changed_pool(self, attempt: Attempt, changed: Vault) -> Vault:
        if changed != attempt.registry.vault(changed.name):
            changed = msgspec.structs.replace(changed, updated=attempt.now)
            attempt.changes_registry().put_vault(attempt.tx, changed)
        return changed

    def _seen(self, attempt: Attempt, vault: Vault, action: str) -> bool:
        return attempt.may(action, self._scope(vault), data=False)


def _deleted(attempt: Attempt, name: str) -> tuple[Vault, Deletion]:
    vault = attempt.registry.vault(name)
    if vault is None or vault.deletion is None:
        raise errors.not_found("soft-deleted Managed HSM", name, "", code="DeletedManagedHsmNotFound")
    if vault.pool is None:
        raise errors.wrong_kind(vault.name, "vault", "kvstack vault --help")
    return vault, vault.deletion


def _all(attempt: Attempt) -> Iterator[Vault]:
    for vault in sorted(attempt.registry.vaults.values(), key=lambda one: one.folded):
        if vault.pool is not None:
            yield vault


def _name_problems(name: str, resource_group: str) -> Iterator[tuple[str, str]]:
    for attribute, problem in (
        ("name", vault_name_problem(name)),
        ("resource_group", resource_group_name_problem(resource_group)),
    ):
        if problem:
            yield attribute, problem


def _problems(wanted: Vault, tokens: int) -> Iterator[tuple[str, str]]:
    least, most = limits.RETENTION_DAYS
    if not least <= wanted.soft_delete_retention_days <= most:
        yield (
            "soft_delete_retention_days",
            f"deleted things are kept {least}-{most} days, not {wanted.soft_delete_retention_days}",
        )
    least, most = limits.POOL_TOKENS
    if not least <= tokens <= most:
        yield "tokens", f"a Managed HSM has {least}-{most} tokens, not {tokens}"
    for administrator in wanted.pool.administrators if wanted.pool is not None else ():
        if not is_guid(administrator):
            yield "administrators", f"`{administrator}` is no principal's id: a GUID is"
    for tag, words in tag_rules.problems(wanted.tags):
        yield f"tags.{tag}" if tag else "tags", words
