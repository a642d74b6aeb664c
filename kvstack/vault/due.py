"""What time has made due: the end of retention; and a clock that stepped, confirmed by a person."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from kvstack.terms.scope import Scope
from kvstack.vault import errors
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, ItemOperations, moment
from kvstack.vault.records import Certificate, Deletion, Key, Secret, Vault
from kvstack.vault.vaults import READ

CONFIRM_CLOCK = "Microsoft.Authorization/clock/write"


class Due(msgspec.Struct, frozen=True):
    """One thing that is due. action: what is to be done; since: when it became due."""

    action: Literal["purge"]
    kind: Literal["vault", "managed_hsm", "key", "secret", "certificate"]
    vault: str
    name: str
    since: datetime


class DueReport(msgspec.Struct, frozen=True):
    """What was done, and what was held back, with the reason. left: words on tokens of purged Managed HSMs that could
    not be destroyed."""

    done: tuple[Due, ...]
    held_back: tuple[Due, ...] = ()
    reason: str = ""
    left: tuple[str, ...] = ()


class DueOperations(ItemOperations):
    """What the scheduler does."""

    def due(self, caller: Caller, *, at: datetime | None = None) -> tuple[Due, ...]:
        """Return what is due now, or would be at another time; nothing is done."""
        with self._attempt(caller, "DueList", self.top) as attempt, attempt.transaction():
            if caller != SYSTEM:
                attempt.require(READ, self.top, data=False)
            return tuple(due for due, _ in _found(attempt, moment("at", at) or attempt.now))

    def run_due(self, caller: Caller) -> DueReport:
        """Do what is due, as the system. Where the clock stepped nothing is purged, and the report says so."""
        if caller != SYSTEM:
            with self._attempt(caller, "DueRun", self.top) as attempt, attempt.look():
                raise errors.denied_plainly()
        done: list[Due] = []
        left: list[str] = []
        with self.batch():
            with self._attempt(caller, "DueRun", self.top) as attempt, attempt.transaction():
                found = _found(attempt, attempt.now)
                doubt = self._time(attempt).doubt
                waiting = list(found)
                attempt.details.update(due=str(len(waiting)), **({"held_back": doubt} if doubt else {}))
            if doubt:
                return DueReport((), tuple(due for due, _ in waiting), doubt)
            for due, thing in waiting:
                noun = due.kind.title().replace("_", "")
                with self._attempt(caller, f"{noun}Purge", self._of(thing)) as attempt, attempt.transaction():
                    match thing:
                        case Vault():
                            self._purge_vault(attempt, thing, left)
                        case _:
                            self._purge_content(attempt, thing)
                done.append(due)
        # Those, too, whose making or purge was cut short some time ago.
        self._destroy_tokens(left)
        return DueReport(tuple(done), left=tuple(dict.fromkeys(left)))

    def confirm_clock(self, caller: Caller, reason: str) -> None:
        """Believe the clock after a step. reason: for the audit; a person has looked."""
        with self._attempt(caller, "ClockConfirm", self.top) as attempt, attempt.transaction():
            attempt.require(CONFIRM_CLOCK, self.top, data=False)
            if not reason.strip():
                raise BadParameter("the clock is confirmed with a reason")
            time = self._time(attempt)
            attempt.details.update(reason=reason, doubt=time.doubt, now=attempt.now.isoformat())
            self._time_guard.confirm(attempt.tx, attempt.now)

    def _of(self, thing: Vault | Key | Secret | Certificate) -> Scope:
        match thing:
            case Vault():
                return self._scope(thing)
            case Key():
                return self._scope(self._home(thing), f"keys/{thing.name}")
            case Secret():
                return self._scope(self._home(thing), f"secrets/{thing.name}")
            case Certificate():
                return self._scope(self._home(thing), f"certificates/{thing.name}")

    def _home(self, item: Key | Secret | Certificate) -> Vault | str:
        registry = self._registry
        return (registry.vault(item.vault) if registry is not None else None) or item.vault


def _found(attempt: Attempt, at: datetime) -> Iterator[tuple[Due, Vault | Key | Secret | Certificate]]:
    """Yield what retention's end has reached. What lies in a soft-deleted vault waits for it: it comes back with it."""
    for vault in attempt.registry.vaults.values():
        if vault.deletion is not None:
            if _over(vault.deletion, at):
                yield (
                    Due(
                        "purge",
                        "vault" if vault.pool is None else "managed_hsm",
                        vault.name,
                        "",
                        vault.deletion.scheduled_purge,
                    ),
                    vault,
                )
            continue
        for kind in (KEY, SECRET, CERTIFICATE):
            for item in kind.table.scan(attempt.tx, vault_id=vault.id):
                # A certificate's key and secret go with it.
                if item.deletion is not None and _over(item.deletion, at) and not getattr(item, "managed", False):
                    yield Due("purge", kind.word, vault.name, item.name, item.deletion.scheduled_purge), item


def _over(deletion: Deletion, at: datetime) -> bool:
    return at >= deletion.scheduled_purge
