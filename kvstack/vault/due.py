"""What time has made due, done once whoever runs it; and a clock that stepped, confirmed by a person."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, cast

import msgspec

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.scope import Scope
from kvstack.vault import agenda, errors
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.due_kind import Action, Due, DueKind, Failed, Found, NotDue
from kvstack.vault.due_order import together, turn
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.expiring import ExpiryOperations
from kvstack.vault.faults import Tampered, UnreadableRow
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, Kind, moment
from kvstack.vault.records import Certificate, Deletion, Key, Secret, Vault
from kvstack.vault.rotating import RotatingOperations
from kvstack.vault.rotator_runs import RotatorFailed
from kvstack.vault.still_due import still_due
from kvstack.vault.vaults import READ

__all__ = ["Due", "DueOperations", "DueReport", "Failed"]

CONFIRM_CLOCK = "Microsoft.Authorization/clock/write"
_DATED: tuple[Kind[Any], ...] = (KEY, SECRET, CERTIFICATE)


class DueReport(msgspec.Struct, frozen=True):
    """What was done, and what was held back, with the reason. left: words on tokens of purged Managed HSMs that could
    not be destroyed; failed: what could not be done now, the next run tries again."""

    done: tuple[Due, ...]
    held_back: tuple[Due, ...] = ()
    reason: str = ""
    left: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = ()


class DueOperations(RotatingOperations, ExpiryOperations):
    """What the scheduler does."""

    def due(self, caller: Caller, *, at: datetime | None = None) -> tuple[Due, ...]:
        """Return what is due now, or would be at another time; nothing is done."""
        with self._attempt(caller, "DueList", self.top) as attempt, attempt.reading():
            if caller != SYSTEM:
                attempt.require(READ, self.top, data=False)
            return tuple(found.due for found in _found(attempt, moment("at", at) or attempt.now, []))

    def run_due(self, caller: Caller) -> DueReport:
        """Do what is due, as the system; each thing once, whoever else runs this at the same time, and whenever it is
        killed. One thing that fails does not stop the others. Where the clock stepped nothing is done, and the report
        says so."""
        if caller != SYSTEM:
            with self._attempt(caller, "DueRun", self.top) as attempt, attempt.look():
                raise errors.denied_plainly()
        done: list[Due] = []
        failed: list[Failed] = []
        tried: set[Due] = set()
        while True:
            with self._attempt(caller, "DueRun", self.top) as attempt, attempt.transaction():
                if not agenda.begun(attempt.tx):
                    agenda.build(attempt.tx, [kind.table for kind in _DATED], attempt.now)
                unread: list[Failed] = []
                found = [one for one in _found(attempt, attempt.now, unread) if one.due not in tried]
                doubt = self._time(attempt).doubt
                attempt.details.update(due=str(len(found)), **({"held_back": doubt} if doubt else {}))
                if not found and not doubt:
                    agenda.advance(attempt.tx, attempt.now)
            failed += (one for one in unread if one.due not in tried)
            tried |= {one.due for one in found} | {one.due for one in unread}
            if doubt:
                return DueReport((), tuple(one.due for one in found), doubt, failed=tuple(failed))
            if not found:
                break
            # What is done may make the next thing due at once; what failed is due since the same date as before.
            before = len(done)
            for some in together(found):
                self._do(some, done, failed)
            if _authority_renewed(found, done[before:]):
                # What it could not sign before may be signed now.
                again = {one.due for one in failed if one.due.action == "renew"}
                failed = [one for one in failed if one.due not in again]
                tried -= again
        # Those whose making or purge was cut short some time ago, too.
        left: list[str] = []
        self._destroy_tokens(left)
        return DueReport(tuple(done), left=tuple(dict.fromkeys(left)), failed=tuple(failed))

    def _do(self, found: Iterable[Found], done: list[Due], failed: list[Failed]) -> None:
        """Do some of what is due: what is slow one by one, and what is to be committed in one commit."""
        finished: list[Due] = []
        waiting: list[tuple[Due, Callable[[], None]]] = []
        for one in found:
            with _told(one.due, failed, finished):
                commit = _KINDS[one.due.action].ready(self, one)
                if commit is None:
                    finished.append(one.due)
                else:
                    waiting.append((one.due, commit))
        with self.batch():
            for due, commit in waiting:
                with _told(due, failed, finished):
                    commit()
                    finished.append(due)
        done += finished

    def _ready_to_purge(self, found: Found) -> Callable[[], None]:
        """Purge what is past its retention."""
        return partial(self._purge_due, found)

    def _purge_due(self, found: Found) -> None:
        due, thing = found.due, found.thing
        noun = due.kind.title().replace("_", "")
        with self._attempt(SYSTEM, f"{noun}Purge", self._of(found)) as attempt, attempt.transaction():
            match thing:
                case Vault():
                    there = attempt.registry.vault(thing.name)
                    if there is None or there.id != thing.id or there.deletion is None:
                        raise NotDue(due)
                    if not _over(there.deletion, attempt.now):
                        raise NotDue(due)
                    self._purge_vault(attempt, there)
                case Key():
                    self._purge_content(attempt, still_due(attempt, due, KEY)[1])
                case Secret():
                    self._purge_content(attempt, still_due(attempt, due, SECRET)[1])
                case Certificate():
                    self._purge_content(attempt, still_due(attempt, due, CERTIFICATE)[1])

    def confirm_clock(self, caller: Caller, reason: str) -> None:
        """Believe the clock after a step. reason: for the audit; a person has looked."""
        with self._attempt(caller, "ClockConfirm", self.top) as attempt, attempt.transaction():
            attempt.require(CONFIRM_CLOCK, self.top, data=False)
            if not reason.strip():
                raise BadParameter("the clock is confirmed with a reason")
            time = self._time(attempt)
            attempt.details.update(reason=reason, doubt=time.doubt, now=attempt.now.isoformat())
            self._time_guard.confirm(attempt.tx, attempt.now)

    def _of(self, found: Found) -> Scope:
        match found.thing:
            case Vault():
                return self._scope(found.thing)
            case _:
                registry = self._registry
                home = registry.vault(found.due.vault) if registry is not None else None
                return self._scope(home or found.due.vault, f"{found.due.kind}s/{found.due.name}")


# A kind of work is added by its line here, and its line in `dates.py`.
_KINDS = {
    kind.action: kind
    for kind in (
        DueKind("purge", DueOperations._ready_to_purge),
        DueKind("rotate", DueOperations._ready_to_rotate),
        DueKind("settle-rotation", DueOperations._ready_to_settle),
        DueKind("renew", DueOperations._ready_to_renew),
        DueKind("disable-previous", DueOperations._ready_to_disable),
        DueKind("near-expiry", DueOperations._ready_to_tell),
        DueKind("expired", DueOperations._ready_to_tell),
        DueKind("tell-contacts", DueOperations._ready_to_tell),
    )
}


@contextmanager
def _told(due: Due, failed: list[Failed], finished: list[Due]) -> Iterator[None]:
    """Note what fails in the block; what somebody else did meanwhile is none of it. What follows a rotation may fail
    once that is done."""
    try:
        yield
    except NotDue:
        return
    except RotatorFailed as error:
        finished += [due] if error.made is not None else []
        failed.append(Failed(due, error.diagnostics[0]))
    except KvstackError as error:
        failed.append(Failed(due, error.diagnostics[0]))


def _found(attempt: Attempt, at: datetime, unread: list[Failed]) -> list[Found]:
    """Return what is due at a time, in the order in which it is done. unread: is told what could not be read."""
    found = [
        Found(Due("purge", "vault" if vault.pool is None else "managed_hsm", vault.name, "", until), vault)
        for vault in attempt.registry.vaults.values()
        if vault.deletion is not None and at >= (until := vault.deletion.scheduled_purge)
    ]
    homes = {vault.id: vault for vault in attempt.registry.vaults.values()}
    for kind, row in _dated(attempt, at, homes, unread):
        home = homes.get(row.vault_id)
        # What lies in a soft-deleted vault waits for it: it comes back with it.
        if home is None or home.deletion is not None or (home.pool is not None and home.pool.activated is None):
            continue
        for action, since in kind.table.dates(row).items():
            if since <= at:
                found.append(Found(Due(cast(Action, action), kind.word, home.name, row.name, since), row))
    return sorted(found, key=turn)


def _dated(
    attempt: Attempt, at: datetime, homes: Mapping[str, Vault], unread: list[Failed]
) -> Iterator[tuple[Kind[Any], Any]]:
    """Yield the rows with a date up to this one. In a vault of an older kvstack that has no agenda yet: all rows."""
    if not agenda.begun(attempt.tx):
        yield from ((kind, row) for kind in _DATED for row in kind.table.scan(attempt.tx))
        return
    kinds = {kind.table.name: kind for kind in _DATED}
    for entry in agenda.entries(attempt.tx, at):
        kind = kinds[entry.table]
        vault_id, name = entry.key
        try:
            row = kind.table.get(attempt.tx, vault_id, name)
        except (Tampered, UnreadableRow) as error:
            vault = homes[vault_id].name if vault_id in homes else vault_id
            unread.append(Failed(Due("unread", kind.word, vault, name, entry.at), error.diagnostics[0]))
            continue
        if row is not None:
            yield kind, row


def _authority_renewed(found: Iterable[Found], done: Iterable[Due]) -> bool:
    finished = set(done)
    return any(
        one.due.action == "renew"
        and one.due in finished
        and isinstance(one.thing, Certificate)
        and one.thing.policy.authority is not None
        for one in found
    )


def _over(deletion: Deletion, at: datetime) -> bool:
    return at >= deletion.scheduled_purge
