"""The operations on certificates, requests and people aside, in Azure's words. Source: certificates.json."""

import base64
from typing import Final

import msgspec
from msgspec import UNSET

from kvstack.server.answer import NOTHING, Answer, answered, bad_parameter
from kvstack.server.attributes import NO_ATTRIBUTES, Attributes, GivenAttributes
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.certificate_policy import GivenPolicy, policy_of, told_policy
from kvstack.server.data_plane.context import (
    Asked,
    Backup,
    bytes_of,
    item_attributes,
    item_page,
    page,
    place,
    recovery,
    text_of,
    version_attributes,
)
from kvstack.terms.certificate import PEM, CertificatePolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.records import Certificate, CertificateVersion


class ImportCertificate(msgspec.Struct, frozen=True):
    """What a client gives to have a certificate taken in. value: base64 of a PFX, or PEM."""

    value: str
    pwd: str | None = None
    policy: GivenPolicy | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None

    def __repr__(self) -> str:
        return "ImportCertificate(****)"


class UpdateCertificate(msgspec.Struct, frozen=True):
    """What a client gives to change a version's attributes."""

    policy: GivenPolicy | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None


class CertificateBundle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A certificate as clients get it, alive or deleted, in whole or in a list. x5t: its SHA-1, base64url; cer: DER,
    base64."""

    id: str
    kid: str | None = None
    sid: str | None = None
    x5t: str | None = None
    policy: GivenPolicy | None = None
    cer: str | None = None
    contentType: str | None = None  # noqa: N815
    attributes: Attributes
    tags: dict[str, str] | None = None
    recoveryId: str | None = None  # noqa: N815
    deletedDate: int | None = None  # noqa: N815
    scheduledPurgeDate: int | None = None  # noqa: N815


def get_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetCertificate."""
    name, version = place(names)
    return answered(bundle(asked, asked.service.get_certificate(asked.caller, asked.vault, name, version=version)))


def import_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """ImportCertificate: with its key."""
    given = asked.request.document(ImportCertificate)
    policy = policy_of(given.policy) if given.policy is not None else CertificatePolicy()
    attributes = given.attributes or NO_ATTRIBUTES
    told = given.policy.secret_props if given.policy is not None else None
    item = asked.service.import_certificate(
        asked.caller,
        asked.vault,
        names[0],
        _content(given.value),
        password=SecretValue(given.pwd) if given.pwd else None,
        content_type=policy.content_type if told is not None and told.contentType is not None else None,
        exportable=policy.key.exportable is not False,
        hsm=policy.key.type.endswith("-HSM"),
        enabled=True if attributes.enabled is None else attributes.enabled,
        tags=given.tags,
    )
    return answered(whole(asked, item))


def update_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateCertificate: the attributes of a version; what is not given stays."""
    name, version = place(names)
    given = asked.request.document(UpdateCertificate)
    attributes = given.attributes or NO_ATTRIBUTES
    if given.policy is not None:
        _changed_policy(asked, name, given.policy)
    asked.service.update_certificate(
        asked.caller,
        asked.vault,
        name,
        version=version,
        enabled=UNSET if attributes.enabled is None else attributes.enabled,
        tags=UNSET if given.tags is None else given.tags,
    )
    found = asked.service.told_certificate(asked.vault, name, version)
    return answered(bundle(asked, found))


def get_certificates(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetCertificates: a page of those that are alive, and of those that are pending where they are asked for."""
    if asked.request.query.get("includePending", "").lower() != "true":
        return item_page(asked, "certificates", lambda one: _item(asked, one), "/certificates")
    found = asked.service.list_certificates(asked.caller, asked.vault, include_pending=True)
    more = "&includePending=true"
    return page(asked, found, lambda one: one.folded, lambda one: _item(asked, one), "/certificates", more)


def get_certificate_versions(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetCertificateVersions: a page of a certificate's versions; of none there is an empty one."""
    found = asked.service.list_certificate_versions(asked.caller, asked.vault, names[0])
    ordered = sorted(found, key=lambda one: one.version)
    path = f"/certificates/{names[0]}/versions"
    return page(asked, ordered, lambda one: one.version, lambda one: _version(asked, one), path)


def delete_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """DeleteCertificate: it can be recovered, with its key and its secret."""
    return answered(whole(asked, asked.service.delete_certificate(asked.caller, asked.vault, names[0])))


def get_deleted_certificates(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetDeletedCertificates: a page of those that can be recovered."""
    return item_page(asked, "certificates", lambda one: _item(asked, one), "/deletedcertificates", deleted=True)


def get_deleted_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetDeletedCertificate."""
    return answered(whole(asked, asked.service.get_deleted_certificate(asked.caller, asked.vault, names[0])))


def recover_deleted_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """RecoverDeletedCertificate."""
    return answered(whole(asked, asked.service.recover_certificate(asked.caller, asked.vault, names[0])))


def purge_deleted_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """PurgeDeletedCertificate: gone for good, with its key and its secret."""
    asked.service.purge_certificate(asked.caller, asked.vault, names[0])
    return NOTHING


def backup_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """BackupCertificate."""
    return answered({"value": text_of(asked.service.backup_certificate(asked.caller, asked.vault, names[0]))})


def restore_certificate(asked: Asked, _: tuple[str, ...]) -> Answer:
    """RestoreCertificate."""
    blob = bytes_of("value", asked.request.document(Backup).value)
    return answered(whole(asked, asked.service.restore_certificate(asked.caller, asked.vault, blob)))


def get_certificate_policy(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetCertificatePolicy."""
    policy = asked.service.get_certificate_policy(asked.caller, asked.vault, names[0])
    return answered(told_policy(policy, f"{asked.base}/certificates/{names[0]}/policy"))


def update_certificate_policy(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateCertificatePolicy: how the next versions are made; what is not given stays."""
    policy = _changed_policy(asked, names[0], asked.request.document(GivenPolicy))
    return answered(told_policy(policy, f"{asked.base}/certificates/{names[0]}/policy"))


def bundle(asked: Asked, one: CertificateVersion) -> CertificateBundle:
    """Return a version as clients get it."""
    return CertificateBundle(
        id=f"{asked.base}/certificates/{one.name}/{one.version}",
        kid=f"{asked.base}/keys/{one.name}/{one.version}",
        sid=f"{asked.base}/secrets/{one.name}/{one.version}",
        x5t=text_of(bytes.fromhex(one.thumbprint)),
        policy=told_policy(one.policy, f"{asked.base}/certificates/{one.name}/policy"),
        cer=base64.b64encode(one.der).decode(),
        contentType=one.policy.content_type,
        attributes=version_attributes(asked, one),
        tags=dict(one.tags) or None,
    )


def whole(asked: Asked, item: Certificate) -> CertificateBundle:
    """Return a certificate with its newest version, and since when it is deleted."""
    if not item.version:
        return _item(asked, item)
    told = bundle(asked, asked.service.newest_certificate(item))
    return msgspec.structs.replace(told, **recovery(asked, item, "deletedcertificates"))


def _version(asked: Asked, one: CertificateVersion) -> CertificateBundle:
    return CertificateBundle(
        id=f"{asked.base}/certificates/{one.name}/{one.version}",
        x5t=text_of(bytes.fromhex(one.thumbprint)),
        attributes=version_attributes(asked, one),
        tags=dict(one.tags) or None,
    )


def _item(asked: Asked, one: Certificate) -> CertificateBundle:
    return CertificateBundle(
        id=f"{asked.base}/certificates/{one.name}",
        x5t=text_of(bytes.fromhex(one.thumbprint)) if one.thumbprint else None,
        attributes=item_attributes(asked, one),
        tags=dict(one.tags) or None,
        **recovery(asked, one, "deletedcertificates"),
    )


def _changed_policy(asked: Asked, name: str, given: GivenPolicy) -> CertificatePolicy:
    there = asked.service.get_certificate_policy(asked.caller, asked.vault, name)
    return asked.service.set_certificate_policy(asked.caller, asked.vault, name, policy_of(given, there))


def _content(value: str) -> bytes:
    """Return a file that was given as PEM, or as base64 of either kind."""
    if "-----BEGIN " in value:
        return value.encode()
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except ValueError:
        raise bad_parameter(f"`value` is neither base64 nor PEM ({PEM}).") from None


OPERATIONS: Final = (
    Operation("GetCertificate", "GET", ("certificates", "{}"), get_certificate, "reading"),
    Operation("GetCertificate", "GET", ("certificates", "{}", "{}"), get_certificate, "reading"),
    Operation("ImportCertificate", "POST", ("certificates", "{}", "import"), import_certificate, "working"),
    Operation("UpdateCertificate", "PATCH", ("certificates", "{}"), update_certificate),
    Operation("UpdateCertificate", "PATCH", ("certificates", "{}", "{}"), update_certificate),
    Operation("GetCertificates", "GET", ("certificates",), get_certificates, "reading"),
    Operation("GetCertificateVersions", "GET", ("certificates", "{}", "versions"), get_certificate_versions, "reading"),
    Operation("DeleteCertificate", "DELETE", ("certificates", "{}"), delete_certificate),
    Operation("BackupCertificate", "POST", ("certificates", "{}", "backup"), backup_certificate, "working"),
    Operation("RestoreCertificate", "POST", ("certificates", "restore"), restore_certificate, "working"),
    Operation("GetDeletedCertificates", "GET", ("deletedcertificates",), get_deleted_certificates, "reading"),
    Operation("GetDeletedCertificate", "GET", ("deletedcertificates", "{}"), get_deleted_certificate, "reading"),
    Operation(
        "RecoverDeletedCertificate", "POST", ("deletedcertificates", "{}", "recover"), recover_deleted_certificate
    ),
    Operation("PurgeDeletedCertificate", "DELETE", ("deletedcertificates", "{}"), purge_deleted_certificate),
    Operation("GetCertificatePolicy", "GET", ("certificates", "{}", "policy"), get_certificate_policy, "reading"),
    Operation("UpdateCertificatePolicy", "PATCH", ("certificates", "{}", "policy"), update_certificate_policy),
)
