"""Keys of type `-HSM` through the service, on a real PKCS#11 module."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kvstack.hsm.find import find_module
from kvstack.hsm.plain_key import PlainKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.terms.key import KeySpecification, KeyType
from kvstack.terms.key import specification as software_specification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, unlock
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test keys in an HSM"
)

DIGEST = hashlib.sha256(b"message").digest()
EC_HSM = KeySpecification("EC-HSM", None, "P-256")
RSA_HSM = KeySpecification("RSA-HSM", 2048)
OCT_HSM = KeySpecification("oct-HSM", 256)
VAULT = "safe"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[VaultService]:
    unlocked = initialise(tmp_path, hsm=True, prepare=initialise_access)
    service = VaultService(unlocked)
    service.create_vault(service.operator, VAULT, sku="premium")
    yield service
    unlocked.close()


@pytest.mark.parametrize(("specification", "algorithm"), [(EC_HSM, "ES256"), (RSA_HSM, "RS256"), (RSA_HSM, "PS256")])
def test_a_key_in_the_hsm_signs_before_and_after_a_restart(
    service: VaultService, tmp_path: Path, specification: KeySpecification, algorithm: str
) -> None:
    operator = service.operator
    made = service.create_key(operator, VAULT, "k", specification=specification)
    assert made.provider.startswith("pkcs11")
    first = service.sign(operator, VAULT, "k", algorithm=algorithm, digest=DIGEST)
    service.rotate_key(operator, VAULT, "k")
    check = {"algorithm": algorithm, "digest": DIGEST, "version": made.version}
    assert service.verify(operator, VAULT, "k", signature=first.value, **check)  # type: ignore[arg-type]
    assert not service.verify(operator, VAULT, "k", algorithm=algorithm, digest=DIGEST, signature=first.value)
    again = unlock(tmp_path)
    other = VaultService(again)
    second = other.sign(operator, VAULT, "k", **check)  # type: ignore[arg-type]
    assert service.verify(operator, VAULT, "k", signature=second.value, **check)  # type: ignore[arg-type]
    again.close()


@pytest.mark.parametrize(
    ("specification", "algorithm"), [(RSA_HSM, "RSA-OAEP"), (RSA_HSM, "RSA-OAEP-256"), (OCT_HSM, "A256GCM")]
)
def test_a_key_in_the_hsm_encrypts_and_decrypts(
    service: VaultService, specification: KeySpecification, algorithm: str
) -> None:
    operator = service.operator
    service.create_key(operator, VAULT, "k", specification=specification)
    made = service.encrypt(operator, VAULT, "k", algorithm=algorithm, plaintext=SecretValue("plain"))
    back = service.decrypt(
        operator, VAULT, "k", algorithm=algorithm, ciphertext=made.ciphertext, iv=made.iv, tag=made.tag
    )
    assert back.value.reveal() == b"plain"


def test_a_standard_vault_takes_no_hsm_key_and_a_premium_one_with_some_stays_premium(service: VaultService) -> None:
    operator = service.operator
    service.create_vault(operator, "plain")
    with pytest.raises(BadParameter, match="takes no EC-HSM key"):
        service.create_key(operator, "plain", "k", specification=EC_HSM)
    service.create_key(operator, VAULT, "k", specification=EC_HSM)
    for _ in range(2):
        with pytest.raises(Conflict, match="holds 1 HSM keys, a standard vault cannot"):
            service.update_vault(operator, VAULT, sku="standard")
        if not service.list_deleted_keys(operator, VAULT):
            service.delete_key(operator, VAULT, "k")
    service.purge_key(operator, VAULT, "k")
    assert service.update_vault(operator, VAULT, sku="standard").sku == "standard"
    with pytest.raises(NotFound):
        service.recover_key(operator, VAULT, "k")


def _plain(specification: KeySpecification) -> PlainKey:
    made = SoftwareKeys().generate(specification)
    return PlainKey(specification, made.blob, made.public)


@pytest.mark.parametrize("kind", ["RSA", "EC", "oct"])
def test_an_imported_key_lives_in_the_hsm_and_its_bytes_are_in_no_file(
    service: VaultService, tmp_path: Path, kind: KeyType
) -> None:
    operator = service.operator
    with _plain(software_specification(kind, None, None)) as plain:
        secret = plain.reveal()
        made = service.import_key(operator, VAULT, "k", plain, in_hsm=True)
    assert (made.specification.type, made.provider) == (f"{kind}-HSM", "pkcs11-wrapped")
    if kind == "oct":
        sealed = service.encrypt(operator, VAULT, "k", algorithm="A256GCM", plaintext=SecretValue("plain"))
        nonce, whole = sealed.iv, sealed.ciphertext + sealed.tag
        assert AESGCM(secret).decrypt(nonce, whole, None) == b"plain"
    else:
        algorithm = {"RSA": "RS256", "EC": "ES256"}[kind]
        signature = service.sign(operator, VAULT, "k", algorithm=algorithm, digest=DIGEST).value
        assert service.verify(operator, VAULT, "k", algorithm=algorithm, digest=DIGEST, signature=signature)
    searched = {"RSA": secret[400:432], "EC": secret[40:64], "oct": secret}[kind]  # of the private half
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if searched in path.read_bytes()]


def test_a_wrapped_key_is_backed_up_as_ciphertext_and_restored_to_its_own_token(service: VaultService) -> None:
    operator = service.operator
    first = service.create_key(operator, VAULT, "k", specification=EC_HSM)
    signature = service.sign(operator, VAULT, "k", algorithm="ES256", digest=DIGEST).value
    service.rotate_key(operator, VAULT, "k")
    before, blob = service.list_key_versions(operator, VAULT, "k"), service.backup_key(operator, VAULT, "k")
    service.delete_key(operator, VAULT, "k")
    service.purge_key(operator, VAULT, "k")
    service.restore_key(operator, VAULT, blob)
    assert service.list_key_versions(operator, VAULT, "k") == before
    check: dict[str, Any] = {"algorithm": "ES256", "digest": DIGEST}
    assert service.verify(operator, VAULT, "k", signature=signature, version=first.version, **check)
    assert service.sign(operator, VAULT, "k", version=first.version, **check).value
    service.create_vault(operator, "plain")
    with pytest.raises(BadParameter, match="takes no EC-HSM key"):
        service.restore_key(operator, "plain", blob)


def test_a_key_that_lives_in_its_token_has_no_backup(tmp_path: Path) -> None:
    unlocked = initialise(tmp_path, hsm=True, token=Token(keys_in_token=True), prepare=initialise_access)
    service = VaultService(unlocked)
    service.create_vault(service.operator, VAULT, sku="premium")
    service.create_key(service.operator, VAULT, "k", specification=EC_HSM)
    with pytest.raises(BadParameter, match="is an object of the token"):
        service.backup_key(service.operator, VAULT, "k")
    unlocked.close()


def test_random_bytes_come_from_the_hsm(service: VaultService) -> None:
    assert len(service.random_bytes(service.operator, VAULT, 64)) == 64
