"""What is going to happen to what the vault holds, told beforehand: the forecast over everything as it stands."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from kvstack.terms.event import EVENT_TYPES, Filter, event_matches
from kvstack.terms.name import folded
from kvstack.vault.assignments import READ as READ_ASSIGNMENTS
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.certificates.making import require_same_issuer
from kvstack.vault.certificates.rows import CERTIFICATE_VERSIONS
from kvstack.vault.coming import Coming, Known, Standing
from kvstack.vault.eligibility import ELIGIBLE
from kvstack.vault.eligible_assignments import may_see
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, VaultError
from kvstack.vault.forecast import forecast
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, Kind, followed, moment
from kvstack.vault.outbox import Subscription, subscriptions
from kvstack.vault.records import Certificate, Key, Secret, Vault
from kvstack.vault.rotating import RotatingOperations
from kvstack.vault.vaults import READ
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS

LAST_YEAR = 9000
A_YEAR = timedelta(days=366)
_KINDS: tuple[tuple[Kind[Any], Any], ...] = (
    (KEY, KEY_VERSIONS),
    (SECRET, SECRET_VERSIONS),
    (CERTIFICATE, CERTIFICATE_VERSIONS),
)


class Calendar(msgspec.Struct, frozen=True):
    """What happens from now until then, in order."""

    now: datetime
    until: datetime
    coming: tuple[Coming, ...]


class CalendarOperations(RotatingOperations):
    """Looking ahead."""

    def calendar(self, caller: Caller, until: datetime | None = None) -> Calendar:
        """Return what the scheduler does until then (a year where None) if it is run when something is due and nobody
        changes anything, and which rights the caller may see end. Writes nothing. Raises BadParameter."""
        with self._attempt(caller, "CalendarRead", self.top) as attempt, attempt.reading():
            if caller != SYSTEM:
                attempt.require(READ, self.top, data=False)
            now = attempt.now
            end = moment("until", until) or now + A_YEAR
            if end < now:
                raise BadParameter("until: a calendar ends in the future")
            if end.year > LAST_YEAR:
                raise BadParameter(f"until: it lies beyond the year {LAST_YEAR}")
            known = self._known(attempt)
        # Others need not wait for the years to pass.
        return Calendar(now, end, forecast(known, now, end))

    def _known(self, attempt: Attempt) -> Known:
        vaults = attempt.registry.vaults.values()
        # What lies in a soft-deleted vault waits for it, and a Managed HSM does nothing before it is activated.
        homes = {
            home.id: home
            for home in vaults
            if home.deletion is None and (home.pool is None or home.pool.activated is not None)
        }
        things = [
            self._standing(attempt, homes[row.vault_id], row, table)
            for kind, table in _KINDS
            for row in kind.table.scan(attempt.tx)
            if row.vault_id in homes
        ]
        signers = {one.authority for one in things}
        return Known(
            [replace(one, signs=_signs(attempt, one.row)) if _named(one.row) in signers else one for one in things],
            [home for home in vaults if home.deletion is not None],
            tuple(_endings(attempt)),
            tuple(map(_heard, subscriptions(attempt.tx))),
        )

    def _standing(self, attempt: Attempt, home: Vault, row: Key | Secret | Certificate, versions: Any) -> Standing:
        since: tuple[datetime, ...] = ()
        if row.previous_since is not None and row.keep_previous is not None:
            since = tuple(
                at for version, at in followed(attempt, versions, row) if version.enabled and at >= row.previous_since
            )
        if isinstance(row, Certificate):
            authority, barred = self._signer(attempt, home, row)
            return Standing(row, since, authority, barred)
        return Standing(row, since)

    def _signer(self, attempt: Attempt, home: Vault, row: Certificate) -> tuple[tuple[str, str] | None, str]:
        """Return what signs a certificate's next version, and why nothing does."""
        if row.policy.issuer in ("Self", "Unknown"):
            return None, ""
        try:
            vault, name = self._authority_path(attempt, home, row.policy)
            above = attempt.registry.vault(vault)
            if above is None:
                return None, f"its certificate authority's vault `{vault}` is not there"
            signer = above.id, folded(name)
            require_same_issuer(attempt, row, signer)
        except VaultError as error:
            return None, error.summary
        return signer, ""


def _named(row: Key | Secret | Certificate) -> tuple[str, str] | None:
    """Return under which name a certificate is somebody's authority."""
    return (row.vault_id, row.folded) if isinstance(row, Certificate) else None


def _signs(attempt: Attempt, row: Key | Secret | Certificate) -> bool:
    version = CERTIFICATE_VERSIONS.get(attempt.tx, row.vault_id, row.folded, row.version)
    return version is not None and version.policy.authority is not None


def _heard(subscriber: Subscription) -> Filter:
    """Return which events a subscriber is told of, each time: an alert on events is, where one of them is enough."""
    rule = subscriber.alert
    if rule is None or not rule.event or rule.count > 1:
        return subscriber.wanted
    return replace(subscriber.wanted, types=tuple(kind for kind in EVENT_TYPES if event_matches(rule.event, kind)))


def _endings(attempt: Attempt) -> Iterator[Coming]:
    """Yield the rights that end, of those the caller may see."""
    roles = attempt.registry.roles()

    def words(role_id: str, principal_id: str) -> str:
        role, principal = roles.get(role_id), attempt.registry.principals.get(principal_id)
        return f"{role.name if role is not None else role_id}, {principal.name if principal else principal_id}"

    system = attempt.caller == SYSTEM
    for given in attempt.registry.role_assignments.values():
        if given.expires is not None and (system or attempt.may(READ_ASSIGNMENTS, given.scope, data=False)):
            yield Coming(
                at=given.expires,
                action="ends",
                kind="role_assignment",
                vault=given.scope.vault,
                name=words(given.role_id, given.principal_id),
                since=given.expires,
            )
    acting = frozenset(attempt.registry.principals_of(attempt.caller))
    for eligible in ELIGIBLE.scan(attempt.tx):
        if eligible.expires is not None and (system or may_see(attempt, eligible, acting)):
            yield Coming(
                at=eligible.expires,
                action="ends",
                kind="eligible_assignment",
                vault=eligible.scope.vault,
                name=words(eligible.role_id, eligible.principal_id),
                since=eligible.expires,
            )
