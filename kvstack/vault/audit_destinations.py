"""Where records of the audit are forwarded to, and how they are handed over: a file, a socket, syslog."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from kvstack.hsm.private_file import readable_by_others
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.audit_search import Numbered, azure_line, json_line, moment_text
from kvstack.vault.layout import Layout

_SECONDS = 5.0
_AUDIT_FACILITY = 13  # RFC 5424, table 1: log audit
_INFORMATIONAL, _NOTICE, _WARNING = 6, 5, 4
_KINDS = ("file", "tcp", "unix", "syslog+udp", "syslog+tcp", "syslog+unix")


class Unreachable(KvstackError):
    """A destination took nothing, or not all of it: it is handed over again."""


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One destination. to: `file:///PATH`, `tcp://HOST:PORT` or `unix:///PATH` (JSON lines), `syslog+udp://HOST:PORT`,
    `syslog+tcp://HOST:PORT` or `syslog+unix:///PATH` (RFC 5424); format: kvstack's own records, or Azure's."""

    name: str
    to: str
    format: Literal["jsonl", "azure"] = "jsonl"


class _Destinations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    destinations: tuple[Destination, ...]


def destinations(paths: Layout) -> tuple[Destination, ...]:
    """Return what the operator's configuration names, nothing where there is none. Raises KvstackError."""
    file = paths.forwarding
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KvstackError(f"{file} cannot be read: {error.strerror}") from error
    if readable_by_others(file):
        raise KvstackError(f"{file} can be read or changed by others", f"Run `chmod 600 {file}`.")
    try:
        found = msgspec.json.decode(content, type=_Destinations).destinations
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KvstackError(f"{file} is not as it has to be: {error}", _EXAMPLE) from None
    names = [one.name for one in found]
    for one in found:
        if not one.name or names.count(one.name) > 1:
            raise KvstackError(f"{file}: a destination needs a name of its own, `{one.name}` is none", _EXAMPLE)
        _place(one)
    return found


def hand_over(destination: Destination, records: Sequence[Numbered]) -> None:
    """Hand records over, in order. Returns once a file has them on the disk, or a stream's receiver has taken them
    all and closed. Raises Unreachable."""
    place = _place(destination)
    write = azure_line if destination.format == "azure" else None
    lines = [(record, write(record) if write else json_line(position, record)) for position, record in records]
    try:
        match place.scheme:
            case "file":
                _append(Path(place.path), [line for _, line in lines])
            case "tcp" | "unix":
                _stream(place, b"".join(line.encode() + b"\n" for _, line in lines))
            case "syslog+tcp":
                messages = (_syslog(record, line) for record, line in lines)
                # RFC 6587, 3.4.1: octet counting.
                _stream(place, b"".join(b"%d %s" % (len(message), message) for message in messages))
            case _:
                _datagrams(place, [_syslog(record, line) for record, line in lines])
    except OSError as error:
        why = error.strerror or str(error)
        raise Unreachable(
            f"`{destination.name}` ({destination.to}) does not take the audit: {why}",
            "Nothing is lost: it is handed over again from where it was taken last.",
        ) from error


def _place(destination: Destination) -> SplitResult:
    """Return where it goes. Raises KvstackError."""
    try:
        place = urlsplit(destination.to)
        over_network = place.scheme.endswith(("tcp", "udp"))
        whole = bool(place.hostname and place.port) if over_network else place.path.startswith("/") and not place.netloc
    except ValueError:
        place, whole = SplitResult("", "", "", "", ""), False
    if place.scheme not in _KINDS or not whole:
        raise KvstackError(f"`{destination.to}` is nowhere the audit can be forwarded to", _EXAMPLE)
    return place


def _append(path: Path, lines: Sequence[str]) -> None:
    """Append lines to a file only its owner reads, and flush it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "r+b") as file:
        length = file.seek(0, os.SEEK_END)
        if length:
            file.seek(length - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")  # killed in the middle of a line, which comes again as a whole
        file.write(b"".join(line.encode() + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _stream(place: SplitResult, content: bytes) -> None:
    """Send, and wait until the receiver has read to the end and closed: only then it has all."""
    if place.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SECONDS)
    else:
        connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=_SECONDS)
    with connection:
        if place.scheme == "unix":
            connection.connect(place.path)
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass  # what a receiver says is of no interest, that it has closed is


def _datagrams(place: SplitResult, messages: Sequence[bytes]) -> None:
    """Send each message as a datagram: nobody says whether it arrived, but that nobody listens is often told."""
    if place.scheme == "syslog+unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(place.path)
            for message in messages:
                connection.sendall(message)
        return
    found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(address)
        for message in messages:
            connection.sendall(message)


def _syslog(record: AuditRecord, line: str) -> bytes:
    """Return a record as a message of RFC 5424."""
    severity = _INFORMATIONAL if record.result == "Success" else _WARNING if record.status == 403 else _NOTICE
    head = f"<{_AUDIT_FACILITY * 8 + severity}>1 {moment_text(record.time)} {_word(socket.gethostname(), 255)}"
    return f"{head} kvstack - {_word(record.operation, 32)} - {line}".encode()


def _word(text: str, longest: int) -> str:
    """Return what may stand in a message's head: visible ASCII, not nothing."""
    return "".join(letter for letter in text if "!" <= letter <= "~")[:longest] or "-"


_EXAMPLE = (
    'Write it as {"destinations": [{"name": "siem", "to": "syslog+tcp://logs.example.org:601"}, '
    '{"name": "file", "to": "file:///var/log/kvstack.jsonl", "format": "azure"}]}.'
)
