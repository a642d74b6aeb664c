"""How a posted event is signed, and how who gets it checks that: HMAC-SHA256, as Standard Webhooks has it."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"


def signature_headers(key: bytes, identifier: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body. Source: the Standard Webhooks specification, symmetric signatures."""
    timestamp = str(int(now.timestamp()))
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{_signature(key, identifier, timestamp, body)}",
    }


def is_genuine(key: bytes, identifier: str, timestamp: str, signature: str, body: bytes, now: datetime) -> bool:
    """Tell whether a body was signed with this key, not long ago, in constant time. signature: the header's value, of
    several of them maybe."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    expected = _signature(key, identifier, timestamp, body).encode()
    given = [one.partition(",")[2].encode() for one in signature.split(" ") if one.startswith("v1,")]
    genuine = False
    for one in given:
        genuine |= hmac.compare_digest(expected, one)
    return genuine and abs(now.timestamp() - int(timestamp)) <= TOLERANCE.total_seconds()


def signing_key(value: bytes) -> bytes:
    """Return the key a secret's value stands for: what it holds as base64 after `whsec_`, or else the value itself."""
    text = value.decode("ascii", errors="replace").strip()
    if not text.startswith(_PREFIX):
        return value
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return value


def _signature(key: bytes, identifier: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((identifier.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
