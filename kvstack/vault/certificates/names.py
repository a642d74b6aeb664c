"""What a certificate from outside is for, as a policy would say it; what no policy can say is left out."""

from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1

from kvstack.terms import certificate as certificate_rules
from kvstack.terms import subject as subject_rules
from kvstack.terms.certificate import KEY_USAGES, CertificatePolicy, KeyUsage

_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_USAGES: dict[KeyUsage, str] = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


def of_certificate(own: x509.Certificate) -> dict[str, Any]:
    """Return the attributes of a policy: subject, names, key usages."""
    subject = own.subject.rfc4514_string()
    found: dict[str, Any] = {
        "subject": subject if subject_rules.problem(subject) is None else "",
        "key_usage": _key_usage(own),
        "extended_key_usage": _extended_key_usage(own),
    }
    names = _extension(own, x509.SubjectAlternativeName)
    if names is not None:
        found["dns_names"] = frozenset(names.get_values_for_type(x509.DNSName))
        found["emails"] = frozenset(names.get_values_for_type(x509.RFC822Name))
        found["ip_addresses"] = frozenset(str(one) for one in names.get_values_for_type(x509.IPAddress))
        found["upns"] = frozenset(_upns(names))
    return {attribute: value for attribute, value in found.items() if _can_be_said(attribute, value)}


def _can_be_said(attribute: str, value: Any) -> bool:
    """Tell whether a policy with this could be followed; a subject alone is enough for one."""
    tried = CertificatePolicy(**{"subject": "CN=tried", attribute: value})
    return not any(path[0] == attribute for path, _ in certificate_rules.problems(tried))


def _extension(own: x509.Certificate, kind: Any) -> Any:
    try:
        return own.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(own: x509.Certificate) -> frozenset[KeyUsage]:
    usage = _extension(own, x509.KeyUsage)
    if usage is None:
        return frozenset()
    found = {word for word, attribute in _USAGES.items() if getattr(usage, attribute)}
    if usage.key_agreement:
        found |= {word for word in KEY_USAGES[-2:] if getattr(usage, _snake(word))}
    return frozenset(found)


def _snake(word: str) -> str:
    return "encipher_only" if word == "encipherOnly" else "decipher_only"


def _extended_key_usage(own: x509.Certificate) -> frozenset[str]:
    usages = _extension(own, x509.ExtendedKeyUsage)
    return frozenset(one.dotted_string for one in usages) if usages is not None else frozenset()


def _upns(names: x509.SubjectAlternativeName) -> list[str]:
    found = []
    for other in names.get_values_for_type(x509.OtherName):
        if other.type_id == _USER_PRINCIPAL_NAME:
            try:
                found.append(asn1.decode_der(str, other.value))
            except ValueError:
                continue  # not a text: no policy can say it
    return found
