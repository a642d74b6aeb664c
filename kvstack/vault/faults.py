"""What can be wrong with a vault's files: tampered with, unreadable, full, read-only, or busy."""

import errno
import sqlite3
from pathlib import Path

from kvstack.terms.diagnostic import KvstackError


class StoreFault(KvstackError):
    """The vault's files cannot be read or written as they are."""


class Tampered(StoreFault):
    """Something in the vault's files is not what the vault wrote last."""


class TamperedRow(Tampered):
    """A row was edited, exchanged, removed, or put back from an earlier time."""

    def __init__(self, table: str, key: tuple[object, ...], what: str) -> None:
        self.table = table
        self.key = tuple(str(part) for part in key)  # in a row that was tampered with, anything can stand
        super().__init__(f"the vault's row {table} {'/'.join(self.key) or '(all)'} {what}", _TAMPERED)


class TamperedLedger(Tampered):
    """The record of which row is at which generation was edited, removed, or put back from an earlier time."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the vault's ledger {what}", _TAMPERED)


class TamperedAudit(Tampered):
    """The audit was edited, or records were taken away."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the vault's audit {what}", _TAMPERED)


class TamperedValue(Tampered):
    """A sealed value does not belong where it was found, or was edited."""

    def __init__(self, context: tuple[str, ...]) -> None:
        super().__init__(f"the sealed value of {'/'.join(context)} is not the one stored there", _TAMPERED)
        self.context = context


class UnreadableRow(StoreFault):
    """A genuine row does not have the shape this kvstack knows."""


class CorruptStore(StoreFault):
    """The database is no database, or damaged."""


class StorageFull(StoreFault):
    """No room is left to write to."""


class StorageReadOnly(StoreFault):
    """The vault's files may not be written to."""


class StoreBusy(StoreFault):
    """Another process holds the vault for too long."""


class StoreClosed(StoreFault):
    """The store was closed, broke, or was carried over a fork."""


_TAMPERED = "It was changed outside kvstack, or the disk is damaged. Restore the vault's folder from a backup."
_CORRUPT = "The file is damaged or is no vault database. Restore the vault's folder from a backup."


def of_database(error: sqlite3.Error, path: Path) -> StoreFault:
    """Return the fault behind an error of SQLite. Source: sqlite.org/rescode.html; the low byte is the primary code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    match code & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return CorruptStore(f"{path}: {error}", _CORRUPT)
        case sqlite3.SQLITE_FULL:
            return _full(path)
        case sqlite3.SQLITE_IOERR:
            # Also what a full disk or a file-size limit answers, depending on which file could not grow.
            return StorageFull(
                f"{path}: reading or writing failed ({error})",
                "The disk is full, has failed, or a limit on file sizes is reached. Nothing was changed.",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StorageReadOnly(
                f"{path}: {error}",
                "The vault's folder must be writable by whoever uses the vault, even to read: every use is audited.",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return busy(path)
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_SCHEMA | sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH:
            # All statements are our own: what fails in them is that tables are not as we made them.
            return CorruptStore(f"{path}: its tables are not as kvstack made them ({error})", _CORRUPT)
        case _:
            return StoreFault(f"{path}: {error}")


def busy(path: Path) -> StoreFault:
    """Return what is told where another process does not let go."""
    return StoreBusy(f"{path}: another process is using the vault", "Wait until it is done, then try again.")


def of_file(error: OSError, path: Path) -> StoreFault:
    """Return the fault behind an error of the operating system."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return _full(path)
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return StorageReadOnly(
                f"{path}: {error.strerror}", "The vault's folder must be writable by whoever uses the vault."
            )
        case errno.EISDIR | errno.ENOTDIR | errno.ELOOP:
            return CorruptStore(f"{path}: {error.strerror}", _CORRUPT)
        case _:
            return StoreFault(f"{path}: {error.strerror}")


def _full(path: Path) -> StorageFull:
    return StorageFull(f"{path}: no space is left", "Make room on the disk, then try again. Nothing was changed.")
