"""Certificates made elsewhere, taken in from a PFX or PEM file with their keys and chains."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from kvstack.hsm.plain_key import PlainKey
from kvstack.terms.certificate import (
    PEM,
    PKCS12,
    UNKNOWN,
    VALIDITY_MONTHS,
    CertificateKey,
    CertificatePolicy,
    ContentType,
    resolved,
)
from kvstack.terms.key import KeySpecification, KeyType
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.making import MakingOperations, require_place
from kvstack.vault.certificates.rows import Certificate
from kvstack.vault.certificates.trio import Issued, Version, require_valid_attributes
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.items import CERTIFICATE
from kvstack.vault.records import Vault

if TYPE_CHECKING:
    from cryptography import x509

IMPORT = CERTIFICATE.action("import/action")
_DAYS_A_MONTH = 30.4375


class _Held(msgspec.Struct, frozen=True):
    """What was found in a file, put in order."""

    key: PlainKey
    issued: Issued
    policy: CertificatePolicy


class ImportOperations(MakingOperations):
    """Taking certificates in."""

    def import_certificate(
        self,
        caller: Caller,
        vault: str,
        name: str,
        content: bytes,
        *,
        password: SecretValue | None = None,
        content_type: ContentType | None = None,
        exportable: bool = True,
        hsm: bool = False,
        enabled: bool = True,
        tags: Mapping[str, str] | None = None,
    ) -> Certificate:
        """Take a certificate in, or a new version of one that is there. content: PFX or PEM with the private key and
        the chain in any order; content_type: of its secret, as the file's where None; exportable: whether the secret
        holds the private key; hsm: whether the key goes into the HSM, which it never leaves again."""
        own_tags = dict(tags or {})
        with self._attempt(caller, "CertificateImport", self._scope(vault, f"certificates/{name}")) as attempt:

            def checked() -> tuple[Vault, Certificate | None]:
                home = attempt.vault(vault, IMPORT, f"certificates/{name}")
                require_valid_attributes(name, own_tags)
                there = self._free_certificate_name(attempt, home, name)
                if there is not None and there.pending:
                    raise Conflict(
                        f"the certificate `{there.name}` in vault `{home.name}` has a pending request",
                        "Merge what was signed, or cancel it.",
                        inner="PendingCertificate",
                    )
                return home, there

            with attempt.look():
                checked()
                now = attempt.now
            held = _held(content, password, content_type, now, exportable=exportable and not hsm, hsm=hsm)
            with held.key:
                specification = held.policy.key.specification
                with attempt.look():
                    require_place(checked()[0], held.policy)
                material = self._provider_for(specification).import_key(specification, held.key)
            with self._kept(specification, material), attempt.transaction():
                home, there = checked()
                require_place(home, held.policy)
                if there is not None:
                    attempt.at_item(home, f"certificates/{there.name}")
                new = Version(
                    id=self._random(16).hex(),
                    home=home,
                    there=there,
                    name=name,
                    policy=held.policy,
                    material=material,
                    issued=held.issued,
                    enabled=enabled,
                    tags=own_tags,
                )
                return self._keep_version(attempt, new)


def _held(
    content: bytes,
    password: SecretValue | None,
    content_type: ContentType | None,
    now: datetime,
    *,
    exportable: bool,
    hsm: bool,
) -> _Held:
    from cryptography.hazmat.primitives.serialization import Encoding

    from kvstack.vault.certificates import chain, reading
    from kvstack.vault.certificates.signer import public_key

    found = reading.bundle(content, password)
    if found.key is None:
        raise BadParameter(
            "there is no private key in the file", "A certificate is imported with its key, in one PFX or PEM file."
        )
    own, *above = chain.ordered(found.certificates, public_key(found.key.public), now)
    begins, ends = reading.validity(own)
    issued = Issued(
        der=own.public_bytes(Encoding.DER),
        chain=tuple(one.public_bytes(Encoding.DER) for one in above),
        not_before=begins,
        expires=ends,
        serial=own.serial_number,
        subject=own.subject.rfc4514_string(),
    )
    specification = found.key.specification
    kind: KeyType = specification.type
    if hsm:
        kind = "RSA-HSM" if specification.family == "RSA" else "EC-HSM"
    wanted = content_type or (PEM if found.pem else PKCS12)
    return _Held(
        found.key,
        issued,
        _policy(own, KeySpecification(kind, specification.size, specification.curve), wanted, exportable),
    )


def _policy(
    own: "x509.Certificate", specification: KeySpecification, content_type: ContentType, exportable: bool
) -> CertificatePolicy:
    """Return the policy a renewal would follow: a request like the certificate that was imported."""
    from kvstack.vault.certificates import names

    begins, ends = own.not_valid_before_utc, own.not_valid_after_utc
    least, most = VALIDITY_MONTHS
    months = max(least, min(most, round((ends - begins).days / _DAYS_A_MONTH)))
    return resolved(
        CertificatePolicy(
            issuer=UNKNOWN,
            key=CertificateKey(specification.type, specification.size, specification.curve, exportable=exportable),
            content_type=content_type,
            validity_months=months,
            **names.of_certificate(own),
        )
    )
