"""Certificates, requests and revocation lists, made of what a policy says and signed by a key of the vault."""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from kvstack.terms.certificate import (
    CertificateAuthority,
    CertificatePolicy,
    KeyUsage,
    RevocationReason,
    constraint_kind,
    extended_key_usage_identifier,
)
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.certificates.signer import SigningKey, signature_hash

_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_REASONS: dict[RevocationReason, x509.ReasonFlags] = {
    "unspecified": x509.ReasonFlags.unspecified,
    "keyCompromise": x509.ReasonFlags.key_compromise,
    "cACompromise": x509.ReasonFlags.ca_compromise,
    "affiliationChanged": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessationOfOperation": x509.ReasonFlags.cessation_of_operation,
}


class Issuing(msgspec.Struct, frozen=True):
    """The authority that signs: its certificate, and where its revocation list can be had."""

    certificate: x509.Certificate
    crl_url: str = ""


class Revoked(msgspec.Struct, frozen=True):
    """One entry of a revocation list."""

    serial: int
    when: datetime
    reason: RevocationReason


def subject_name(subject: str) -> x509.Name:
    """Return a subject as a distinguished name. Raises KvstackError."""
    try:
        return x509.Name.from_rfc4514_string(subject)
    except ValueError as error:
        raise KvstackError(f"`{subject}` is no subject{f': {error}' if str(error) else ''}") from None


def certificate(
    policy: CertificatePolicy,
    public: Any,
    *,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    path_length: int | None,
    issuing: Issuing | None,
    signing: SigningKey,
) -> bytes:
    """Return a certificate, DER. public: the key it is for; path_length: where it is an authority; issuing: None where
    it signs itself."""
    subject = subject_name(policy.subject)
    own_id = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuing.certificate.subject if issuing is not None else subject)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in _requested(policy, path_length):
        builder = builder.add_extension(extension, critical=critical)
    builder = builder.add_extension(own_id, critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
            own_id if issuing is None else key_identifier(issuing.certificate)
        ),
        critical=False,
    )
    if issuing is not None and issuing.crl_url:
        where = x509.DistributionPoint([x509.UniformResourceIdentifier(issuing.crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([where]), critical=False)
    return builder.sign(signing, signature_hash(signing)).public_bytes(Encoding.DER)


def request(policy: CertificatePolicy, signing: SigningKey) -> bytes:
    """Return a certificate signing request, DER (PKCS#10)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_name(policy.subject))
    path_length = policy.authority.path_length if policy.authority is not None else None
    for extension, critical in _requested(policy, path_length):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing, signature_hash(signing)).public_bytes(Encoding.DER)


def revocation_list(
    issuing: x509.Certificate,
    revoked: Iterable[Revoked],
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
    signing: SigningKey,
) -> bytes:
    """Return a revocation list, DER. RFC 5280, 5."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_identifier(issuing)), critical=False
        )
    )
    for entry in sorted(revoked, key=lambda one: (one.when, one.serial)):
        made = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.when)
        if entry.reason != "unspecified":  # RFC 5280, 5.3.1: left out rather than said
            made = made.add_extension(x509.CRLReason(_REASONS[entry.reason]), critical=False)
        builder = builder.add_revoked_certificate(made.build())
    return builder.sign(signing, signature_hash(signing)).public_bytes(Encoding.DER)


def key_identifier(authority: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Return what an authority's key is called in what it issues: as its certificate says, else the key's hash."""
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(authority.public_key())


def _requested(policy: CertificatePolicy, path_length: int | None) -> Iterable[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions a policy asks for, each with whether it is critical. RFC 5280, 4.2."""
    authority = policy.authority
    yield x509.BasicConstraints(ca=authority is not None, path_length=path_length if authority else None), True
    if policy.key_usage:
        yield _key_usage(policy.key_usage), True
    if policy.extended_key_usage:
        usages = sorted(extended_key_usage_identifier(usage) for usage in policy.extended_key_usage)
        yield x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage) for usage in usages]), False
    names = [*_names(policy)]
    if names:
        yield x509.SubjectAlternativeName(names), not policy.subject
    if authority is not None and (authority.permitted or authority.excluded):
        yield _constraints(authority), True


def _names(policy: CertificatePolicy) -> Iterable[x509.GeneralName]:
    for name in sorted(policy.dns_names):
        yield x509.DNSName(name)
    for email in sorted(policy.emails):
        yield x509.RFC822Name(email)
    for address in sorted(policy.ip_addresses):
        yield x509.IPAddress(ip_address(address))
    for upn in sorted(policy.upns):
        yield x509.OtherName(_USER_PRINCIPAL_NAME, asn1.encode_der(upn))


def _constraints(authority: CertificateAuthority) -> x509.NameConstraints:
    permitted = [_constraint(name) for name in sorted(authority.permitted)]
    excluded = [_constraint(name) for name in sorted(authority.excluded)]
    return x509.NameConstraints(permitted or None, excluded or None)


def _constraint(name: str) -> x509.GeneralName:
    match constraint_kind(name):
        case "email":
            return x509.RFC822Name(name[1:])
        case "range":
            return x509.IPAddress(ip_network(name))
        case _:
            return x509.DNSName(name)


def _key_usage(usage: frozenset[KeyUsage]) -> x509.KeyUsage:
    agreement = "keyAgreement" in usage
    return x509.KeyUsage(
        digital_signature="digitalSignature" in usage,
        content_commitment="nonRepudiation" in usage,
        key_encipherment="keyEncipherment" in usage,
        data_encipherment="dataEncipherment" in usage,
        key_agreement=agreement,
        key_cert_sign="keyCertSign" in usage,
        crl_sign="cRLSign" in usage,
        encipher_only=agreement and "encipherOnly" in usage,
        decipher_only=agreement and "decipherOnly" in usage,
    )
