"""Bytes that go in and out: standard input, files, standard output."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue

STANDARD_INPUT = "-"


def taken(file: str, *, at_most: int, what: str) -> bytes:
    """Return what a file, or standard input (`-`), holds, byte for byte. Raises KvstackError for more than may be."""
    with _source(file) as source:
        # A byte more than there may be is enough to know that it is too long.
        content = source.read(at_most + 1)
    if len(content) > at_most:
        raise KvstackError(f"{what} has more than {at_most} bytes", f"At most {at_most} are taken.")
    return content


def digested(file: str, algorithm: str) -> bytes:
    """Return the digest of a file or of standard input, however long it is. algorithm: hashlib's name of it."""
    import hashlib

    digest = hashlib.new(algorithm)
    with _source(file) as source:
        while piece := source.read(1 << 20):
            digest.update(piece)
    return digest.digest()


def fed(hasher: Any, file: str) -> bytes:
    """Return what a hasher (`update`, `finalize`) makes of a file or of standard input, however long it is."""
    with _source(file) as source:
        while piece := source.read(1 << 20):
            hasher.update(piece)
    made: bytes = hasher.finalize()
    return made


def give_out(value: bytes) -> None:
    """Write bytes to standard output as they are, and nothing else. Raises KvstackError where a terminal is there that
    they would not only be shown on."""
    if sys.stdout is None:
        raise KvstackError("standard output is closed", "Send what is to be shown to a file or a program.")
    if sys.stdout.isatty() and not _harmless(value):
        raise KvstackError(
            "what is to be shown could change your terminal: it holds control characters",
            "Send it to a file or a program: `> FILE`, `| PROGRAM`.",
        )
    sys.stdout.flush()
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()


def keep_private(file: str, value: SecretValue) -> None:
    """Write a new file only its owner can read. Raises KvstackError where there is one already."""
    from kvstack.hsm.private_file import write_private

    try:
        write_private(Path(file), value.reveal())
    except FileExistsError:
        raise _there_already(file) from None


def keep(file: str, content: bytes) -> None:
    """Write a new file. Raises KvstackError where there is one already."""
    try:
        with Path(file).open("xb") as target:
            target.write(content)
    except FileExistsError:
        raise _there_already(file) from None


def require_free(file: str | None) -> None:
    """Refuse early to write a file that is there. Raises KvstackError."""
    if file is not None and Path(file).exists():
        raise _there_already(file)


def _there_already(file: str) -> KvstackError:
    return KvstackError(f"there is a file {file} already", "It is not overwritten; remove it, or name another one.")


def _source(file: str) -> AbstractContextManager[BinaryIO]:
    if file != STANDARD_INPUT:
        return Path(file).open("rb")
    if sys.stdin is None:
        raise KvstackError("standard input is closed", "Send the content there, or name a file with `--file`.")
    return nullcontext(sys.stdin.buffer)


def _harmless(value: bytes) -> bool:
    from kvstack.render.escape import plain

    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return all(plain(line.rstrip("\r")) == line.rstrip("\r") for part in text.split("\n") for line in part.split("\t"))
