"""Certificates that are being made: orders, requests that somebody else signs, and what came back. In Azure's words."""

import base64
from typing import Final

import msgspec

from kvstack.server.answer import Answer, answered, bad_parameter
from kvstack.server.attributes import NO_ATTRIBUTES, GivenAttributes
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.certificate_policy import GivenPolicy, IssuerParameters, policy_of
from kvstack.server.data_plane.certificates import whole
from kvstack.server.data_plane.context import Asked
from kvstack.vault.errors import NotFound
from kvstack.vault.records import PendingCertificate

_ACCEPTED: Final = 202
_CREATED: Final = 201
_PEM_LINE: Final = 64


class CreateCertificate(msgspec.Struct, frozen=True):
    """What a client gives to have a certificate made."""

    policy: GivenPolicy | None = None
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None


class Merge(msgspec.Struct, frozen=True):
    """What a client gives to complete a request. x5c: the certificate and those above it, DER, base64."""

    x5c: list[str]
    attributes: GivenAttributes | None = None
    tags: dict[str, str] | None = None


class UpdateOperation(msgspec.Struct, frozen=True):
    """What a client gives to have a request given up."""

    cancellation_requested: bool


class CertificateOperation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the making of a certificate stands. csr: the request, DER, base64; target: the certificate, once it is
    there."""

    id: str
    issuer: IssuerParameters
    csr: str | None = None
    cancellation_requested: bool | None = None
    status: str
    status_details: str | None = None
    target: str | None = None
    request_id: str


def create_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """CreateCertificate: what the vault can sign itself is there when this is answered."""
    given = asked.request.document(CreateCertificate)
    attributes = given.attributes or NO_ATTRIBUTES
    name = names[0]
    policy = (
        policy_of(given.policy)
        if given.policy is not None
        else asked.service.get_certificate_policy(asked.caller, asked.vault, name)
    )
    item = asked.service.create_certificate(
        asked.caller,
        asked.vault,
        name,
        policy=policy,
        enabled=True if attributes.enabled is None else attributes.enabled,
        tags=given.tags,
    )
    if not item.pending:
        done = _done(asked, item.name, item.policy.issuer, item.version)
        # Azure takes its time, and its clients look for the certificate only once they were told to wait.
        return answered(msgspec.structs.replace(done, status="inProgress", target=None), _ACCEPTED)
    found = asked.service.get_pending_certificate(asked.caller, asked.vault, name)
    return answered(_waiting(asked, found), _ACCEPTED)


def get_certificate_operation(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetCertificateOperation: how the last one stands."""
    try:
        return answered(_waiting(asked, asked.service.get_pending_certificate(asked.caller, asked.vault, names[0])))
    except NotFound as error:
        if error.code != "PendingCertificateNotFound":
            raise
    found = asked.service.get_certificate(asked.caller, asked.vault, names[0], newest=True)
    return answered(_done(asked, found.name, found.policy.issuer, found.version))


def update_certificate_operation(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateCertificateOperation: a request is given up at once."""
    wanted = asked.request.document(UpdateOperation).cancellation_requested
    found = asked.service.get_pending_certificate(asked.caller, asked.vault, names[0])
    if wanted:
        asked.service.cancel_pending_certificate(asked.caller, asked.vault, names[0])
    return answered(_waiting(asked, found, cancelled=wanted))


def delete_certificate_operation(asked: Asked, names: tuple[str, ...]) -> Answer:
    """DeleteCertificateOperation: a request is given up and forgotten."""
    found = asked.service.get_pending_certificate(asked.caller, asked.vault, names[0])
    asked.service.cancel_pending_certificate(asked.caller, asked.vault, names[0])
    return answered(_waiting(asked, found, cancelled=True))


def merge_certificate(asked: Asked, names: tuple[str, ...]) -> Answer:
    """MergeCertificate: with what somebody else signed."""
    given = asked.request.document(Merge)
    content = "".join(_pem(one) for one in given.x5c).encode()
    merged = asked.service.merge_certificate(asked.caller, asked.vault, names[0], content, tags=given.tags)
    return answered(whole(asked, merged), _CREATED)


def _waiting(asked: Asked, one: PendingCertificate, *, cancelled: bool = False) -> CertificateOperation:
    return CertificateOperation(
        id=f"{asked.base}/certificates/{one.name}/pending",
        issuer=IssuerParameters(one.policy.issuer),
        csr=base64.b64encode(one.csr).decode(),
        cancellation_requested=cancelled,
        status="cancelled" if cancelled else "inProgress",
        status_details="Pending certificate created. Please Perform Merge to complete the request.",
        request_id=one.id,
    )


def _done(asked: Asked, name: str, issuer: str, version: str) -> CertificateOperation:
    return CertificateOperation(
        id=f"{asked.base}/certificates/{name}/pending",
        issuer=IssuerParameters(issuer),
        cancellation_requested=False,
        status="completed",
        target=f"{asked.base}/certificates/{name}",
        request_id=version,
    )


def _pem(text: str) -> str:
    """Return base64 of a DER certificate as PEM."""
    try:
        base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise bad_parameter("`x5c` has something that is not base64.") from None
    lines = "\n".join(text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


_PENDING: Final = ("certificates", "{}", "pending")

OPERATIONS: Final = (
    Operation("CreateCertificate", "POST", ("certificates", "{}", "create"), create_certificate, "working"),
    Operation("GetCertificateOperation", "GET", _PENDING, get_certificate_operation, "reading"),
    Operation("UpdateCertificateOperation", "PATCH", _PENDING, update_certificate_operation),
    Operation("DeleteCertificateOperation", "DELETE", _PENDING, delete_certificate_operation),
    Operation("MergeCertificate", "POST", (*_PENDING, "merge"), merge_certificate, "working"),
)
