"""States as files: a snapshot, a journal of what was done since, and a lock."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from kvstack.state.codec import UnreadableState, decoded, decoded_entry, encoded, encoded_entries
from kvstack.state.state import Entry, State, after
from kvstack.state.store import LockHolder, StateChanged, StateLocked
from kvstack.terms.diagnostic import KvstackError


class FileLock:
    """An advisory lock on a file beside the state; the system lets it go when its holder dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Empty the holder's name and let the lock go."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


class FileStore:
    """One stack's state in a folder: NAME.json, NAME.journal and NAME.lock.

    A change that finished is appended to the journal; the end of an apply folds it into the snapshot. The journal's
    first line says which serial it continues, so one that was folded already, by a run that died before deleting it,
    is recognised.
    """

    def __init__(self, folder: Path, stack: str, environment: str | None) -> None:
        self.stack = stack
        self.environment = environment
        self.folder = folder
        name = stack if environment is None else f"{stack}.{environment}"
        self.path = folder / f"{name}.json"
        self._journal = folder / f"{name}.journal"
        self._lock = folder / f"{name}.lock"
        self._base: State | None = None
        self._journal_end = 0

    def read(self) -> State | None:
        """Return the state with every recorded change, or None where nothing was applied yet."""
        try:
            snapshot = decoded(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except UnreadableState as error:
            raise self._damaged(str(error)) from None
        except OSError as error:
            raise self._damaged(str(error.strerror)) from None
        if (snapshot.stack, snapshot.environment) != (self.stack, self.environment):
            raise KvstackError(
                f"{self.path.name} is the state of another stack",
                f"It belongs to `{_named(snapshot.stack, snapshot.environment)}`, this is "
                f"`{_named(self.stack, self.environment)}`. Put the right file back, or run `kvstack state rebuild`.",
            )
        self._base, self._journal_end = snapshot, 0
        return after(snapshot, list(self._journalled(snapshot)))

    def lock(self, holder: LockHolder) -> FileLock:
        """Take the lock at once, or raise StateLocked."""
        try:
            return self._locked(holder)
        except BlockingIOError:
            raise StateLocked(self._holder_named()) from None
        except OSError as error:
            raise KvstackError(
                f"the state cannot be locked: {error.strerror}",
                f"{self._lock}: mend the disk or the rights, and run it again. Nothing was changed.",
            ) from None

    def _locked(self, holder: LockHolder) -> FileLock:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return FileLock(descriptor)

    def _holder_named(self) -> LockHolder | None:
        with _opened(self._lock, os.O_RDONLY) as descriptor:
            return _holder(os.pread(descriptor, 4096, 0))

    def holder(self) -> LockHolder | None:
        """Return who holds the lock now, or None."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(os.pread(descriptor, 4096, 0))
        finally:
            os.close(descriptor)
        return None

    def record(self, entries: Iterable[Entry]) -> None:
        """Append finished changes, durably."""
        if self._base is None:
            raise RuntimeError("the state is recorded to before it was read or written")
        lines = encoded_entries(entries)
        first = self._journal_end == 0
        if first:
            lines = msgspec.json.encode({"lineage": self._base.lineage, "serial": self._base.serial}) + b"\n" + lines
        with self._wounds(), _opened(self._journal, os.O_WRONLY | os.O_CREAT) as descriptor:
            # What a kill left behind the last whole line, or a journal folded already, is written over.
            os.ftruncate(descriptor, self._journal_end)
            os.lseek(descriptor, self._journal_end, os.SEEK_SET)
            _write_all(descriptor, lines)
            os.fsync(descriptor)
            if first:
                _sync_folder(self.folder)
        self._journal_end += len(lines)

    def write(self, state: State, *, expected_serial: int) -> State:
        """Replace the state whole and return it with its new serial."""
        with self._wounds():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = self._serial()
        if there != expected_serial:
            raise StateChanged(
                "the state was changed by somebody else meanwhile",
                f"It had serial {expected_serial} when it was read, it has {there} now. Run `kvstack plan` again.",
            )
        written = msgspec.structs.replace(state, serial=expected_serial + 1, intents={})
        new = self.path.with_name(self.path.name + ".new")
        with self._wounds():
            with _opened(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
                _write_all(descriptor, encoded(written))
                os.fsync(descriptor)
            new.replace(self.path)
            _sync_folder(self.folder)
        # From here on the journal is known to be folded: its serial is no longer the snapshot's.
        with contextlib.suppress(FileNotFoundError):
            self._journal.unlink()
        self._base, self._journal_end = written, 0
        return written

    def replace(self, state: State) -> State:
        """Put a state made anew in the place of whatever is there, damaged or not; that is kept beside it."""
        if self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".before-rebuild"))
        return self.write(state, expected_serial=0)

    def _serial(self) -> int:
        try:
            return decoded(self.path.read_bytes()).serial
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._damaged(str(error.strerror)) from None
        except UnreadableState as error:
            raise self._damaged(str(error)) from None

    def _journalled(self, snapshot: State) -> Iterator[Entry]:
        try:
            lines = self._journal.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        # What a kill cut off has no newline: the change is in the vault, under our tags, and is found there.
        whole = lines[:-1]
        if not whole:
            return
        try:
            head = msgspec.json.decode(whole[0])
            continues = (head["lineage"], head["serial"])
        except (msgspec.DecodeError, KeyError, TypeError):
            raise self._damaged("its journal has no first line") from None
        if continues != (snapshot.lineage, snapshot.serial):
            return
        self._journal_end = sum(len(line) + 1 for line in whole)
        for line in whole[1:]:
            try:
                yield decoded_entry(line)
            except UnreadableState as error:
                raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> KvstackError:
        return KvstackError(
            f"the state file {self.path} cannot be read: {why}",
            "Put a good copy back, or run `kvstack state rebuild`: it finds everything again by the vaults' tags.",
        )

    @contextlib.contextmanager
    def _wounds(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KvstackError(
                f"the state cannot be written: {error.strerror}",
                f"{self.path}: what was done is in the vaults, and is found there by its tags. Mend the disk and run "
                "apply again.",
            ) from error


def _holder(data: bytes) -> LockHolder | None:
    try:
        return msgspec.json.decode(data, type=LockHolder)
    except msgspec.DecodeError:
        return None


def _named(stack: str, environment: str | None) -> str:
    return stack if environment is None else f"{stack} ({environment})"


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
