"""Backup and restore of a Managed HSM, in Azure's words. Source: azure/openapi/data-plane, backuprestore.json.

Azure answers at once and works on; here the work is done when the answer comes, and its status says so.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, answered, bad_parameter
from kvstack.server.attributes import seconds
from kvstack.server.backup_storage import backup_folder
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked
from kvstack.vault.pool_rows import Job, JobKind, PoolJob


class GivenStorage(msgspec.Struct, frozen=True, rename="camel"):
    """Where a backup is, or is to be. token: for a storage account; nobody is shown it here."""

    storage_resource_uri: str | None = None
    token: str | None = None
    use_managed_identity: bool | None = None

    def __repr__(self) -> str:
        return "GivenStorage(****)"


class GivenRestore(msgspec.Struct, frozen=True, rename="camel"):
    """Which backup is to be restored in full."""

    sas_token_parameters: GivenStorage
    folder_to_restore: str


class GivenKeyRestore(msgspec.Struct, frozen=True, rename="camel"):
    """Which backup one key is to be restored from."""

    sas_token_parameters: GivenStorage
    folder: str


def full_backup(asked: Asked, _: tuple[str, ...]) -> Answer:
    """FullBackup."""
    storage = _storage(asked.request.document(GivenStorage))
    began = asked.service.now
    folder = backup_folder(asked.vault, began)
    job = Job(_drawn(asked), f"{storage.rstrip('/')}/{folder}")
    asked.service.backup_managed_hsm(
        asked.caller, asked.vault, keep=lambda blob: asked.backups.keep(storage, folder, blob), job=job
    )
    return _begun(asked, "backup", job, began)


def pre_full_backup(asked: Asked, _: tuple[str, ...]) -> Answer:
    """PreFullBackup: whether a backup could be made and kept."""
    storage = _storage(asked.request.document(GivenStorage))
    began, job = asked.service.now, Job(_drawn(asked), storage)
    asked.service.check_managed_hsm_backup(
        asked.caller, asked.vault, place=lambda: _ignored(asked.backups.require(storage)), job=job
    )
    return _begun(asked, "backup", job, began)


def full_backup_status(asked: Asked, names: tuple[str, ...]) -> Answer:
    """FullBackupStatus, of a check too."""
    return answered(_told(asked.service.get_managed_hsm_job(asked.caller, asked.vault, "backup", names[0])))


def full_restore(asked: Asked, _: tuple[str, ...]) -> Answer:
    """FullRestoreOperation."""
    given = asked.request.document(GivenRestore)
    began, job = asked.service.now, Job(_drawn(asked))
    read = _reader(asked, given.sas_token_parameters, given.folder_to_restore)
    asked.service.restore_managed_hsm(asked.caller, asked.vault, read, job=job)
    return _begun(asked, "restore", job, began)


def pre_full_restore(asked: Asked, _: tuple[str, ...]) -> Answer:
    """PreFullRestoreOperation: whether a backup could be restored, all of it."""
    given = asked.request.document(GivenRestore)
    began, job = asked.service.now, Job(_drawn(asked))
    read = _reader(asked, given.sas_token_parameters, given.folder_to_restore)
    asked.service.check_managed_hsm_restore(asked.caller, asked.vault, read, job=job)
    return _begun(asked, "restore", job, began)


def restore_key(asked: Asked, names: tuple[str, ...]) -> Answer:
    """SelectiveKeyRestoreOperation: one key with all its versions."""
    given = asked.request.document(GivenKeyRestore)
    began, job = asked.service.now, Job(_drawn(asked))
    read = _reader(asked, given.sas_token_parameters, given.folder)
    asked.service.restore_managed_hsm_key(asked.caller, asked.vault, read, names[0], job=job)
    return _begun(asked, "restore", job, began)


def restore_status(asked: Asked, names: tuple[str, ...]) -> Answer:
    """SelectiveKeyRestoreStatus, of a full restore and of a check too."""
    return answered(_told(asked.service.get_managed_hsm_job(asked.caller, asked.vault, "restore", names[0])))


def _storage(given: GivenStorage) -> str:
    """Return the container that is meant. Raises Refusal."""
    if not given.storage_resource_uri:
        raise bad_parameter("`storageResourceUri` is missing.")
    if not given.token and not given.use_managed_identity:
        raise bad_parameter("A SAS `token` is missing; or `useManagedIdentity` has to be true.")
    return given.storage_resource_uri


def _reader(asked: Asked, given: GivenStorage, folder: str) -> Callable[[], bytes]:
    storage = _storage(given)
    return lambda: asked.backups.read(storage, folder)


def _ignored(_: object) -> None:
    return None


def _drawn(asked: Asked) -> str:
    """Return a job's id: the request's own, which is drawn, as Azure writes one."""
    return asked.request.id.replace("-", "")


def _begun(asked: Asked, kind: JobKind, job: Job, began: datetime) -> Answer:
    """Return the answer to what was begun, and is done: where its status is, for whoever may ask for that."""
    told = PoolJob(vault_id="", id=job.id, kind=kind, began=began, ended=asked.service.now, where=job.where)
    done = answered(_told(told), 202)
    address = f"{asked.base}/{kind}/{job.id}/pending?api-version={asked.request.query['api-version']}"
    return Answer(done.status, done.body, (*done.headers, (b"azure-asyncoperation", address.encode())))


def _told(job: PoolJob) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status": "Succeeded",
        "statusDetails": None,
        "error": None,
        "startTime": seconds(job.began),
        "endTime": seconds(job.ended),
        "jobId": job.id,
    }
    return told | {"azureStorageBlobContainerUri": job.where} if job.kind == "backup" else told


_SINCE: Final = "7.2"
_CHECKS_SINCE: Final = "7.6"

OPERATIONS: Final = (
    Operation("FullBackup", "POST", ("backup",), full_backup, "working", _SINCE),
    Operation("FullBackupStatus", "GET", ("backup", "{}", "pending"), full_backup_status, "reading", _SINCE),
    Operation("PreFullBackup", "POST", ("prebackup",), pre_full_backup, "working", _CHECKS_SINCE),
    Operation("FullRestoreOperation", "PUT", ("restore",), full_restore, "working", _SINCE),
    Operation("PreFullRestoreOperation", "PUT", ("prerestore",), pre_full_restore, "working", _CHECKS_SINCE),
    Operation("SelectiveKeyRestoreOperation", "PUT", ("keys", "{}", "restore"), restore_key, "working", _SINCE),
    Operation("SelectiveKeyRestoreStatus", "GET", ("restore", "{}", "pending"), restore_status, "reading", _SINCE),
)
