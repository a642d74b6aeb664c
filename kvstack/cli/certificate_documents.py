"""What is known of a certificate: as JSON for programs, as names and values for people."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kvstack.cli.table import Cell, tag_words

if TYPE_CHECKING:
    from kvstack.terms.certificate import CertificatePolicy
    from kvstack.vault.certificates.rows import IssuedRow
    from kvstack.vault.records import CertificateVersion

Document = dict[str, Any]


def certificate_document(found: "CertificateVersion") -> Document:
    """Return one version, with itself and its chain as PEM."""
    return {
        "vault": found.vault,
        "name": found.name,
        "version": found.version,
        **_of_der(found.der),
        "thumbprint": found.thumbprint,
        "authority": "/".join(found.authority) if found.authority else None,
        "enabled": found.enabled,
        "not_before": _moment(found.not_before),
        "expires": _moment(found.expires),
        "tags": dict(found.tags),
        "policy": policy_document(found.policy),
        "certificate": pem_text((found.der,)).decode(),
        "chain": [pem_text((one,)).decode() for one in found.chain],
        "created": _moment(found.created),
        "updated": _moment(found.updated),
        "by_rotation": found.by_rotation,
        "recovery_level": found.recovery_level,
    }


def certificate_facts(found: "CertificateVersion") -> list[tuple[str, Cell]]:
    """Return one version for people."""
    policy, read = found.policy, _of_der(found.der)
    return [
        ("vault", found.vault),
        ("name", found.name),
        ("version", found.version),
        ("subject", read["subject"]),
        ("issuer", read["issuer"]),
        ("names", ", ".join(sorted(policy.dns_names | policy.emails | policy.ip_addresses | policy.upns))),
        ("serial number", read["serial"]),
        ("thumbprint", found.thumbprint),
        ("key", f"{policy.key.type} {policy.key.curve or policy.key.size}"),
        ("key can leave", bool(policy.key.exportable)),
        ("content type", policy.content_type),
        ("issued by", "/".join(found.authority) if found.authority else ""),
        ("enabled", found.enabled),
        ("not before", found.not_before),
        ("expires", found.expires),
        ("tags", tag_words(found.tags.items())),
        ("created", found.created),
        ("updated", found.updated),
        ("recovery level", found.recovery_level),
    ]


def policy_document(policy: "CertificatePolicy") -> Document:
    """Return a policy in the shape a stack declares it in, without what is at its default."""
    from kvstack.resources.certificate import Certificate, of_policy

    declared = Certificate(**of_policy(policy))
    document: Document = msgspec.to_builtins(declared, order="deterministic")
    kept = ("key_usage", "extended_key_usage")  # with nothing in them they say something
    return {name: value for name, value in document.items() if value != [] or name in kept}


def issued_document(row: "IssuedRow") -> Document:
    """Return one certificate an authority issued."""
    return {
        "serial": row.serial,
        "subject": row.subject,
        "vault": row.vault,
        "name": row.name,
        "version": row.version,
        "issued": _moment(row.issued),
        "expires": _moment(row.expires),
        "revoked": _moment(row.revoked) if row.revoked else None,
        "reason": row.reason if row.revoked else None,
    }


def pem_text(ders: Iterable[bytes]) -> bytes:
    """Return certificates as PEM."""
    from kvstack.vault.certificates.reading import pem

    return pem(ders)


def _of_der(der: bytes) -> Document:
    from kvstack.vault.certificates.reading import certificate

    found = certificate(der)
    return {
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "serial": f"{found.serial_number:x}",
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
