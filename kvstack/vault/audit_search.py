"""Which records of the audit are looked for, and what they are in Azure's words."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from kvstack.terms.scope import scope
from kvstack.vault.access_policy import AUDITED
from kvstack.vault.audit import is_at_or_below
from kvstack.vault.audit_record import AuditRecord, StoredRecord, read_record

Numbered = tuple[int, AuditRecord]

# RFC 9110, 15: the words of the statuses the vault answers with.
_SIGNATURES = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; all that is given has to hold. principal: an id, or a name, in any case; operation, result:
    with `*` and `?`, in any case; resource: a path, with all below it."""

    principal: str = ""
    operation: str = ""
    resource: str = ""
    result: str = ""


def found(rows: Iterable[StoredRecord], wanted: Wanted) -> Iterator[Numbered]:
    """Yield the records that are looked for, with their positions. Raises TamperedAudit."""
    principal, resource = wanted.principal.lower(), wanted.resource.lower().rstrip("/")
    operation, result = _pattern(wanted.operation), _pattern(wanted.result)
    for row in rows:
        record = read_record(row)
        if (
            (not principal or principal in (record.caller.lower(), record.caller_name.lower()))
            and (not resource or is_at_or_below(record.resource.lower(), resource))
            and (operation is None or operation.fullmatch(record.operation))
            and (result is None or result.fullmatch(record.result))
        ):
            yield row[0], record


def record_document(position: int, record: AuditRecord) -> dict[str, Any]:
    """Return a record for programs, with all its fields."""
    return {"position": position, **{field: getattr(record, field) for field in record.__struct_fields__}}


def azure_event(record: AuditRecord) -> dict[str, Any]:
    """Return a record as Azure's `AuditEvent`. What the vault does not know is empty, never made up."""
    api = parse_qs(urlsplit(record.request_uri).query).get("api-version", [""])[0] if record.request_uri else ""
    person = "@" in record.caller_name
    by_policy = any(one.startswith(AUDITED) for one in record.authorised_by)
    return {
        "time": moment_text(record.time),
        "resourceId": _vault_of(record.resource),
        "operationName": record.operation,
        "operationVersion": api,
        "category": "AuditEvent",
        "resultType": "Success" if record.result == "Success" else "Failed",
        "resultSignature": _SIGNATURES.get(record.status, str(record.status)),
        "resultDescription": record.description or ("" if record.result == "Success" else record.result),
        "durationMs": record.duration_ms,
        "callerIpAddress": record.address,
        "correlationId": record.correlation_id,
        "identity": {"claim": {"oid": record.caller, "appid": "", "upn": record.caller_name if person else ""}},
        "properties": {
            "clientInfo": record.client,
            "requestUri": record.request_uri,
            "id": record.resource,
            "httpStatusCode": record.status,
            "isRbacAuthorized": bool(record.authorised_by) and not by_policy,
            "tlsVersion": record.tls_version,
        },
    }


def _vault_of(resource: str) -> str:
    """Return the vault a resource is in, itself where it is not in one."""
    try:
        place = scope(resource)
    except ValueError:
        return resource
    return msgspec.structs.replace(place, item="").path


def _pattern(written: str) -> re.Pattern[str] | None:
    if not written:
        return None
    import fnmatch

    return re.compile(fnmatch.translate(written), re.IGNORECASE)


def moment_text(time: datetime) -> str:
    """Return a time as RFC 3339 has it, in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def json_line(position: int, record: AuditRecord) -> str:
    """Return a record as one line of JSON."""
    return msgspec.json.encode(record_document(position, record)).decode()


def azure_line(record: AuditRecord) -> str:
    """Return a record as one line of Azure's JSON."""
    return msgspec.json.encode(azure_event(record)).decode()
