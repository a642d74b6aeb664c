"""A client's own assertion: signed by the private key of a certificate that is registered for it.

Source: RFC 7521, 4.2; RFC 7523, 3; the Microsoft identity platform's certificate credentials.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from kvstack.server.identity.signed_json import LEEWAY, SignedJson, TokenRefused, require_signed, require_time
from kvstack.server.names import without_port
from kvstack.vault.credentials import ClientCertificateRow
from kvstack.vault.sign_in import Proven, SignInKeys

ALLOWED: Final = frozenset({"RS256", "PS256", "ES256"})
# MSAL makes them for ten minutes; what lives for days is no assertion but a password.
LONGEST: Final = 3600.0
_LONGEST_ID: Final = 256


def proven_by_certificate(
    token: SignedJson, keys: SignInKeys, audiences: Collection[str], resource: str, now: float
) -> Proven:
    """Return the certificate an assertion was signed by. audiences: any of them it has to be for; resource: what a
    token is asked for: an assertion gives one for each, once; now: seconds since 1970. Raises TokenRefused."""
    if token.text("iss").lower() != keys.client_id or token.text("sub").lower() != keys.client_id:
        raise TokenRefused("the assertion is not the client's own")
    certificate = _named(token, keys.certificates)
    require_signed(token, certificate.public, ALLOWED)
    ends = require_time(token, now, LONGEST)
    # What is for this server and for others as well, those could show here.
    if len(token.audiences) != 1 or without_port(token.audiences[0].lower()) not in audiences:
        raise TokenRefused("the assertion is for another audience")
    identifier = token.text("jti")
    if not identifier or len(identifier) > _LONGEST_ID:
        raise TokenRefused("the assertion has no id")
    if not certificate.begins.timestamp() <= now + LEEWAY:
        raise TokenRefused("the certificate is not valid yet")
    told_apart = "\0".join((certificate.principal_id, resource, identifier))
    digest = hashlib.sha256(told_apart.encode("utf-8", "surrogatepass")).hexdigest()
    return Proven(credential=certificate, digest=digest, left=timedelta(seconds=ends + LEEWAY - now))


def _named(token: SignedJson, certificates: Sequence[ClientCertificateRow]) -> ClientCertificateRow:
    """Return the certificate a header names, by one of its digests or by both."""
    for one in certificates:
        named = [
            _same(written, digest)
            for written, digest in ((token.header.sha256, one.sha256), (token.header.sha1, one.sha1))
            if written
        ]
        if named and all(named):
            return one
    raise TokenRefused("the assertion names no certificate of the client's")


def _same(written: str, digest: str) -> bool:
    """Tell whether base64url, with or without padding, stands for a digest."""
    from base64 import urlsafe_b64encode

    return written.rstrip("=") == urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
