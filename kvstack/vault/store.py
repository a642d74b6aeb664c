"""The database file: transactions, one at a time, nested as savepoints, durable when they changed something."""

import os
import sqlite3
import threading
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from kvstack.vault import faults
from kvstack.vault.durability import GroupSync
from kvstack.vault.ledger import Ledger
from kvstack.vault.transaction import Pending, Transaction
from kvstack.vault.turn import Turn

__all__ = ["Participant", "Store", "Transaction"]

BUSY_SECONDS = 10.0


class Participant(Protocol):
    """What writes something of its own at the end of a transaction."""

    def before_commit(self, tx: Transaction) -> None:
        """Write it, in the same transaction."""
        ...

    def after_commit(self, tx: Transaction) -> None:
        """It was written."""
        ...

    def settled(self) -> None:
        """It is durable, and the store is free for others: what takes longer is done now. Raises nothing: what was
        asked for is done."""
        ...


class Store:
    """A vault's database, shared by the threads of a process; other processes may have it open, too."""

    def __init__(self, connection: sqlite3.Connection, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        """Take over a connection; `Store.open` makes one."""
        self.path = path
        self.participants: list[Participant] = []
        self._connection = connection
        self._turn = Turn(path, busy_seconds)
        self._sync = GroupSync(path.with_name(path.name + "-wal"))
        self._lock = threading.RLock()
        self._holder = 0
        self._transaction: Transaction | None = None
        self._ledger: Ledger | None = None
        self._scope = _Scope(self)
        self._reading = _Scope(self, reading=True)
        self._process = os.getpid()
        self._version = -1
        self._schema = -1
        self._closed = False
        self.epoch = 0
        self.tables: set[str] = set()

    @classmethod
    def open(cls, path: Path, *, existing: bool = False, busy_seconds: float = BUSY_SECONDS) -> "Store":
        """Open a database, or make one unless it has to be there already. It stays locked until `authenticate`.
        Raises StoreFault."""
        try:
            flags = os.O_RDWR | os.O_CLOEXEC | (0 if existing else os.O_CREAT)
            file = os.open(path, flags, 0o600)
            try:
                # SQLite gives its log files the mode of the database.
                if os.fstat(file).st_mode & 0o777 != 0o600:  # whatever the umask made of it
                    os.fchmod(file, 0o600)
            finally:
                os.close(file)
        except FileNotFoundError:
            raise faults.CorruptStore(f"{path}: the vault's database is missing", "Restore it from a backup.") from None
        except OSError as error:
            raise faults.of_file(error, path) from error
        try:
            connection = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
            )
            try:
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # `GroupSync` flushes what has to be durable
                connection.execute("PRAGMA journal_size_limit = 67108864")
                # Each record of the audit is a page of the log: emptying it, which flushes twice, is for many at once.
                connection.execute("PRAGMA wal_autocheckpoint = 4000")
                connection.execute("PRAGMA secure_delete = ON")  # a destroyed data key must not stay in free pages
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute("PRAGMA cell_size_check = ON")
                store = cls(connection, path, busy_seconds)
                store.read_tables()
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise faults.of_database(error, path) from error
        return store

    def authenticate(self, key: bytes, *, create: bool = False) -> None:
        """Give the key (32 bytes) all rows are authenticated under. create: begin the ledger of a new database.
        Raises TamperedLedger."""
        ledger = Ledger(key)
        with self._lock:
            if create:
                try:
                    self._connection.execute("BEGIN IMMEDIATE")
                    ledger.create(self._connection)
                    self._connection.execute("COMMIT")
                except sqlite3.Error as error:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise faults.of_database(error, self.path) from error
            self._ledger = ledger
            self._version = -1
        with self.transaction():
            pass

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Return a context in which this thread alone changes the store. It is committed, and durable where it changed
        something, when the block ends; undone when the block raises. Nested in another one of this thread: a savepoint
        that is undone alone. Raises StoreFault."""
        return self._scope

    def reading(self) -> AbstractContextManager[Transaction]:
        """Return a context like `transaction()` in which nothing may be changed: other processes are not kept waiting,
        and do not keep this one. Nested in a transaction it is part of it. Raises StoreFault."""
        return self._reading

    @property
    def current(self) -> Transaction | None:
        """The transaction this thread is in."""
        return self._transaction if self._holder == threading.get_ident() else None

    def read_tables(self) -> None:
        """Learn anew which tables there are."""
        self.tables = {
            name for (name,) in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }

    def raw(self, sql: str) -> Any:
        """Return one value read without any check: what is needed to get at the key of all checks. None where there
        is none."""
        with self._lock:
            found = self._connection.execute(sql).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Let go of the files. Doing it twice is no error."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()
                self._sync.close()
                self._turn.close()

    # What `with store.transaction()` does.

    def begin(self, *, reading: bool = False) -> Transaction:
        """Begin a transaction, or nest one."""
        self._lock.acquire()
        try:
            if self._transaction is not None:
                self._transaction.nest()
                return self._transaction
            self._transaction = self._begun(reading=reading)
            self._holder = threading.get_ident()
        except sqlite3.Error as error:
            self._lock.release()
            raise faults.of_database(error, self.path) from error
        except BaseException:
            self._lock.release()
            raise
        return self._transaction

    def end(self, error: BaseException | None) -> None:
        """End the innermost transaction: undo it where there was an error, keep it otherwise."""
        tx = self._transaction
        assert tx is not None  # noqa: S101
        later: list[Pending] = []
        number, outermost = 0, not tx.depth
        try:
            if tx.depth:
                self._end_nested(tx, error)
            else:
                number = self._end_outermost(tx, error)
                later = tx.later
        except sqlite3.Error as failure:
            raise faults.of_database(failure, self.path) from failure
        finally:
            self._lock.release()
        if number:
            self._sync.wait(number)
        if later:
            with self.transaction() as writing:
                writing.pending += later
                writing.moment = tx.moment
        if outermost and error is None:
            for participant in self.participants:
                participant.settled()

    def _begun(self, *, reading: bool) -> Transaction:
        if self._process != os.getpid():
            raise faults.StoreClosed("the vault was opened by another process", "Open it after a fork, not before.")
        if self._closed or self._sync.broken:
            raise faults.StoreClosed(f"{self.path}: the vault is closed", "Open it again.")
        if self._ledger is None:
            raise faults.StoreClosed(f"{self.path}: the vault is locked", "It has to be unlocked first.")
        connection = self._connection
        if not reading:
            self._turn.take()
        try:
            # A reading sees the store as it is when it first looks; SQLite lets it look whoever writes meanwhile.
            connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
            # Changes when another connection has committed: what we hold in memory may then be old.
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._ledger.refresh(connection)
                (schema,) = connection.execute("PRAGMA schema_version").fetchone()
                if schema != self._schema:
                    self.read_tables()
                    self._schema = schema
                self._version = version
                self.epoch += 1
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if not reading:
                self._turn.give()
            raise
        return Transaction(self, connection, self._ledger, reading=reading)

    def _end_nested(self, tx: Transaction, error: BaseException | None) -> None:
        if error is None and tx.lost is None:
            tx.keep()
            return
        tx.undo_nested(error)
        self.read_tables()  # one may have been made and undone
        if error is None and tx.lost is not None:
            raise tx.lost

    def _end_outermost(self, tx: Transaction, error: BaseException | None) -> int:
        """Commit or undo. Returns the commit's number to wait for, or 0."""
        writing = False
        try:
            if error is not None:
                raise _Undo
            tx.require_begun()
            writing = True
            for participant in self.participants:
                participant.before_commit(tx)
            if tx.journal:
                tx.require()
                tx.ledger.write(tx)
            tx.connection.execute("COMMIT")
            for participant in self.participants:
                participant.after_commit(tx)
        except BaseException as failure:
            tx.undo()
            if writing:
                self._version = -1  # the ledger in memory went ahead of the one in the file
            self.read_tables()
            if isinstance(failure, _Undo):
                return 0
            raise
        finally:
            self._transaction = None
            self._holder = 0
            if not tx.reading:
                self._turn.give()
        if tx.scrub:
            self._scrub()
        return self._sync.committed() if tx.journal else 0

    def _scrub(self) -> None:
        """Empty the log, where pages from before stand."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            # Another process reads just now, or the disk is full. What was committed stays; a later checkpoint does it.
            return


class _Undo(Exception):
    """The block raised: undo."""


class _Scope:
    """What `with` works with. It has no state of its own, so one does for all."""

    __slots__ = ("_begin", "_store")

    def __init__(self, store: Store, *, reading: bool = False) -> None:
        self._store = store
        self._begin = partial(store.begin, reading=True) if reading else store.begin

    def __enter__(self) -> Transaction:
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.end(error)
        if isinstance(error, sqlite3.Error):
            raise faults.of_database(error, self._store.path) from error
