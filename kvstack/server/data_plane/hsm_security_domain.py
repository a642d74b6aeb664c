"""The security domain of a Managed HSM, in Azure's words. Source: azure/openapi/data-plane, securitydomain.json.

Azure's clients take the security domain for a text, which it is here, too: a document of kvstack's own. Shares are
opened, and encrypted to the transfer key, where the custodians' keys are: by `kvstack hsm security-domain prepare`.
"""

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from kvstack.server.answer import Answer, Header, Refusal, answered, bad_parameter
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked, bytes_of, text_of
from kvstack.vault.security_domains import READ_DOWNLOAD, READ_UPLOAD

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

    from kvstack.terms.custodian import Custodian

_MOST_CERTIFICATES: Final = 10
_LONGEST_CERTIFICATE: Final = 1 << 15


class GivenKey(msgspec.Struct, frozen=True):
    """A custodian's public key, as a JSON Web Key with its certificate. x5c: base64, DER."""

    x5c: list[str]
    kty: str = "RSA"
    n: str | None = None
    e: str | None = None


class GivenCustodians(msgspec.Struct, frozen=True):
    """For whom a security domain is drawn. required: how many of them restore it."""

    certificates: list[GivenKey]
    required: int | None = None


class GivenDomain(msgspec.Struct, frozen=True):
    """A security domain on its way here."""

    value: str

    def __repr__(self) -> str:
        return "GivenDomain(****)"


def download(asked: Asked, _: tuple[str, ...]) -> Answer:
    """Download: the Managed HSM is activated by it."""
    given = asked.request.document(GivenCustodians)
    if len(given.certificates) > _MOST_CERTIFICATES:
        raise bad_parameter(f"`certificates` are at most {_MOST_CERTIFICATES}.")
    if given.required is None:
        raise bad_parameter("`required` is missing: how many of the certificates' keys restore the security domain.")
    custodians = [_custodian(one) for one in given.certificates]
    document = asked.service.download_security_domain(asked.caller, asked.vault, custodians, given.required)
    return _begun(answered({"value": document.decode()}, 202), asked, "download")


def download_status(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetDownloadStatus."""
    return _status(asked.service.security_domain_is_there(asked.caller, asked.vault, READ_DOWNLOAD))


def get_transfer_key(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetTransferKey: what shares are encrypted to on their way here."""
    from cryptography import x509

    certificate = asked.service.get_transfer_key(asked.caller, asked.vault)
    numbers = cast("RSAPublicKey", x509.load_der_x509_certificate(certificate).public_key()).public_numbers()
    return answered({"key_format": "jwk", "transfer_key": _transfer_key(certificate, numbers)})


def upload(asked: Asked, _: tuple[str, ...]) -> Answer:
    """Upload: the Managed HSM is activated by it, or its new tokens join."""
    given = asked.request.document(GivenDomain)
    asked.service.upload_transferred_security_domain(asked.caller, asked.vault, given.value.encode())
    return _begun(answered({"status": "Success", "status_details": None}, 202), asked, "upload")


def upload_status(asked: Asked, _: tuple[str, ...]) -> Answer:
    """GetUploadStatus."""
    return _status(asked.service.security_domain_is_there(asked.caller, asked.vault, READ_UPLOAD))


def _status(activated: bool) -> Answer:
    details = None if activated else "No security domain was downloaded or uploaded yet."
    return answered({"status": "Success" if activated else "InProgress", "status_details": details})


def _begun(answer: Answer, asked: Asked, what: str) -> Answer:
    address = f"{asked.base}/securitydomain/{what}/pending?api-version={asked.request.query['api-version']}"
    status: Header = (b"azure-asyncoperation", address.encode())
    return Answer(answer.status, answer.body, (*answer.headers, status))


def _custodian(given: GivenKey) -> "Custodian":
    """Return whom a certificate is of. Raises Refusal."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from kvstack.hsm.protocol import DomainUnfit
    from kvstack.hsm.security_domain import custodian

    if not given.x5c or len(given.x5c[0]) > _LONGEST_CERTIFICATE:
        raise _no_certificate()
    try:
        read = x509.load_der_x509_certificate(base64.b64decode("".join(given.x5c[0].split()), validate=True))
        found = custodian(read.public_bytes(Encoding.PEM))
        numbers = cast("RSAPublicKey", read.public_key()).public_numbers()
    except DomainUnfit as error:
        raise bad_parameter(f"`certificates`: {error.diagnostics[0].summary}.") from None
    except (ValueError, binascii.Error):
        raise _no_certificate() from None
    # Two keys in one: what is told of one must not be encrypted to the other.
    if any(
        text is not None and int.from_bytes(bytes_of(name, text)) != number
        for name, text, number in (("n", given.n, numbers.n), ("e", given.e, numbers.e))
    ):
        raise bad_parameter("`certificates`: `n` and `e` are of another key than the certificate in `x5c`.")
    return found


def _no_certificate() -> Refusal:
    return bad_parameter("`certificates`: each has its X.509 certificate in `x5c`, base64 of its DER.")


def _transfer_key(certificate: bytes, numbers: "RSAPublicNumbers") -> dict[str, Any]:
    import hashlib

    digest = text_of(hashlib.sha256(certificate).digest())
    return {
        "kid": digest,
        "kty": "RSA",
        "key_ops": ["encrypt", "wrapKey"],
        "n": text_of(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": text_of(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)),
        "x5c": [base64.b64encode(certificate).decode()],
        "x5t#S256": digest,
        "use": "enc",
        "alg": "RSA-OAEP-256",
    }


_DOMAIN: Final = "securitydomain"
_SINCE: Final = "7.2"

OPERATIONS: Final = (
    Operation("Download", "POST", (_DOMAIN, "download"), download, "working", _SINCE),
    Operation("GetDownloadStatus", "GET", (_DOMAIN, "download", "pending"), download_status, "reading", _SINCE),
    Operation("GetTransferKey", "GET", (_DOMAIN, "upload"), get_transfer_key, "working", _SINCE),
    Operation("Upload", "POST", (_DOMAIN, "upload"), upload, "working", _SINCE),
    Operation("GetUploadStatus", "GET", (_DOMAIN, "upload", "pending"), upload_status, "reading", _SINCE),
)
