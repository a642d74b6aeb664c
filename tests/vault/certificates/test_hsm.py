"""Certificates whose keys live in an HSM: signed there, kept there, and in no secret, file or backup."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from kvstack.hsm.find import find_module
from kvstack.terms.certificate import CertificateKey
from kvstack.terms.key import KeyType
from kvstack.vault.errors import Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.vault.certificates.policies import Outside, leaf, pem

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test keys in an HSM"
)
VAULT = "safe"
KINDS: tuple[KeyType, ...] = ("EC-HSM", "RSA-HSM")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[VaultService]:
    unlocked = initialise(tmp_path, hsm=True, prepare=initialise_access)
    service = VaultService(unlocked)
    service.create_vault(service.operator, VAULT, sku="premium")
    yield service
    unlocked.close()


def _secret(service: VaultService, name: str) -> bytes:
    value = service.get_secret(service.operator, VAULT, name).value
    assert value is not None
    return value.reveal()


@pytest.mark.parametrize("kind", KINDS)
def test_it_signs_itself_in_the_hsm_and_its_secret_holds_no_key(service: VaultService, kind: KeyType) -> None:
    operator = service.operator
    service.create_certificate(operator, VAULT, "web", policy=leaf(issuer="Self", key=CertificateKey(kind)))
    own = x509.load_der_x509_certificate(service.get_certificate(operator, VAULT, "web").der)
    own.verify_directly_issued_by(own)
    assert service.get_key(operator, VAULT, "web").provider.startswith("pkcs11")
    found = pkcs12.load_pkcs12(_secret(service, "web"), None)
    assert found.key is None
    assert found.cert is None
    assert [one.certificate for one in found.additional_certs] == [own]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_signed_there_and_merged(service: VaultService, kind: KeyType) -> None:
    operator = service.operator
    service.create_certificate(operator, VAULT, "web", policy=leaf(issuer="Unknown", key=CertificateKey(kind)))
    csr = service.get_pending_certificate(operator, VAULT, "web").csr
    assert x509.load_der_x509_csr(csr).is_signature_valid
    from datetime import UTC, datetime

    service.merge_certificate(operator, VAULT, "web", pem(Outside("Outer", datetime.now(UTC)).sign(csr)))
    algorithm = "ES256" if kind == "EC-HSM" else "RS256"
    assert service.sign(operator, VAULT, "web", algorithm=algorithm, digest=bytes(32)).value


def test_a_kept_key_outlives_its_request_and_a_purged_one_is_forgotten(service: VaultService) -> None:
    operator = service.operator
    policy = leaf(issuer="Self", key=CertificateKey("EC-HSM", reuse=True))
    first = service.create_certificate(operator, VAULT, "web", policy=policy)
    second = service.renew_certificate(operator, VAULT, "web")
    for version in (first.version, second.version):
        assert service.sign(operator, VAULT, "web", algorithm="ES256", digest=bytes(32), version=version).value
    service.delete_certificate(operator, VAULT, "web")
    service.purge_certificate(operator, VAULT, "web")
    assert service.list_deleted_keys(operator, VAULT) == ()


def test_a_key_taken_into_the_hsm_never_leaves_it_again(service: VaultService) -> None:
    from datetime import UTC, datetime

    operator = service.operator
    outside = Outside("www.example.org", datetime.now(UTC))
    pfx = pkcs12.serialize_key_and_certificates(b"www", outside.key, outside.certificate, None, NoEncryption())
    made = service.import_certificate(operator, VAULT, "www", pfx, hsm=True)
    assert made.policy.key.type == "EC-HSM"
    assert made.policy.key.exportable is False
    assert service.get_key(operator, VAULT, "www").provider.startswith("pkcs11")
    signature = service.sign(operator, VAULT, "www", algorithm="ES256", digest=bytes(32))
    assert service.verify(operator, VAULT, "www", algorithm="ES256", digest=bytes(32), signature=signature.value)
    private = outside.key.private_numbers().private_value.to_bytes(32, "big")
    assert private not in _secret(service, "www")


def test_a_backup_travels_as_the_hsm_wrapped_it(service: VaultService) -> None:
    operator = service.operator
    service.create_vault(operator, "other", sku="premium")
    service.create_vault(operator, "plain")
    service.create_certificate(operator, VAULT, "web", policy=leaf(issuer="Self", key=CertificateKey("EC-HSM")))
    blob = service.backup_certificate(operator, VAULT, "web")
    with pytest.raises(Exception, match="standard vault"):
        service.restore_certificate(operator, "plain", blob)
    service.restore_certificate(operator, "other", blob)
    assert service.sign(operator, "other", "web", algorithm="ES256", digest=bytes(32)).value
    with pytest.raises(Forbidden):
        service.delete_secret(operator, "other", "web")
