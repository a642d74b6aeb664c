"""What was begun with a whole Managed HSM and can be asked about afterwards: backups, restores, and checks of both.

All of it is done when the call that began it returns, so a job is kept with what it did, in one transaction.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kvstack.vault.caller import Caller
from kvstack.vault.errors import NotFound
from kvstack.vault.items import ItemOperations
from kvstack.vault.pool_home import inside
from kvstack.vault.pool_rows import POOL_JOBS, Job, JobKind, PoolJob
from kvstack.vault.records import Vault

if TYPE_CHECKING:
    from kvstack.vault.engine import Attempt

STATUS: Final[dict[JobKind, str]] = {
    "backup": "Microsoft.KeyVault/managedHsm/backup/status/action",
    "restore": "Microsoft.KeyVault/managedHsm/restore/status/action",
}
# Whoever has not asked by then does not ask any more.
_KEPT: Final = timedelta(days=7)


class PoolJobOperations(ItemOperations):
    """What can be asked about jobs."""

    def get_managed_hsm_job(self, caller: Caller, hsm: str, kind: JobKind, id: str) -> PoolJob:  # noqa: A002
        """Return a job of a Managed HSM that was done in the last seven days."""
        operation = "FullBackupStatusGet" if kind == "backup" else "FullRestoreStatusGet"
        with self._attempt(caller, operation, self._scope(hsm)) as attempt, attempt.reading():
            home, _ = inside(attempt, hsm, STATUS[kind])
            found = POOL_JOBS.get(attempt.tx, home.id, id.lower())
            if found is None or found.kind != kind:
                raise NotFound(f"there is no {kind} {id} of Managed HSM `{home.name}`", code="JobNotFound")
            return found

    def _keep_job(self, attempt: "Attempt", home: Vault, kind: JobKind, job: Job | None, began: datetime) -> None:
        """Keep that a job is done, and forget those that nobody asks about any more."""
        if job is None:
            return
        for old in POOL_JOBS.scan(attempt.tx, vault_id=home.id):
            if attempt.now - old.ended > _KEPT:
                POOL_JOBS.delete(attempt.tx, old.vault_id, old.id)
        attempt.details["job"] = job.id
        done = PoolJob(
            vault_id=home.id, id=job.id.lower(), kind=kind, began=began, ended=self._clock.now(), where=job.where
        )
        POOL_JOBS.put(attempt.tx, done)
