"""Rotating, renewing, and disabling what was followed: by the scheduler as people declared it, or by hand."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from kvstack.terms import schedule
from kvstack.terms.generator import generated
from kvstack.terms.name import folded
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.certificates.making import require_same_issuer
from kvstack.vault.certificates.operations import CREATE as CREATE_CERTIFICATE
from kvstack.vault.certificates.operations import CertificateOperations
from kvstack.vault.certificates.rows import CERTIFICATE_VERSIONS
from kvstack.vault.due_kind import Due, Found, NotDue
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, I, Kind, V, followed, live, require_unmanaged
from kvstack.vault.key_attributes import expiry_by_rotation
from kvstack.vault.keys import ROTATE, KeyOperations
from kvstack.vault.records import Certificate, Key, Secret, SecretVersion, Vault
from kvstack.vault.secrets import SET, SecretAttributes, SecretOperations
from kvstack.vault.table import Table
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS


class RotatingOperations(KeyOperations, SecretOperations, CertificateOperations):
    """New versions by time, and by hand where a secret's value is generated."""

    def rotate_secret(self, caller: Caller, vault: str, name: str) -> SecretVersion:
        """Generate a secret's next value, with the newest version's attributes; it expires when the rotation policy
        says so. Raises BadParameter for a secret whose value is not generated."""
        with (
            self._attempt(caller, "SecretRotate", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, SET, f"secrets/{name}")
            return self._rotated_secret(attempt, home, live(attempt, home, SECRET, name))

    def _rotated_secret(self, attempt: Attempt, home: Vault, there: Secret) -> SecretVersion:
        attempt.at_item(home, f"secrets/{there.name}")
        require_unmanaged(SECRET, there)
        if there.generator is None:
            raise BadParameter(
                f"nothing says how the value of the secret `{there.name}` in vault `{home.name}` is generated",
                f"Declare `value_from: {{generate: {{...}}}}` and apply it, or say it by hand: `kvstack secret "
                f"rotation-policy update {home.name}/{there.name} --every P30D --length 32`.",
            )
        given = SecretAttributes(
            there.content_type,
            there.enabled,
            there.not_before,
            expiry_by_rotation(there, attempt.now),
            there.tags,
            there.rotation,
            there.generator,
        )
        value = generated(there.generator, self._random)
        return self._keep_value(attempt, home, there, there.name, value, given, by_rotation=True)

    # What the scheduler does

    def _ready_to_rotate(self, found: Found) -> Callable[[], None] | None:
        """Make a key; a secret's value is drawn when it is kept."""
        due = found.due
        if due.kind == "secret":
            return partial(self._rotate_secret_due, due)
        with self._attempt(SYSTEM, "KeyRotate", self._scope(due.vault, f"keys/{due.name}")) as attempt:
            prepared = self._next_key(attempt, partial(still_due, attempt, due, KEY, ROTATE))

        def keep() -> None:
            with self._attempt(SYSTEM, "KeyRotate", self._scope(due.vault, f"keys/{due.name}")) as attempt:
                self._rotated_key(attempt, partial(still_due, attempt, due, KEY, ROTATE), prepared)

        return keep

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


def still_due(attempt: Attempt, due: Due, kind: Kind[I], action: str = "") -> tuple[Vault, I]:
    """Return a thing and its vault, read anew. action: what is done with it, where that takes a right. Raises NotDue
    where somebody did it meanwhile."""
    path = f"{kind.collection}/{due.name}"
    home = attempt.registry.vault(due.vault)
    if home is None or home.deletion is not None:
        raise NotDue(due)
    if action:
        home = attempt.vault(due.vault, action, path)
    item = kind.table.get(attempt.tx, home.id, folded(due.name))
    if item is None:
        raise NotDue(due)
    attempt.at_item(home, f"{kind.collection}/{item.name}")
    at = kind.table.dates(item).get(due.action)
    if at is None or at > attempt.now:
        raise NotDue(due)
    return home, item
