"""SoftHSM's own files, in a folder of kvstack's: kept durable, and mended after an interrupted login.

At every login SoftHSM empties `token.object` and writes it again, and it never calls fsync: a process that is killed in
between leaves an empty file, and with it a token that no longer exists. So its last good content is kept beside it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from kvstack.hsm.private_file import private_folder, sync_folder, write_private
from kvstack.hsm.protocol import HsmUnavailable

COPIES = "token-copies"


def softhsm_configuration(tokens: Path) -> Path:
    """Return SoftHSM's configuration for a folder of tokens, written anew where the folder was moved."""
    path = tokens.parent / "softhsm2.conf"
    content = (
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
    )
    try:
        if path.is_file() and path.read_text() == content:
            return path
        private_folder(tokens.parent)
        write_private(path, content.encode(), replace=True)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(tokens, error) from None
    return path


def mend(tokens: Path) -> None:
    """Put the last good content back where an interrupted login left a token's file empty. Hold the lock around it."""
    try:
        for file, copy in _token_files(tokens):
            if copy.is_file() and not file.stat().st_size:
                write_private(file, copy.read_bytes(), replace=True)
    except OSError as error:
        raise _unusable(tokens, error) from None


def keep(tokens: Path) -> None:
    """Keep a copy of what a login has written. Hold the lock around it."""
    try:
        for file, copy in _token_files(tokens):
            content = file.read_bytes()
            if content and not (copy.is_file() and copy.read_bytes() == content):
                private_folder(copy.parent)
                write_private(copy, content, replace=True)
    except OSError as error:
        raise _unusable(tokens, error) from None


def settle(tokens: Path, durable: set[Path]) -> None:
    """Make objects durable that are not yet. durable: those that are known to be, added to."""
    fresh = [path for path in tokens.glob("*/*.object") if path not in durable]
    for path in fresh:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # Another process has destroyed this key meanwhile.
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for folder in {path.parent for path in fresh}:
        sync_folder(folder)
    durable.update(fresh)


def _token_files(tokens: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each token's file and its copy."""
    for file in tokens.glob("*/token.object"):
        yield file, tokens.parent / COPIES / f"{file.parent.name}.object"


def _unusable(tokens: Path, error: Exception) -> HsmUnavailable:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return HsmUnavailable(
        f"the HSM's folder {tokens.parent} cannot be used: {reason}",
        "It and everything in it has to belong to this user, on a disk that is neither full nor read-only.",
    )
