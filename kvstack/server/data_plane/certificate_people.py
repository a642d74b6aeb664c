"""Whom to tell of a vault's certificates, and who issues them, in Azure's words."""

from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.attributes import Attributes, GivenAttributes, seconds
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked, page
from kvstack.vault.certificates.rows import Contact, Issuer


class GivenContact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One contact."""

    email: str
    name: str | None = None
    phone: str | None = None


class Contacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All contacts of a vault."""

    contacts: list[GivenContact]
    id: str | None = None


class Credentials(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a vault is known to an issuer. pwd is taken and kept nowhere: this vault asks no company for anything."""

    account_id: str | None = None
    pwd: str | None = None

    def __repr__(self) -> str:
        return "Credentials(****)"


class Organization(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose account it is. admin_details are taken and not kept."""

    id: str | None = None
    admin_details: list[dict[str, Any]] | None = None


class GivenIssuer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An issuer as clients give it and get it."""

    id: str | None = None
    provider: str | None = None
    credentials: Credentials | None = None
    org_details: Organization | None = None
    attributes: GivenAttributes | None = None


class IssuerBundle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An issuer as clients get it, in whole or in a list."""

    id: str
    provider: str
    credentials: Credentials | None = None
    org_details: Organization | None = None
    attributes: Attributes | None = None


def get_contacts(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetCertificateContacts."""
    found = asked.service.get_contacts(asked.caller, asked.vault)
    if not found:
        raise _no_contacts()
    return answered(_contacts(asked, found))


def set_contacts(asked: Asked, _: tuple[str, ...]) -> Answer:
    """SetCertificateContacts: in place of those that are there."""
    wanted = tuple(
        Contact(email=one.email, name=one.name or "", phone=one.phone or "")
        for one in asked.request.document(Contacts).contacts
    )
    return answered(_contacts(asked, asked.service.set_contacts(asked.caller, asked.vault, wanted)))


def delete_contacts(asked: Asked, _: tuple[str, ...]) -> Answer:
    """DeleteCertificateContacts: nobody is told any more."""
    there = asked.service.get_contacts(asked.caller, asked.vault)
    if not there:
        raise _no_contacts()
    asked.service.set_contacts(asked.caller, asked.vault, ())
    return answered(_contacts(asked, there))


def get_issuers(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetCertificateIssuers: a page of them."""
    found = asked.service.list_issuers(asked.caller, asked.vault)
    return page(
        asked,
        found,
        lambda one: one.folded,
        lambda one: IssuerBundle(id=_id(asked, one), provider=one.provider),
        "/certificates/issuers",
    )


def get_issuer(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetCertificateIssuer."""
    return answered(_issuer(asked, asked.service.get_issuer(asked.caller, asked.vault, names[0])))


def set_issuer(asked: Asked, names: tuple[str, ...]) -> Answer:
    """SetCertificateIssuer: a new one, or in place of the one that is there."""
    given = asked.request.document(GivenIssuer)
    attributes, credentials = given.attributes or GivenAttributes(), given.credentials or Credentials()
    made = asked.service.put_issuer(
        asked.caller,
        asked.vault,
        names[0],
        provider=given.provider or "",
        account_id=credentials.account_id or "",
        organization_id=(given.org_details or Organization()).id or "",
        enabled=True if attributes.enabled is None else attributes.enabled,
    )
    return answered(_issuer(asked, made))


def update_issuer(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateCertificateIssuer: what is not given stays."""
    given = asked.request.document(GivenIssuer)
    there = asked.service.get_issuer(asked.caller, asked.vault, names[0])
    attributes, credentials = given.attributes or GivenAttributes(), given.credentials or Credentials()
    organization = (given.org_details or Organization()).id
    changed = asked.service.put_issuer(
        asked.caller,
        asked.vault,
        there.name,
        provider=there.provider if given.provider is None else given.provider,
        authority=there.authority,
        account_id=there.account_id if credentials.account_id is None else credentials.account_id,
        organization_id=there.organization_id if organization is None else organization,
        enabled=there.enabled if attributes.enabled is None else attributes.enabled,
    )
    return answered(_issuer(asked, changed))


def delete_issuer(asked: Asked, names: tuple[str, ...]) -> Answer:
    """DeleteCertificateIssuer: what it issued stays."""
    return answered(_issuer(asked, asked.service.delete_issuer(asked.caller, asked.vault, names[0])))


def _contacts(asked: Asked, found: tuple[Contact, ...]) -> Contacts:
    contacts = [GivenContact(one.email, one.name or None, one.phone or None) for one in found]
    return Contacts(contacts, f"{asked.base}/certificates/contacts")


def _no_contacts() -> Refusal:
    return Refusal(refused(404, "ContactsNotFound", "Contacts not found"))


def _issuer(asked: Asked, one: Issuer) -> IssuerBundle:
    return IssuerBundle(
        id=_id(asked, one),
        provider=one.provider,
        credentials=Credentials(one.account_id) if one.account_id else None,
        org_details=Organization(one.organization_id) if one.organization_id else None,
        attributes=Attributes(enabled=one.enabled, created=seconds(one.created), updated=seconds(one.updated)),
    )


def _id(asked: Asked, one: Issuer) -> str:
    return f"{asked.base}/certificates/issuers/{one.name}"


_CONTACTS: Final = ("certificates", "contacts")
_ISSUERS: Final = ("certificates", "issuers")

OPERATIONS: Final = (
    Operation("GetCertificateContacts", "GET", _CONTACTS, get_contacts, "reading"),
    Operation("SetCertificateContacts", "PUT", _CONTACTS, set_contacts),
    Operation("DeleteCertificateContacts", "DELETE", _CONTACTS, delete_contacts),
    Operation("GetCertificateIssuers", "GET", _ISSUERS, get_issuers, "reading"),
    Operation("GetCertificateIssuer", "GET", (*_ISSUERS, "{}"), get_issuer, "reading"),
    Operation("SetCertificateIssuer", "PUT", (*_ISSUERS, "{}"), set_issuer),
    Operation("UpdateCertificateIssuer", "PATCH", (*_ISSUERS, "{}"), update_issuer),
    Operation("DeleteCertificateIssuer", "DELETE", (*_ISSUERS, "{}"), delete_issuer),
)
