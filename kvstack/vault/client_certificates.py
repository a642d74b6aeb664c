"""Client certificates: a program proves that it has the private key, which nobody but the program ever has."""

import uuid
from datetime import UTC, datetime
from hashlib import sha1, sha256
from typing import Final

from kvstack.hsm.protocol import PublicKey
from kvstack.vault.caller import Caller
from kvstack.vault.credentials import (
    CLIENT_CERTIFICATES,
    MOST,
    WRITE,
    ClientCertificateRow,
    tell_sign_in_changed,
)
from kvstack.vault.engine import Engine
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.service_principals import service_principal

LONGEST: Final = 64 << 10
_RSA_BITS: Final = (2048, 8192)


class ClientCertificateOperations(Engine):
    """Who may sign in by which certificate."""

    def add_client_certificate(
        self, caller: Caller, principal: str, certificate: bytes, *, description: str = ""
    ) -> ClientCertificateRow:
        """Let a service principal sign in by the private key of a certificate. certificate: PEM or DER, without the
        key. It may be self-signed: whoever may give the principal credentials says that it is the principal's. Raises
        NotFound, BadParameter, Conflict."""
        der, public, begins, expires = _read(certificate)
        with self._attempt(caller, "ClientCertificateAdd", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            row = service_principal(attempt, principal, "certificates")
            if expires <= attempt.now:
                raise BadParameter("the certificate has expired", "Make a new one.")
            if len(description) > 256:
                raise BadParameter("description: it has at most 256 characters")
            there = CLIENT_CERTIFICATES.scan(attempt.tx, principal_id=row.id)
            made = ClientCertificateRow(
                principal_id=row.id,
                id=str(uuid.UUID(bytes=self._random(16), version=4)),
                sha256=sha256(der).hexdigest(),
                # What clients name a certificate by; which one it is the signature decides.
                sha1=sha1(der, usedforsecurity=False).hexdigest(),
                public=public,
                description=description,
                created=attempt.now,
                begins=begins,
                expires=expires,
            )
            if any(one.sha256 == made.sha256 for one in there):
                raise Conflict(f"{row.id} has this certificate already")
            if len(there) >= MOST:
                raise Conflict(f"{row.id} has {MOST} certificates", "Delete one that is not needed any more.")
            attempt.details.update(principal=row.id, client_certificate=made.id)
            CLIENT_CERTIFICATES.put(attempt.tx, made)
            tell_sign_in_changed(attempt.tx)
            return made


def _read(content: bytes) -> tuple[bytes, PublicKey, datetime, datetime]:
    """Return a certificate's DER, its key, and when it begins and ends."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(content) > LONGEST:
        raise BadParameter(f"a certificate has at most {LONGEST} bytes")
    if b"PRIVATE KEY" in content:
        raise BadParameter(
            "the file holds a private key, which belongs to nobody but the program",
            "Give the certificate alone: `openssl x509 -in FILE -out certificate.pem`.",
        )
    try:
        text = content.lstrip().startswith(b"-----BEGIN")
        found = x509.load_pem_x509_certificate(content) if text else x509.load_der_x509_certificate(content)
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise BadParameter("this is no X.509 certificate, PEM or DER, for a key that is known here") from None
    begins, expires = found.not_valid_before_utc, found.not_valid_after_utc
    match key:
        case RSAPublicKey() if _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
            numbers = key.public_numbers()
            public = PublicKey(n=_bytes(numbers.n), e=_bytes(numbers.e))
        case EllipticCurvePublicKey() if key.curve.name == "secp256r1":
            point = key.public_numbers()
            public = PublicKey(curve="P-256", x=point.x.to_bytes(32), y=point.y.to_bytes(32))
        case _:
            raise BadParameter(
                f"a client certificate is for an RSA key of {_RSA_BITS[0]} to {_RSA_BITS[1]} bits, or one on P-256"
            )
    return found.public_bytes(Encoding.DER), public, begins.astimezone(UTC), expires.astimezone(UTC)


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
