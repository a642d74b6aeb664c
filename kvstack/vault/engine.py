"""One operation on the vault: authorised, done, audited and committed in one transaction, or refused and audited."""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvstack.hsm.protocol import DecryptionFailed, DomainUnfit, HsmError, HsmUnavailable, KeyProvider, KeyReference
from kvstack.terms.access_policy import Enough
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import folded
from kvstack.terms.principal import PrincipalType
from kvstack.terms.role import data_actions
from kvstack.terms.scope import Scope
from kvstack.vault import errors
from kvstack.vault.access import Decision, Request, decision, smallest_role
from kvstack.vault.audit import AuditRecord
from kvstack.vault.caller import SYSTEM, SYSTEM_ACTIONS, Caller, CallerRequest
from kvstack.vault.errors import VaultError
from kvstack.vault.events import emit_access, emit_policy
from kvstack.vault.firewall import lets_in
from kvstack.vault.pools import POOL_PROVIDER
from kvstack.vault.records import Vault
from kvstack.vault.registry import Registry, read_registry, stored_mark
from kvstack.vault.soft_delete import VaultTime
from kvstack.vault.time_step import Steady, moment
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked


READ_VAULT = "Microsoft.KeyVault/vaults/read"
READ_HSM = "Microsoft.KeyVault/managedHSMs/read"
READ_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments/read"
_DENIED = 403
_NO_REQUEST = CallerRequest()
_DRAWN = 64


class Engine:
    """What all operations share. random: draws random bytes; versions, ids and marks come from it."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._store = unlocked.store
        self._barrier = unlocked.barrier
        self._audit = unlocked.audit
        self._checkpointing = unlocked.checkpointing
        self._clock = unlocked.clock
        self._time_guard = unlocked.time_guard
        self._providers = unlocked.providers
        self._settings = unlocked.settings
        self._paths = unlocked.paths
        self._random = random
        self._registry: Registry | None = None
        self._doomed: list[Callable[[], None]] = []
        self._correlation_ids: list[str] = []
        self._pools = unlocked.pools
        self.top = Scope(unlocked.settings.subscription_id)

    def batch(self, *, reading: bool = False) -> AbstractContextManager[None]:
        """Make everything done in the block durable in one commit. Each operation stands for itself: one that is
        refused undoes only itself. Generate keys before it (`prepare_key`): other threads wait for the block's end.
        reading: nothing is changed in it, so that other processes neither wait for it nor keep it waiting."""
        return _Step(self, reading=reading)

    @property
    def now(self) -> datetime:
        """What time it is by the vault's clock."""
        return self._clock.now()

    @contextlib.contextmanager
    def as_one(self, caller: Caller, operation: str, subject: Scope) -> Iterator[None]:
        """Make all operations in the block one: where one of them is refused none was done, and what the audit keeps is
        that the whole was refused. Generate keys before it, as for `batch`."""
        with self._attempt(caller, operation, subject) as attempt, attempt.transaction():
            yield

    def _forget(self, reference: KeyReference) -> None:
        """Let a key's provider forget it. A refusal is audited: what the caller asked for was done all the same."""
        with contextlib.suppress(HsmError), self._attempt(SYSTEM, "KeyMaterialForget", self.top) as attempt:
            attempt.details["key"] = reference.id
            self._provider(reference.material.provider).destroy(reference)

    def _provider(self, name: str) -> KeyProvider:
        """Return the provider that made a key and has to be asked to use it: `pkcs11-wrapped` is made by `pkcs11`,
        `pool:ID` by the tokens of a Managed HSM."""
        if name.startswith(POOL_PROVIDER):
            pool = self._registry.pool(name.removeprefix(POOL_PROVIDER)) if self._registry is not None else None
            if pool is None:
                raise HsmUnavailable("the Managed HSM that holds this key is not there", "It was purged.")
            found: KeyProvider = self._pools.keys(pool)
            return found
        provider = self._providers.get(name) or self._providers.get(name.split("-", maxsplit=1)[0])
        if provider is None:
            raise HsmUnavailable(
                f"the provider `{name}` that holds this key is not there",
                "The vault was opened without its HSM module.",
            )
        return provider

    def _attempt(self, caller: Caller, operation: str, subject: Scope) -> "Attempt":
        return Attempt(self, caller, operation, subject)

    def _correlation_id(self) -> str:
        if not self._correlation_ids:
            self._correlation_ids = _guids(_DRAWN)
        return self._correlation_ids.pop()

    def _time(self, attempt: "Attempt") -> VaultTime:
        """Return what time it is, and whether it can be believed."""
        mark, step = self._time_guard.mark(), self._time_guard.check(attempt.now)
        doubt = "" if isinstance(step, Steady) else str(step)
        return VaultTime(attempt.now, max(attempt.now, mark) if mark is not None else attempt.now, doubt)

    def _current_registry(self, tx: Transaction) -> Registry:
        # Undone changes are still in memory, under a mark that was undone with them.
        if self._registry is None or self._registry.mark != stored_mark(tx):
            self._registry = read_registry(tx)
        return self._registry

    def _scope(self, vault: Vault | str, item: str = "") -> Scope:
        """Return the scope of a vault, or of a thing in it; of a name no vault has, where one would be by default."""
        if isinstance(vault, str):
            return Scope(self._settings.subscription_id, self._settings.resource_group, vault, item)
        pool = vault.pool is not None
        return Scope(self._settings.subscription_id, vault.resource_group, vault.name, item, managed_hsm=pool)


class Attempt:
    """One caller's attempt at one operation. As a context manager it audits the refusal, whatever it was.

    Work happens in `transaction()`, which audits success and commits, in `reading()`, which audits success and changes
    nothing, or in `look()`, which changes and tells nothing:
    slow work (making or using a key) is done between the two, while the store is free for others.
    """

    now: datetime
    latest: datetime  # that the vault ever saw, at least now
    changing: bool
    tx: Transaction
    registry: Registry

    def __init__(self, engine: Engine, caller: Caller, operation: str, subject: Scope) -> None:
        self._engine = engine
        self.caller = caller
        self.operation = operation
        self.subject = subject
        self.details: dict[str, str] = {}
        self._began = perf_counter()
        self._rests_on: tuple[str, ...] = ()  # the assignments and policies that allowed what it does
        self._doomed: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            with self._engine._store.reading() as tx:
                self.now = self._engine._clock.now()
                self._append(tx, *_outcome(error))

    def transaction(self) -> AbstractContextManager[None]:
        """Do the operation: what the block changes and the audit record of it are committed together."""
        return _Step(self._engine, self, audited=True)

    def reading(self) -> AbstractContextManager[None]:
        """Do an operation that changes nothing: it is audited, and neither waits for other processes nor holds them
        up."""
        return _Step(self._engine, self, audited=True, reading=True)

    def look(self) -> AbstractContextManager[None]:
        """Read only, and refuse early."""
        return _Step(self._engine, self, reading=True)

    def begin(self, tx: Transaction, *, changing: bool) -> None:
        """Work in this transaction from here on. changing: not only looking."""
        self.tx = tx
        self.changing = changing
        self._access_before = len(tx.access_changed)
        self.now = self._engine._clock.now()
        # What has ended stays so when the clock is set back.
        self.latest = max(self.now, moment(tx.ledger.root.time)) if tx.ledger.root.time else self.now
        self.registry = self._engine._current_registry(tx)

    def succeed(self) -> None:
        """Audit that the operation was done; what it purged is forgotten once that is durable."""
        for place, what, identifier in self.tx.access_changed[self._access_before :]:
            match place:
                case Vault() if what == "AccessPolicy":
                    emit_policy(self, place)
                case Vault():
                    emit_access(self, self.scope_of(place), what, identifier)
                case None:
                    emit_access(self, self.top, what, identifier)
                case _:
                    emit_access(self, place, what, identifier)
        self._append(self.tx, "Success", 200, "")
        self._engine._doomed += self._doomed

    def forget_later(self, reference: KeyReference) -> None:
        """Let the key's provider forget it once the purge is durable."""
        self.afterwards(partial(self._engine._forget, reference))

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do something outside the store once what was done in it is durable."""
        self._doomed.append(work)

    def changes_registry(self) -> Registry:
        """Return the registry for changing it."""
        self.registry.set_mark(self.tx)
        return self.registry

    # Access

    def principal_type(self, caller: Caller) -> PrincipalType:
        """Return what a caller is, as far as the directory knows."""
        known = self.registry.principals.get(caller.id)
        return known.type if known is not None else "user"

    def decide(self, action: str, scope: Scope, *, data: bool, permissions: Enough | None = None) -> Decision:
        """Ask the evaluator. What is inside a Managed HSM only its local roles give a right to. permissions: what an
        access policy has to permit, any of them, where that is not what stands for the action."""
        if data and scope.managed_hsm:
            principals = self.registry.principals_of(self.caller)
            found = self.registry.local(scope.vault).decide(principals, action, scope, self.now)
        else:
            request = Request(self.registry.principals_of(self.caller), action, data, scope, permissions)
            found = decision(request, self.registry.assignments, self.now, self.latest)
        if found.assignment is not None:
            self._rests(found.assignment.id)
        elif found.policy is not None:
            self._rests(found.policy.audited)
        return found

    def _rests(self, allowing: str) -> None:
        if allowing not in self._rests_on:
            self._rests_on += (allowing,)

    def may(self, action: str, scope: Scope, *, data: bool, permissions: Enough | None = None) -> bool:
        """Tell whether the caller may do something."""
        return self.decide(action, scope, data=data, permissions=permissions).allowed

    def require(self, action: str, scope: Scope, *, data: bool, permissions: Enough | None = None) -> Decision:
        """Refuse the caller who may not do something."""
        found = self.decide(action, scope, data=data, permissions=permissions)
        if not found.allowed:
            raise self.denied(action, scope, data=data, permissions=permissions)
        return found

    def denied(self, action: str, scope: Scope, *, data: bool, permissions: Enough | None = None) -> VaultError:
        """Return the refusal, in as many words as the caller may know."""
        if data and scope.managed_hsm:
            return self._denied_locally(action, scope)
        if data and self.registry.assignments.policies(scope) is not None:
            return self._denied_by_policies(action, scope, permissions)
        if not self.may(READ_ASSIGNMENTS, scope, data=False):
            return errors.denied_plainly()
        denial = self.decide(action, scope, data=data).denial
        if denial is not None:
            return errors.denied_by_denial(self.caller.words, action, scope.path, denial.name, denial.scope.path)
        role = smallest_role(action, data=data, roles=self.registry.roles().values(), all_data_actions=data_actions())
        return errors.denied(self.caller.words, action, scope.path, role.name if role else None)

    def _denied_locally(self, action: str, scope: Scope) -> VaultError:
        """Return the refusal of something inside a Managed HSM."""
        vault, local = self.registry.vault(scope.vault), self.registry.local(scope.vault)
        # That there is one is known to who sees it, or has a role in it.
        known = local.known(self.registry.principals_of(self.caller)) or self.may(READ_HSM, scope, data=False)
        if vault is None or not known:
            return errors.denied_plainly()
        return local.refusal(vault, self.caller.words, action, scope)

    def _denied_by_policies(self, action: str, scope: Scope, permissions: Enough | None) -> VaultError:
        """Return the refusal of something in a vault under access policies."""
        principals = self.registry.principals_of(self.caller)
        request = Request(principals, action, True, scope, permissions)
        if self.may(READ_ASSIGNMENTS, scope, data=False):
            return errors.denied_by_policies(self.caller.words, action, scope.path, scope.vault, request.enough)
        # That the vault is there, and what it goes by, is known to who has anything to do with it.
        known = self.registry.assignments.known(principals, scope) or self.may(READ_VAULT, scope, data=False)
        return errors.denied_plainly(by_policies=known)

    # Finding things

    @property
    def top(self) -> Scope:
        """The subscription's scope."""
        return self._engine.top

    def scope_of(self, vault: Vault | str) -> Scope:
        """Return a vault's scope; of a name no vault has, where one would be by default."""
        return self._engine._scope(vault)

    def at_item(self, vault: Vault, item: str) -> None:
        """Take down what the operation is on, as it is spelled in the vault."""
        self.subject = self._engine._scope(vault, item)

    def vault(
        self,
        name: str,
        action: str,
        item: str = "",
        *,
        also: str | None = None,
        local: str | None = None,
        permissions: Enough | None = None,
    ) -> Vault:
        """Return a live vault whose data the caller may use so. item: the thing in it, empty for the whole vault; also:
        another action that is enough where roles count; local: what the action is in a Managed HSM, where that has one
        of its own; permissions: what an access policy has to permit, where that is not what stands for the action."""
        vault = self.registry.vault(name)
        scope = self._engine._scope(vault if vault is not None else name, item)
        self.subject = scope
        # Who may not use the vault is denied before being told whether there is one. That reading a key is enough for
        # what its public half can do is so in vaults under roles only.
        if local is not None and scope.managed_hsm:
            action = local
        by_roles = not scope.managed_hsm and self.registry.assignments.policies(scope) is None
        if self.caller == SYSTEM:
            if action not in SYSTEM_ACTIONS:
                raise errors.denied_plainly()
        elif also is None or not by_roles or not self.may(also, scope, data=True):
            self.require(action, scope, data=True, permissions=permissions)
        if vault is None or vault.deletion is not None:
            raise self.vault_not_found(name)
        self.require_let_in(vault)
        if vault.pool is not None and vault.pool.activated is None:
            raise errors.not_activated(vault.name)
        return vault

    def require_let_in(self, vault: Vault) -> None:
        """Refuse a caller whom the vault's network rules keep out, whatever his rights."""
        if not lets_in(vault.network, self.caller):
            raise errors.denied_by_firewall(vault.name, str(self.caller.address))

    def vault_not_found(self, name: str, kind: str = "vault") -> VaultError:
        """Return the refusal for a vault that is not there; suggest those the caller may see. kind: `Managed HSM` where
        one was looked for."""
        vault = self.registry.vault(name)
        if vault is not None and vault.deletion is not None:
            error = errors.not_found(vault.kind, vault.name, ", it is soft-deleted", code="VaultNotFound")
            return error.with_detail(f"Recover it, or wait until {errors.day(vault.deletion.scheduled_purge)}.")
        seen = [
            one.name
            for one in self.registry.vaults.values()
            if one.deletion is None
            and self.may(READ_VAULT if one.pool is None else READ_HSM, self._engine._scope(one), data=False)
        ]
        return errors.not_found(kind, name, "", near(name, seen), code="VaultNotFound")

    def drawn_id(self) -> str:
        """Return a GUID that nothing else has."""
        return self._engine._correlation_id()

    # Audit

    def _append(self, tx: Transaction, result: str, status: int, description: str) -> None:
        caller = self.caller
        request = caller.request or _NO_REQUEST
        self._engine._audit.append(
            tx,
            AuditRecord(
                time=self.now,
                operation=self.operation,
                resource=self.subject.path,
                caller=caller.id,
                caller_name=caller.name,
                result=result,
                status=status,
                description=description,
                correlation_id=request.correlation_id or self._engine._correlation_id(),
                details=self.details,
                authorised_by=self._rests_on if status != _DENIED else (),
                duration_ms=round((perf_counter() - self._began) * 1000, 3),
                address=caller.address or "",
                client=request.client,
                request_uri=request.uri,
                tls_version=request.tls_version,
            ),
        )


class _Step:
    """One transaction of the engine's, of an attempt's or of a batch, and what can only follow once it is durable."""

    __slots__ = ("_attempt", "_audited", "_engine", "_reading", "_transaction", "_tx")

    def __init__(
        self, engine: Engine, attempt: Attempt | None = None, *, audited: bool = False, reading: bool = False
    ) -> None:
        self._engine = engine
        self._reading = reading
        self._transaction = engine._store.reading() if reading else engine._store.transaction()
        self._attempt = attempt
        self._audited = audited

    def __enter__(self) -> None:
        transaction = self._transaction
        self._tx = transaction.__enter__()
        if self._attempt is not None:
            try:
                self._attempt.begin(self._tx, changing=self._audited and not self._reading)
            except BaseException as error:
                transaction.__exit__(type(error), error, None)
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, transaction = self._engine, self._transaction
        doomed: list[Callable[[], None]] = []
        try:
            if error is None and self._audited and self._attempt is not None:
                self._attempt.succeed()
            if self._tx.depth == 0:
                doomed, engine._doomed = engine._doomed, []
        except BaseException as failure:
            transaction.__exit__(type(failure), failure, None)
            raise
        transaction.__exit__(kind, error, trace)
        if error is None:
            # A crash before this leaves a key in an HSM that nothing names any more, or a token.
            for work in doomed:
                work()


def _guids(count: int) -> list[str]:
    """Draw GUIDs, many at once: asking the system for each costs an operation a microsecond."""
    drawn = os.urandom(16 * count).hex()
    return [
        f"{drawn[at : at + 8]}-{drawn[at + 8 : at + 12]}-{drawn[at + 12 : at + 16]}-{drawn[at + 16 : at + 20]}"
        f"-{drawn[at + 20 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]


def _outcome(error: Exception) -> tuple[str, int, str]:
    """Return (result, status, description) of a refusal for the audit."""
    match error:
        case VaultError():
            return error.inner or error.code, error.status, error.diagnostics[0].summary
        case DecryptionFailed():
            return "DecryptionFailed", 400, error.diagnostics[0].summary
        case DomainUnfit():
            return "BadParameter", 400, error.diagnostics[0].summary
        case KvstackError():
            return type(error).__name__, 500, error.diagnostics[0].summary
        case _:
            # Whatever it is, its words may hold what was being worked on: only its kind is written down.
            return "InternalError", 500, type(error).__name__


def near(name: str, names: list[str]) -> list[str]:
    """Return the names most like one that is not there."""
    from difflib import get_close_matches

    spelled = {folded(one): one for one in names}
    return [spelled[one] for one in get_close_matches(folded(name), spelled, n=3, cutoff=0.6)]
