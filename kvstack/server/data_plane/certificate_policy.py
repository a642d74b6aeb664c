"""Certificate policies in Azure's words: how a certificate is made, now and at every renewal."""

from typing import Any, Final, TypeVar, cast, get_args

import msgspec

from kvstack.server.answer import bad_parameter
from kvstack.terms import certificate as terms
from kvstack.terms.certificate import CertificateKey, CertificatePolicy, ContentType, KeyUsage, Trigger
from kvstack.terms.key import CURVES, KEY_TYPES, Curve, KeyType

T = TypeVar("T")
RENEW: Final = "AutoRenew"
NOTIFY: Final = "EmailContacts"
_NEW: Final = CertificatePolicy()


class KeyProperties(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key a certificate is for."""

    exportable: bool | None = None
    kty: str | None = None
    key_size: int | None = None
    reuse_key: bool | None = None
    crv: str | None = None


class SecretProperties(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the certificate's secret is written."""

    contentType: str | None = None  # noqa: N815


class AlternativeNames(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a certificate is for beside its subject."""

    emails: list[str] | None = None
    dns_names: list[str] | None = None
    upns: list[str] | None = None
    ipAddresses: list[str] | None = None  # noqa: N815
    uris: list[str] | None = None


class X509Properties(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in the certificate."""

    subject: str | None = None
    ekus: list[str] | None = None
    sans: AlternativeNames | None = None
    key_usage: list[str] | None = None
    validity_months: int | None = None


class LifetimeTrigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """When something is done: one of the two."""

    lifetime_percentage: int | None = None
    days_before_expiry: int | None = None


class LifetimeActionType(msgspec.Struct, frozen=True):
    """What is done: `AutoRenew` or `EmailContacts`."""

    action_type: str


class LifetimeAction(msgspec.Struct, frozen=True):
    """One thing that is done in a certificate's life."""

    trigger: LifetimeTrigger
    action: LifetimeActionType


class IssuerParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who issues it."""

    name: str | None = None
    cty: str | None = None
    cert_transparency: bool | None = None


class GivenPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy as clients give it and get it."""

    id: str | None = None
    key_props: KeyProperties | None = None
    secret_props: SecretProperties | None = None
    x509_props: X509Properties | None = None
    lifetime_actions: list[LifetimeAction] | None = None
    issuer: IssuerParameters | None = None
    attributes: dict[str, Any] | None = None


def policy_of(given: GivenPolicy, there: CertificatePolicy = _NEW) -> CertificatePolicy:
    """Return the vault's policy. there: what is not given stays as in this one. Raises Refusal."""
    key, x509 = given.key_props or KeyProperties(), given.x509_props or X509Properties()
    names = x509.sans or AlternativeNames()
    if names.uris:
        raise bad_parameter("`policy.x509_props.sans.uris`: certificates of this vault have no URIs.")
    changed: dict[str, Any] = {
        "issuer": given.issuer.name if given.issuer is not None else None,
        "subject": x509.subject,
        "dns_names": _set(names.dns_names),
        "emails": _set(names.emails),
        "ip_addresses": _set(names.ipAddresses),
        "upns": _set(names.upns),
        "key": _key(key, there.key) if given.key_props is not None else None,
        "content_type": _content_type(given.secret_props),
        "key_usage": _usages(x509.key_usage),
        "extended_key_usage": _set(x509.ekus),
        "validity_months": x509.validity_months,
    }
    policy = msgspec.structs.replace(there, **{name: value for name, value in changed.items() if value is not None})
    if given.lifetime_actions is None:
        return policy
    renew, notify = _actions(given.lifetime_actions)
    return msgspec.structs.replace(policy, renew=renew, notify=notify)


def told_policy(policy: CertificatePolicy, identifier: str) -> GivenPolicy:
    """Return a policy as clients get it."""
    key = policy.key
    actions = [
        LifetimeAction(LifetimeTrigger(when.lifetime_percentage, when.days_before_expiry), LifetimeActionType(what))
        for what, when in ((RENEW, policy.renew), (NOTIFY, policy.notify))
        if when is not None
    ]
    extended = sorted(terms.extended_key_usage_identifier(one) for one in policy.extended_key_usage or ())
    return GivenPolicy(
        id=identifier,
        key_props=KeyProperties(key.exportable, key.type, key.size, key.reuse, key.curve),
        secret_props=SecretProperties(policy.content_type),
        x509_props=X509Properties(
            subject=policy.subject,
            ekus=extended,
            sans=AlternativeNames(
                sorted(policy.emails) or None,
                sorted(policy.dns_names) or None,
                sorted(policy.upns) or None,
                sorted(policy.ip_addresses) or None,
            ),
            key_usage=sorted(policy.key_usage or ()),
            validity_months=policy.validity_months,
        ),
        lifetime_actions=actions,
        issuer=IssuerParameters(policy.issuer),
    )


def _key(given: KeyProperties, there: CertificateKey) -> CertificateKey:
    kind = there.type if given.kty is None else _one_of("key_props.kty", given.kty, KEY_TYPES)
    other = kind != there.type
    curve = given.crv if given.crv is not None else None if other else there.curve
    return CertificateKey(
        type=cast(KeyType, kind),
        size=given.key_size if given.key_size is not None else None if other else there.size,
        curve=cast("Curve | None", None if curve is None else _one_of("key_props.crv", curve, CURVES)),
        reuse=there.reuse if given.reuse_key is None else given.reuse_key,
        exportable=there.exportable if given.exportable is None else given.exportable,
    )


def _content_type(given: SecretProperties | None) -> ContentType | None:
    if given is None or given.contentType is None:
        return None
    return cast(ContentType, _one_of("secret_props.contentType", given.contentType, terms.CONTENT_TYPES))


def _usages(given: list[str] | None) -> frozenset[KeyUsage] | None:
    if given is None:
        return None
    return frozenset(cast(KeyUsage, _one_of("x509_props.key_usage", one, get_args(KeyUsage))) for one in given)


def _actions(given: list[LifetimeAction]) -> tuple[Trigger | None, Trigger | None]:
    """Return when it is renewed, and when people are told."""
    found: dict[str, Trigger] = {}
    for one in given:
        what = _one_of("lifetime_actions.action.action_type", one.action.action_type, (RENEW, NOTIFY))
        if what in found:
            raise bad_parameter(f"`policy.lifetime_actions` has `{what}` twice.")
        found[what] = Trigger(one.trigger.days_before_expiry, one.trigger.lifetime_percentage)
    return found.get(RENEW), found.get(NOTIFY)


def _one_of(path: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise bad_parameter(f"`policy.{path}` is one of {', '.join(known)}.")
    return given


def _set(given: list[str] | None) -> frozenset[str] | None:
    return frozenset(given) if given is not None else None
