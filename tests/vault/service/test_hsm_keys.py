"""Keys of type `-HSM` through the service, on a real PKCS#11 module."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, unlock
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
