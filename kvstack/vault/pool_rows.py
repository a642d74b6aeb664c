"""What is kept of a Managed HSM beside its tokens, its keys and its roles: jobs that are done, and its transfer key."""

from datetime import datetime
from typing import Literal

import msgspec

from kvstack.vault.table import Row, Table

JobKind = Literal["backup", "restore"]


class Job(msgspec.Struct, frozen=True):
    """What a caller wants to ask about later. id: drawn by whoever begins it; where: the backup is, in its words."""

    id: str
    where: str = ""


class PoolJob(Row, frozen=True, kw_only=True):
    """A backup, a restore, or the check of one, that is done. began, ended: when."""

    vault_id: str
    id: str
    kind: JobKind
    began: datetime
    ended: datetime
    where: str = ""


class TransferKeyRow(Row, frozen=True, kw_only=True):
    """The key that shares of a security domain are encrypted to on their way to a Managed HSM. certificate: of its
    public half, DER; sealed: its private half."""

    vault_id: str
    certificate: bytes
    sealed: bytes
    created: datetime


POOL_JOBS = Table("pool_jobs", PoolJob, ("vault_id", "id"))
TRANSFER_KEYS = Table("transfer_keys", TransferKeyRow, ("vault_id",))
