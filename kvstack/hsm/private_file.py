"""Files that hold something sensitive: 0600 from their first byte, and whole or not there at all."""

import os
from collections.abc import Callable
from pathlib import Path


def write_private(
    path: Path, content: bytes, *, replace: bool = False, draw: Callable[[int], bytes] = os.urandom
) -> None:
    """Write a file nobody else can read, durably. Raises FileExistsError where it is there, unless `replace`."""
    temporary = path.with_name(f".{path.name}.{draw(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            # A second name for the file, which unlike a rename never takes the place of another.
            os.link(temporary, path)
            temporary.unlink()
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def private_folder(path: Path) -> None:
    """Make a folder only its owner can enter, and those above it where they are missing."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable_by_others(path: Path) -> bool:
    """Tell whether users who are neither the file's owner nor of its group can read or change it."""
    return bool(path.stat().st_mode & 0o007)
