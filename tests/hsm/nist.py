"""The files of the package `cryptography_vectors`, read: NIST's format, and that of RSA Laboratories."""

import re
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
from cryptography.hazmat.primitives.asymmetric import rsa

from kvstack.hsm.plain_key import PlainKey, of_private

ROOT = Path(cryptography_vectors.__file__).parent
Vector = dict[str, str]
# `# Prime 1:`, and lines of hexadecimal below it.
_PART = re.compile(r"^# *([A-Z][\w ]*?) ?: *\n((?:[0-9a-f ]+\n)+)", re.MULTILINE)


def vectors(path: str) -> Iterator[Vector]:
    """Every vector of a file, with the headings it stands under: `[mod = 2048]`, `[P-256,SHA-256]`."""
    heading: Vector = {}
    current: Vector = {}
    for line in (ROOT / path).read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            inner, _, inner_value = line.strip("[]\r\n ").partition("=")
            heading = {**heading, inner.strip(): inner_value.strip()} if inner_value else {"heading": inner.strip()}
        elif not line.strip() or line.startswith("#") or (name == "FAIL"):
            if name == "FAIL":
                current["FAIL"] = "yes"
            if not line.strip() and current:
                yield {**heading, **current}
                current = {}
        elif equals:
            current[name] = value
    if current:
        yield {**heading, **current}


def encryptions(path: str, bits: int) -> Iterator[tuple[PlainKey, bytes, bytes]]:
    """Every encryption by an RSA key of this size: the key, the message, the ciphertext."""
    seen: dict[str, int] = {}
    key: PlainKey | None = None
    message = b""
    for name, written in _PART.findall((ROOT / path).read_text()):
        value = bytes.fromhex("".join(written.split()).rjust(len("".join(written.split())) + 1 & ~1, "0"))
        seen[name] = int.from_bytes(value, "big")
        match name:
            case "Coefficient":
                key = _private(seen) if seen["Modulus"].bit_length() == bits else None
            case "Message":
                message = value
            case "Encryption" if key is not None:
                yield key, message, value


def _private(parts: dict[str, int]) -> PlainKey:
    n, e, d, p, q = (parts[name] for name in ("Modulus", "Public exponent", "Exponent", "Prime 1", "Prime 2"))
    dp, dq, qi = (parts[name] for name in ("Prime exponent 1", "Prime exponent 2", "Coefficient"))
    return of_private(rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key())
