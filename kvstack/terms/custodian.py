"""Who keeps a share of a security domain."""

import msgspec


class Custodian(msgspec.Struct, frozen=True):
    """Who is to keep a share. name: of whom, as the certificate's subject says it; fingerprint: SHA-256 of the public
    key (SubjectPublicKeyInfo, DER), hexadecimal; public: that key."""

    name: str
    fingerprint: str
    public: bytes
