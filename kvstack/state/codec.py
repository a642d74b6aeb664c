"""The state as bytes: one record a line, with a digest that shows when somebody edited it."""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from kvstack.resources.catalog import BY_KIND
from kvstack.schema.resource import Resource
from kvstack.state.state import FORMAT, Drop, Entry, Intend, Put, Record, State
from kvstack.terms.address import Address


class UnreadableState(ValueError):
    """The bytes are not a state this version understands; the message says why."""


class _Header(msgspec.Struct):
    format: int = 0
    stack: str = ""
    environment: str | None = None
    lineage: str = ""
    serial: int = 0
    backend: str = ""
    digest: str = ""
    records: msgspec.Raw = msgspec.Raw(b"[]")


class _Written(msgspec.Struct, kw_only=True, omit_defaults=True):
    address: Address
    kind: str
    schema: int = 1
    identity: str
    id: str
    vault: str
    version: str | None = None
    fingerprint: str | None = None
    was: Address | None = None
    dropped: bool = False
    intended: bool = False
    attributes: msgspec.Raw = msgspec.Raw(b"{}")


_encoder = msgspec.json.Encoder(order="deterministic")
_lines = msgspec.json.Decoder(list[_Written])
_line = msgspec.json.Decoder(_Written)


def encoded(state: State) -> bytes:
    """Return the state as UTF-8 JSON, one record a line."""
    lines = b",\n".join(_encoded_record(record) for record in state.records.values())
    records = b"[\n" + lines + b"\n]" if lines else b"[]"
    header = _Header(FORMAT, state.stack, state.environment, state.lineage, state.serial, state.backend)
    head = _encoder.encode(
        {
            "format": FORMAT,
            "stack": state.stack,
            "environment": state.environment,
            "lineage": state.lineage,
            "serial": state.serial,
            "backend": state.backend,
            "digest": _digest(header, records),
        }
    )
    return head[:-1] + b',\n"records":' + records + b"}\n"


def _digest(header: _Header, records: bytes) -> str:
    """Return what shows that a state was edited: SHA-256 of everything in it."""
    head = (header.format, header.stack, header.environment, header.lineage, header.serial, header.backend)
    return hashlib.sha256(_encoder.encode(head) + records).hexdigest()


def decoded(data: bytes) -> State:
    """Parse what `encoded` wrote. Raises UnreadableState."""
    try:
        header = msgspec.json.decode(data, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(f"it is not a whole JSON document ({error})") from None
    if header.format != FORMAT:
        newer = "; it was written by a newer kvstack" if header.format > FORMAT else ""
        raise UnreadableState(f"its format is {header.format}, this version reads {FORMAT}{newer}")
    records = bytes(header.records)
    if _digest(header, records) != header.digest:
        raise UnreadableState("its digest does not fit what it holds: it was edited, or damaged")
    try:
        written = _lines.decode(records)
        known = {entry.address: _record(entry) for entry in written}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(f"a record in it cannot be read ({error})") from None
    return State(
        stack=header.stack,
        environment=header.environment,
        lineage=header.lineage,
        serial=header.serial,
        backend=header.backend,
        records=known,
    )


def encoded_entries(entries: Iterable[Entry]) -> bytes:
    """Return finished changes as journal lines."""
    return b"".join(_encoded_entry(entry) + b"\n" for entry in entries)


def decoded_entry(line: bytes) -> Entry:
    """Parse one journal line. Raises UnreadableState."""
    try:
        written = _line.decode(line)
        if written.dropped:
            return Drop(written.address)
        if written.intended:
            resource = _decoder(written.kind).decode(written.attributes)
            return Intend(written.address, written.kind, resource, written.version, written.vault)
        return Put(_record(written), written.was)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableState(f"a line of its journal cannot be read ({error})") from None


def _encoded_entry(entry: Entry) -> bytes:
    match entry:
        case Put(record, was):
            return _encoded_record(record, was=was)
        case Intend(address, kind, resource, version, vault):
            return _encoder.encode(
                _Written(
                    address=address,
                    kind=kind,
                    identity="",
                    id="",
                    vault=vault,
                    version=version,
                    intended=True,
                    attributes=msgspec.Raw(_encoder.encode(resource)),
                )
            )
        case Drop(address):
            return _encoder.encode(_Written(address=address, kind="", identity="", id="", vault="", dropped=True))


def _encoded_record(record: Record, was: Address | None = None) -> bytes:
    return _encoder.encode(
        _Written(
            address=record.address,
            kind=record.kind,
            schema=record.resource.schema_version,
            identity=record.identity,
            id=record.id,
            vault=record.vault,
            version=record.version,
            fingerprint=record.fingerprint,
            was=was,
            attributes=msgspec.Raw(_encoder.encode(record.resource)),
        )
    )


@cache
def _decoder(kind: str) -> "msgspec.json.Decoder[Any]":
    resource: type[Resource] | None = BY_KIND.get(kind)
    if resource is None:
        raise UnreadableState(f"it holds a thing of kind `{kind}`, which this version does not know")
    return msgspec.json.Decoder(resource)


def _record(written: _Written) -> Record:
    known = BY_KIND.get(written.kind)
    if known is not None and written.schema > known.schema_version:
        raise UnreadableState(f"`{written.address}` in it was written by a newer kvstack")
    return Record(
        address=written.address,
        kind=written.kind,
        identity=written.identity,
        id=written.id,
        vault=written.vault,
        resource=_decoder(written.kind).decode(written.attributes),
        version=written.version,
        fingerprint=written.fingerprint,
    )
