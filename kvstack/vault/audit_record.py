"""One record of the audit: what it says, how it is stored, and the MAC that chains it to the one before."""

from datetime import datetime

import msgspec

from kvstack.vault.faults import TamperedAudit

# position, writer, sequence, time, changed, body, mac
StoredRecord = tuple[int, str, int, int, str | None, bytes, bytes]

encode = msgspec.msgpack.Encoder().encode


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation. operation: Azure's name of it (`SecretSet`); resource: its path; caller: a principal's id; result:
    `Success` or why not; details: names only, never values. authorised_by: ids of the assignments that allowed it;
    duration_ms: until it was recorded; address, client, request_uri, tls_version: of a caller over a network."""

    time: datetime
    operation: str
    resource: str
    caller: str
    caller_name: str = ""
    result: str = "Success"
    status: int = 200
    description: str = ""
    correlation_id: str = ""
    details: dict[str, str] = {}
    authorised_by: tuple[str, ...] = ()
    duration_ms: float = 0.0
    address: str = ""
    client: str = ""
    request_uri: str = ""
    tls_version: str = ""


_decode = msgspec.msgpack.Decoder(AuditRecord).decode


def read_record(row: StoredRecord) -> AuditRecord:
    """Return what a stored record says. Raises TamperedAudit."""
    try:
        return _decode(row[5])
    except (msgspec.MsgspecError, TypeError):
        raise TamperedAudit(f"has a record, {row[0]}, that was edited") from None


def chained(
    before: bytes, position: int, writer: str, sequence: int, time: int, changed: str | None, body: bytes
) -> bytes:
    """Return what the MAC of a record is over. before: the MAC of the one its writer wrote before it, empty for its
    first."""
    return encode((before, position, writer, sequence, time, changed, body))
