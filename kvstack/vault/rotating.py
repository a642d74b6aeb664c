"""Rotating, renewing, and disabling what was followed: by the scheduler as people declared it, or by hand."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from kvstack.terms import schedule
from kvstack.terms.generator import generated
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.certificates.making import require_same_issuer
from kvstack.vault.certificates.operations import CREATE as CREATE_CERTIFICATE
from kvstack.vault.certificates.operations import CertificateOperations
from kvstack.vault.certificates.rows import CERTIFICATE_VERSIONS
from kvstack.vault.due_kind import Due, Found
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import Conflict
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, I, Kind, V, followed, live, require_unmanaged
from kvstack.vault.keys import ROTATE, KeyOperations
from kvstack.vault.records import Certificate, Key, Secret, SecretVersion, Vault
from kvstack.vault.rotation import require_generated
from kvstack.vault.rotator_runs import RotatorOperations
from kvstack.vault.secrets import SET, next_attributes
from kvstack.vault.still_due import still_due
from kvstack.vault.table import Table
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS


class RotatingOperations(KeyOperations, RotatorOperations, CertificateOperations):
    """New versions by time, and by hand where a secret's value is generated."""

    def rotate_secret(self, caller: Caller, vault: str, name: str) -> SecretVersion:
        """Make a secret's next value, with the newest version's attributes; it expires when the rotation policy says
        so. It is generated, and where there is a rotator goes through it. Raises BadParameter for a secret whose value
        is not generated, RotatorFailed."""
        with self._attempt(caller, "SecretRotate", self._scope(vault, f"secrets/{name}")) as attempt:
            with attempt.look():
                home = attempt.vault(vault, SET, f"secrets/{name}")
                there = live(attempt, home, SECRET, name)
                require_unmanaged(SECRET, there)
                require_generated(there)
            if there.rotation is None or there.rotation.rotator is None:
                with attempt.transaction():
                    home = attempt.vault(vault, SET, f"secrets/{name}")
                    return self._rotated_secret(attempt, home, live(attempt, home, SECRET, name))
        return self._rotate_by_hand(caller, vault, name)

    def _rotated_secret(self, attempt: Attempt, home: Vault, there: Secret) -> SecretVersion:
        attempt.at_item(home, f"secrets/{there.name}")
        require_unmanaged(SECRET, there)
        if there.rotation is not None and there.rotation.rotator is not None:
            raise Conflict(f"the secret `{there.name}` in vault `{home.name}` has a rotator by now", "Try again.")
        value = generated(require_generated(there), self._random)
        given = next_attributes(there, attempt.now)
        return self._keep_value(attempt, home, there, there.name, value, given, by_rotation=True)

    # What the scheduler does

    def _ready_to_rotate(self, found: Found) -> Callable[[], None] | None:
        """Make a key, or have a rotator make a secret's value known; one that is only drawn is so when it is kept."""
        due = found.due
        if isinstance(found.thing, Secret):
            if found.thing.rotation is not None and found.thing.rotation.rotator is not None:
                self._rotate_due(due)
                return None
            return partial(self._rotate_secret_due, due)
        with self._attempt(SYSTEM, "KeyRotate", self._scope(due.vault, f"keys/{due.name}")) as attempt:
            prepared = self._next_key(attempt, partial(still_due, attempt, due, KEY, ROTATE))

        def keep() -> None:
            with self._attempt(SYSTEM, "KeyRotate", self._scope(due.vault, f"keys/{due.name}")) as attempt:
                self._rotated_key(attempt, partial(still_due, attempt, due, KEY, ROTATE), prepared)

        return keep

    def _ready_to_settle(self, found: Found) -> None:
        """Tell a rotator how a rotation ended."""
        self._rotate_due(found.due)

    def _rotate_secret_due(self, due: Due) -> None:
        scope = self._scope(due.vault, f"secrets/{due.name}")
        with self._attempt(SYSTEM, "SecretRotate", scope) as attempt, attempt.transaction():
            home, there = still_due(attempt, due, SECRET, SET)
            self._rotated_secret(attempt, home, there)

    def _ready_to_renew(self, found: Found) -> None:
        """Renew a certificate, whole: its key is made and it is signed while the store is free for others."""
        due = found.due
        scope = self._scope(due.vault, f"certificates/{due.name}")
        with self._attempt(SYSTEM, "CertificateRenew", scope) as attempt:

            def still() -> tuple[Vault, Certificate]:
                home, there = still_due(attempt, due, CERTIFICATE, CREATE_CERTIFICATE)
                authority = self._authority_of(attempt, home, there.policy)
                signer = (authority.home.id, authority.item.folded) if authority is not None else None
                require_same_issuer(attempt, there, signer)
                return home, there

            self._renewed(attempt, still)

    def _ready_to_disable(self, found: Found) -> Callable[[], None]:
        """Disable versions that were followed long enough ago."""
        return partial(self._disable_previous, found)

    def _disable_previous(self, found: Found) -> None:
        due = found.due
        noun, scope = due.kind.title(), self._scope(due.vault, f"{due.kind}s/{due.name}")
        with self._attempt(SYSTEM, f"{noun}DisablePrevious", scope) as attempt, attempt.transaction():
            match found.thing:
                case Key():
                    self._disable_versions(attempt, KEY, KEY_VERSIONS, still_due(attempt, due, KEY)[1])
                case Secret():
                    self._disable_versions(attempt, SECRET, SECRET_VERSIONS, still_due(attempt, due, SECRET)[1])
                case Certificate():
                    item = still_due(attempt, due, CERTIFICATE)[1]
                    self._disable_versions(attempt, CERTIFICATE, CERTIFICATE_VERSIONS, item)

    def _disable_versions(self, attempt: Attempt, kind: Kind[I], table: Table[V], item: I) -> None:
        """Disable the versions whose time is over. One that somebody enabled again after that stays as it is."""
        done: list[str] = []
        waiting: list[datetime] = []
        for row, since in followed(attempt, table, item):
            if not row.enabled or (item.previous_since is not None and since < item.previous_since):
                continue
            ends = schedule.previous_ends(item.keep_previous, since)
            if ends is None or ends > attempt.now:
                waiting.append(since)
                continue
            table.put(attempt.tx, replace(row, enabled=False, updated=attempt.now))
            if isinstance(item, Certificate):
                self._enable_linked(attempt, item, row.version, False, newest=False)
            done.append(row.version)
        attempt.details["versions"] = " ".join(done)
        kind.table.put(attempt.tx, replace(item, previous_since=min(waiting, default=None)))
