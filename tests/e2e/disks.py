"""Disks that are small, or can be made read-only: real ones, in memory."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system of its own. folder: where it is mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, *, leaving: int) -> None:
        """Fill it but for so many bytes."""
        free = os.statvfs(self.folder)
        size = free.f_bavail * free.f_frsize - leaving
        with self._ballast.open("wb") as file:
            file.write(b"\0" * max(0, size))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def read_only(self, yes: bool) -> None:
        subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", str(self.folder)], check=True)


@contextmanager
def disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """Mount a disk in a folder. Skips the test where that takes rights nobody has."""
    folder.mkdir(exist_ok=True, parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a full or read-only disk needs the right to mount one: run the tests as root")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
