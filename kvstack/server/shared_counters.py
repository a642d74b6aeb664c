"""Counters that processes share: a file in memory, in which each process adds to numbers of its own.

What somebody has used is the sum of the numbers all processes have for him, so that nothing is lost though nobody
waits for anybody: a number has one writer, and is written in one piece. The price is that two processes which look in
the same moment may both find room for the last unit. What is in the file means nothing after a few seconds.
"""

import fcntl
import hashlib
import mmap
import os
from pathlib import Path
from typing import Final

from kvstack.terms.diagnostic import KvstackError

WRITERS: Final = 80  # processes at most: more than a server has workers, as one that ends may overlap with its next
OWNERS: Final = 2048  # vaults counted at most in one moment
_MAGIC: Final = b"kvcount1"
_HEADER: Final = 64
_DIGEST: Final = 16
_WORD: Final = 8
# Words of the header: how many processes and how many owners there were so far.
_WRITTEN, _GIVEN = 1, 3
_IDLE: Final = 60  # seconds after which a place is somebody else's


class SharedCounters:
    """The counters of one process. kinds: how many numbers each owner has. Every process opens the file itself, after a
    fork; within a process one thread uses it."""

    def __init__(self, path: Path, kinds: int) -> None:
        """Open the file, or make it. Raises KvstackError where it cannot be, or all processes it is for are there."""
        self._kinds = kinds
        self._directory = _HEADER
        self._last = self._directory + OWNERS * _DIGEST
        self._numbers = self._last + OWNERS * _WORD
        self._length = self._numbers + WRITERS * OWNERS * kinds * _WORD
        self._places: dict[str, tuple[int, bytes]] = {}
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, WRITERS)
            try:
                self._fill()
                self._memory = mmap.mmap(self._file, self._length)
                self._words = memoryview(self._memory).cast("Q")
                self.writer = self._claim_writer()
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, WRITERS)
        except OSError as error:
            raise KvstackError(f"{path}: requests cannot be counted: {error.strerror}") from None

    def used(self, owner: str, kind: int, window: int, now: float) -> int:
        """Return how much an owner has used in a window of time, by all processes. now: seconds since 1970."""
        place, total = self._place(owner, now), 0
        for writer in range(self._words[_WRITTEN]):
            word = self._words[self._word(writer, place, kind)]
            if word >> 32 == window:
                total += word & 0xFFFFFFFF
        return total

    def add(self, owner: str, kind: int, window: int, units: int, now: float) -> None:
        """Count what an owner uses. window: below 2**32."""
        place = self._place(owner, now)
        at = self._word(self.writer, place, kind)
        word = self._words[at]
        before = word & 0xFFFFFFFF if word >> 32 == window else 0
        # One word, written at once: whoever reads it sees the window and the number that belong together.
        self._words[at] = window << 32 | min(before + units, 0xFFFFFFFF)
        self._words[self._last // _WORD + place] = int(now)

    def close(self) -> None:
        """Let go of the file: another process may be the one that writes these numbers."""
        self._words.release()
        self._memory.close()
        os.close(self._file)

    def _word(self, writer: int, place: int, kind: int) -> int:
        return self._numbers // _WORD + (writer * OWNERS + place) * self._kinds + kind

    def _place(self, owner: str, now: float) -> int:
        """Return where an owner's numbers are; whoever has none gets some."""
        known = self._places.get(owner)
        if known is not None and self._owner(known[0]) == known[1]:
            return known[0]
        digest = hashlib.blake2b(owner.encode(), digest_size=_DIGEST).digest()
        if len(self._places) > 2 * OWNERS:
            self._places.clear()
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, WRITERS)
        try:
            place = self._claimed(digest, now)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, WRITERS)
        self._places[owner] = place, digest
        return place

    def _owner(self, place: int) -> bytes:
        at = self._directory + place * _DIGEST
        return self._memory[at : at + _DIGEST]

    def _claimed(self, digest: bytes, now: float) -> int:
        """Return an owner's place: his own, a free one, or one that nobody has counted in for a minute."""
        there = self._found(digest)
        if there is not None:
            return there
        last = self._words[self._last // _WORD : self._last // _WORD + OWNERS]
        chosen = self._words[_GIVEN]
        if chosen < OWNERS:
            self._words[_GIVEN] = chosen + 1
        else:
            idle = next((place for place, when in enumerate(last) if now - when > _IDLE), None)
            if idle is None:
                # Where all are in use, some share a place, and with it a limit.
                return int.from_bytes(digest[:4]) % OWNERS
            chosen = idle
        at = self._directory + chosen * _DIGEST
        self._memory[at : at + _DIGEST] = digest
        last[chosen] = int(now)
        return chosen

    def _found(self, digest: bytes) -> int | None:
        at = self._directory
        while (at := self._memory.find(digest, at, self._last)) >= 0:
            place, beside = divmod(at - self._directory, _DIGEST)
            if not beside:
                return place
            at += 1
        return None

    def _fill(self) -> None:
        """Write the file where it is new, or of other numbers. All of it: what a full disk has no room for ends a
        process that touches it in memory."""
        header = os.pread(self._file, _HEADER, 0)
        shape = self._kinds.to_bytes(_WORD, "little")
        if header[:_WORD] == _MAGIC and header[16:24] == shape and os.fstat(self._file).st_size == self._length:
            return
        os.ftruncate(self._file, 0)
        for at in range(0, self._length, 1 << 20):
            os.pwrite(self._file, bytes(min(1 << 20, self._length - at)), at)
        os.pwrite(self._file, _MAGIC + bytes(_WORD) + shape, 0)

    def _claim_writer(self) -> int:
        """Return which of the numbers are this process's, for as long as it lives."""
        for writer in range(WRITERS):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, writer)
            except (BlockingIOError, PermissionError):
                continue
            self._words[_WRITTEN] = max(self._words[_WRITTEN], writer + 1)
            return writer
        raise KvstackError(f"more than {WRITERS} processes count requests")
