"""A file of `.kvstack` that is the operator's own: no stack can change it, and nobody else can write it."""

from pathlib import Path
from typing import TypeVar

import msgspec

from kvstack.hsm.private_file import readable_by_others
from kvstack.terms.diagnostic import KvstackError

T = TypeVar("T")


def operator_file(file: Path, kind: type[T], example: str) -> T:
    """Return what a JSON file says, `kind` without anything said where there is none. example: how it is written.
    Raises KvstackError."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return kind()
    except OSError as error:
        raise KvstackError(f"{file} cannot be read: {error.strerror}") from error
    if readable_by_others(file):
        raise KvstackError(f"{file} can be read or changed by others", f"Run `chmod 600 {file}`.")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KvstackError(f"{file} is not as it has to be: {error}", f"Write it as {example}.") from None


def names_host(hosts: tuple[str, ...], host: str, port: int) -> bool:
    """Tell whether a list of hosts (`hooks.internal`, `127.0.0.1`, with `:PORT` for one port only) has this one."""
    name = host.lower().rstrip(".")
    return any(one.lower() in (name, f"{name}:{port}", f"[{name}]:{port}") for one in hosts)
