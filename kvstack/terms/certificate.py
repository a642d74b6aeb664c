"""What a certificate is to be like: its policy, and the rules every vault holds it to."""

import re
from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from kvstack.terms import key as key_rules
from kvstack.terms import subject as subject_rules
from kvstack.terms.duration import Duration
from kvstack.terms.key import Curve, KeySpecification, KeyType
from kvstack.terms.name import item_name_problem, vault_name_problem

ContentType = Literal["application/x-pkcs12", "application/x-pem-file"]
KeyUsage = Literal[
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
]
# RFC 5280, 5.3.1: those an authority of a vault has a use for.
RevocationReason = Literal[
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation"
]
REVOCATION_REASONS: tuple[RevocationReason, ...] = get_args(RevocationReason)
PKCS12: ContentType = "application/x-pkcs12"
PEM: ContentType = "application/x-pem-file"
CONTENT_TYPES: tuple[ContentType, ...] = get_args(ContentType)
KEY_USAGES: tuple[KeyUsage, ...] = get_args(KeyUsage)
SELF = "Self"
UNKNOWN = "Unknown"
VALIDITY_MONTHS = (1, 1200)
LIFETIME_PERCENTAGE = (1, 99)
# A month has at least 27 whole days before its last one: the most an action may lie before expiry. Azure's own rule.
DAYS_A_MONTH = 27

# By the names RFC 5280 gives them; others are written as object identifiers.
EXTENDED_KEY_USAGES: dict[str, str] = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
}
_USAGE_OF = {identifier: word for word, identifier in EXTENDED_KEY_USAGES.items()}
_IDENTIFIER = re.compile(r"^[0-2](\.(0|[1-9][0-9]{0,9})){1,30}$")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"^(\*\.)?({_LABEL}\.)*{_LABEL}$")
_EMAIL = re.compile(rf"^[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@({_LABEL}\.)*{_LABEL}$")
_UPN = re.compile(r"^[^\s@]{1,256}@[^\s@]{1,256}$")
_URL = re.compile(r"^https?://[\x21-\x7e]{1,1000}$")


class CertificateKey(msgspec.Struct, frozen=True):
    """The key a certificate is for. reuse: renewals keep it; exportable: the private key is in the linked secret, None
    for yes unless it lives in an HSM."""

    type: KeyType = "RSA"
    size: int | None = None
    curve: Curve | None = None
    reuse: bool = False
    exportable: bool | None = None

    @property
    def specification(self) -> KeySpecification:
        """What to generate, with Key Vault's defaults filled in."""
        return key_rules.specification(self.type, self.size, self.curve)


class Trigger(msgspec.Struct, frozen=True):
    """When something happens in a certificate's life: one of the two."""

    days_before_expiry: int | None = None
    lifetime_percentage: int | None = None


class CertificateAuthority(msgspec.Struct, frozen=True):
    """What a certificate that issues others may issue. path_length: how many authorities may stand below it, None for
    any number; permitted, excluded: DNS names with all below them, address ranges, `@domain` for e-mail addresses;
    crl_url: where its revocation list can be had, written into what it issues."""

    path_length: int | None = None
    permitted: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    crl_url: str = ""


class CertificatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a certificate is made, now and at every renewal.

    issuer: `Self`, `Unknown` (somebody else signs a request), a certificate authority as `VAULT/certificates/NAME`, or
    an issuer of the vault; key_usage, extended_key_usage: None for what fits the key; authority: for a certificate that
    issues others; renew, notify: when it is renewed, when its contacts are told; keep_previous: how long a version is
    kept enabled once the next one is there, for ever where it is not said.
    """

    issuer: str = SELF
    subject: str = ""
    dns_names: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    ip_addresses: frozenset[str] = frozenset()
    upns: frozenset[str] = frozenset()
    key: CertificateKey = CertificateKey()
    content_type: ContentType = PKCS12
    key_usage: frozenset[KeyUsage] | None = None
    extended_key_usage: frozenset[str] | None = None
    validity_months: int = 12
    authority: CertificateAuthority | None = None
    renew: Trigger | None = None
    notify: Trigger | None = None
    keep_previous: Duration | None = None

    @property
    def authority_path(self) -> tuple[str, str] | None:
        """The vault and name of the authority that issues it, None where none of this store does."""
        return authority_path(self.issuer)


def authority_path(issuer: str) -> tuple[str, str] | None:
    """Return the vault and name an issuer written `VAULT/certificates/NAME` stands for."""
    match issuer.split("/"):
        case [vault, "certificates", name]:
            return vault, name
        case _:
            return None


def resolved(policy: CertificatePolicy) -> CertificatePolicy:
    """Return the policy in one spelling, with what depends on other attributes filled in. It has no problems."""
    spec = policy.key.specification
    is_authority = policy.authority is not None
    usage, extended = policy.key_usage, policy.extended_key_usage
    if usage is None:
        usage = _default_usage(spec, is_authority)
    if extended is None:
        extended = frozenset() if is_authority else frozenset({"serverAuth", "clientAuth"})
    exportable = policy.key.exportable
    return msgspec.structs.replace(
        policy,
        issuer=policy.issuer.lower() if policy.authority_path else policy.issuer,
        subject=subject_rules.written(subject_rules.parts(policy.subject)),
        dns_names=frozenset(name.lower() for name in policy.dns_names),
        emails=frozenset(policy.emails),
        ip_addresses=frozenset(_address(address) or address for address in policy.ip_addresses),
        key=msgspec.structs.replace(
            policy.key,
            size=spec.size,
            curve=spec.curve,
            exportable=not spec.in_hsm if exportable is None else exportable,
        ),
        key_usage=usage,
        extended_key_usage=frozenset(_USAGE_OF.get(one, one) for one in extended),
        authority=_resolved_authority(policy.authority),
    )


def extended_key_usage_identifier(usage: str) -> str:
    """Return the object identifier of an extended key usage."""
    return EXTENDED_KEY_USAGES.get(usage, usage)


def problems(policy: CertificatePolicy) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path of the attribute, what is wrong) for a policy no vault would take."""
    yield from _issuer_problems(policy)
    if wrong := subject_rules.problem(policy.subject):
        yield ("subject",), wrong
    names = policy.dns_names | policy.emails | policy.ip_addresses | policy.upns
    if not policy.subject.strip() and not names:
        yield ("subject",), "a certificate needs a subject, such as `CN=www.example.com`, or a name"
    yield from _name_problems(policy)
    yield from _key_problems(policy)
    least, most = VALIDITY_MONTHS
    if not least <= policy.validity_months <= most:
        yield ("validity_months",), f"a certificate holds {least}-{most} months, not {policy.validity_months}"
    for usage in policy.extended_key_usage or ():
        if usage not in EXTENDED_KEY_USAGES and not _IDENTIFIER.match(usage):
            known = ", ".join(EXTENDED_KEY_USAGES)
            yield ("extended_key_usage",), f"`{usage}` is no extended key usage: {known}, or an object identifier"
    for attribute, trigger in (("renew", policy.renew), ("notify", policy.notify)):
        if trigger is not None:
            yield from _trigger_problems(attribute, trigger, policy.validity_months)
    if policy.renew is not None and policy.issuer == UNKNOWN:
        yield ("renew",), "what somebody else signs cannot be renewed by the vault: use `notify`"
    if policy.authority is not None:
        yield from _authority_problems(policy, policy.authority)


def dns_name_problem(name: str) -> str | None:
    """Return why this is no DNS name a certificate can be for, or None."""
    if len(name) <= 253 and _DNS_NAME.match(name.lower()) and not name.endswith("\n"):
        return None
    return f"`{name}` is no DNS name; one with other letters is written in its `xn--` form"


def looks_like_host(name: str) -> bool:
    """Tell whether a common name would be taken for a host's name."""
    return "." in name and dns_name_problem(name) is None


def _issuer_problems(policy: CertificatePolicy) -> Iterator[tuple[tuple[str, ...], str]]:
    if policy.issuer in (SELF, UNKNOWN):
        return
    path = policy.authority_path
    if path is not None:
        wrong = vault_name_problem(path[0]) or item_name_problem(path[1])
        if wrong:
            yield ("issuer",), wrong
    elif item_name_problem(policy.issuer):
        yield (
            ("issuer",),
            f"`{policy.issuer}` is no issuer: `Self`, `Unknown`, a certificate authority as VAULT/certificates/NAME, "
            "or the name of an issuer of the vault",
        )


def _name_problems(policy: CertificatePolicy) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in sorted(policy.dns_names):
        if wrong := dns_name_problem(name):
            yield ("dns_names",), wrong
    for email in sorted(policy.emails):
        if not _EMAIL.match(email.lower()) or email.endswith("\n"):
            yield ("emails",), f"`{email}` is no e-mail address in ASCII"
    for address in sorted(policy.ip_addresses):
        if _address(address) is None:
            yield ("ip_addresses",), f"`{address}` is no IP address"
    for upn in sorted(policy.upns):
        if not _UPN.match(upn) or upn.endswith("\n"):
            yield ("upns",), f"`{upn}` is no user principal name such as alice@example.com"


def _key_problems(policy: CertificatePolicy) -> Iterator[tuple[tuple[str, ...], str]]:
    key = policy.key
    if key_rules.family(key.type) not in ("RSA", "EC"):
        yield ("key", "type"), f"a certificate's key is of type RSA, RSA-HSM, EC or EC-HSM, not {key.type}"
        return
    for attribute, wrong in key_rules.problems(key.specification):
        yield ("key", attribute), wrong
    if key.exportable and key_rules.in_hsm(key.type):
        yield ("key", "exportable"), f"an {key.type} key never leaves its HSM: it cannot be exportable"


def _trigger_problems(attribute: str, trigger: Trigger, months: int) -> Iterator[tuple[tuple[str, ...], str]]:
    days, percentage = trigger.days_before_expiry, trigger.lifetime_percentage
    if (days is None) == (percentage is None):
        yield (attribute,), f"`{attribute}` says `days_before_expiry` or `lifetime_percentage`, one of them"
        return
    if days is not None and not 1 <= days <= months * DAYS_A_MONTH:
        most = months * DAYS_A_MONTH
        yield (attribute, "days_before_expiry"), f"within {months} months there are 1-{most} days, not {days}"
    least, highest = LIFETIME_PERCENTAGE
    if percentage is not None and not least <= percentage <= highest:
        yield (attribute, "lifetime_percentage"), f"a percentage of a lifetime is {least}-{highest}, not {percentage}"


def _authority_problems(
    policy: CertificatePolicy, authority: CertificateAuthority
) -> Iterator[tuple[tuple[str, ...], str]]:
    if authority.path_length is not None and not 0 <= authority.path_length <= 32:
        yield ("authority", "path_length"), f"a path length is 0-32, not {authority.path_length}"
    for attribute, names in (("permitted", authority.permitted), ("excluded", authority.excluded)):
        for name in sorted(names):
            if constraint_kind(name) is None:
                words = "a DNS name (it and all below it), an address range, or `@domain` for e-mail addresses"
                yield ("authority", attribute), f"`{name}` is none of: {words}"
    if authority.crl_url and not _URL.match(authority.crl_url):
        yield ("authority", "crl_url"), f"`{authority.crl_url}` is no http or https URL"
    if policy.key_usage is not None and not {"keyCertSign", "cRLSign"} <= policy.key_usage:
        yield ("key_usage",), "a certificate authority needs `keyCertSign` and `cRLSign`"
    if not policy.subject.strip():
        yield ("subject",), "a certificate authority needs a subject: what it issues names it"


def constraint_kind(name: str) -> Literal["dns", "email", "range"] | None:
    """Return what a permitted or excluded name is, None where it is nothing of these."""
    if name.startswith("@"):
        return "email" if dns_name_problem(name[1:]) is None and not name.startswith("@*") else None
    if address_range(name) is not None:
        return "range"
    return "dns" if dns_name_problem(name) is None and not name.startswith("*") else None


def address_range(text: str) -> str | None:
    """Return a range of addresses in one spelling, None where it is none. Host bits must be zero."""
    import ipaddress  # costs 5 ms, and most certificates have no addresses

    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        return None


def _address(text: str) -> str | None:
    import ipaddress

    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in str(found) else str(found)


def _default_usage(spec: KeySpecification, is_authority: bool) -> frozenset[KeyUsage]:
    if is_authority:
        return frozenset({"keyCertSign", "cRLSign"})
    # Only an RSA key can encipher another one.
    return frozenset({"digitalSignature", "keyEncipherment"} if spec.family == "RSA" else {"digitalSignature"})


def _resolved_authority(authority: CertificateAuthority | None) -> CertificateAuthority | None:
    if authority is None:
        return None

    def spelled(names: frozenset[str]) -> frozenset[str]:
        return frozenset(address_range(name) or name.lower() for name in names)

    return msgspec.structs.replace(
        authority, permitted=spelled(authority.permitted), excluded=spelled(authority.excluded)
    )
