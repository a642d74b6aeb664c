"""The store's own token under a security domain: waits for its custodians, survives the loss of the token."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kvstack.hsm.protocol import HsmError
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Conflict, Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, recover
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import Unlocked, unlock
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.pools import custodians, keys

pytestmark = requires_softhsm

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SPECIFICATION = KeySpecification("EC-HSM", None, "P-256")
DIGEST = bytes(32)
RECOVERY = rsa.generate_private_key(65537, 2048)
RECOVERY_PUBLIC = RECOVERY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RECOVERY_PRIVATE = RECOVERY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def made(folder: Path, **more: object) -> Unlocked:
    arguments = {"custodians": custodians("alice", "bob", "carol"), "quorum": 2, **more}
    unlocked = initialise(
        folder,
        hsm=softhsm(),
        recovery_key=RECOVERY_PUBLIC,
        prepare=initialise_access,
        **arguments,  # type: ignore[arg-type]  # each under its own name
    )
    service = VaultService(unlocked)
    service.create_vault(service.operator, "home", sku="premium")
    return unlocked


def signs(unlocked: Unlocked) -> bytes:
    service = VaultService(unlocked)
    return service.sign(service.operator, "home", "k", algorithm="ES256", digest=DIGEST).value


def test_hsm_keys_wait_for_the_download_and_then_work(tmp_path: Path) -> None:
    unlocked = made(tmp_path)
    service = VaultService(unlocked)
    with pytest.raises(HsmError, match="wait for the security domain"):
        service.create_key(service.operator, "home", "k", specification=SPECIFICATION)
    document = service.download_own_security_domain(service.operator)
    assert service.download_own_security_domain(service.operator) == document
    service.create_key(service.operator, "home", "k", specification=SPECIFICATION)
    assert signs(unlocked)
    unlocked.close()
    again = unlock(tmp_path)
    assert signs(again)
    again.close()


def test_a_lost_token_comes_back_by_the_recovery_key_and_a_quorum(tmp_path: Path) -> None:
    unlocked = made(tmp_path)
    service = VaultService(unlocked)
    document = service.download_own_security_domain(service.operator)
    service.create_key(service.operator, "home", "k", specification=SPECIFICATION)
    unlocked.close()
    shutil.rmtree(tmp_path / ".kvstack" / "hsm")
    recovered = recover(tmp_path, RECOVERY_PRIVATE, hsm=softhsm()).unlocked
    service = VaultService(recovered)
    with pytest.raises(HsmError, match="wait for the security domain"):
        signs(recovered)
    with pytest.raises(HsmError, match="needs the keys of 2"):
        service.upload_own_security_domain(service.operator, document, keys("alice"))
    uploads = [one for one in recovered.audit.records() if one.operation == "SecurityDomainUpload"]
    # What custodians bring wrong is their fault, not the vault's.
    assert [(one.result, one.status) for one in uploads] == [("BadParameter", 400)]
    with pytest.raises(HsmError, match="wait for the security domain"):
        signs(recovered)
    service.upload_own_security_domain(service.operator, document, keys("alice", "carol"))
    assert signs(recovered)
    with pytest.raises(Conflict, match="has the root"):
        service.upload_own_security_domain(service.operator, document, keys("alice", "carol"))
    recovered.close()
    again = unlock(tmp_path)
    assert signs(again)
    again.close()


def test_another_stores_domain_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other")
    service = VaultService(other)
    foreign = service.download_own_security_domain(service.operator)
    other.close()
    (tmp_path / "own").mkdir()
    unlocked = made(tmp_path / "own")
    service = VaultService(unlocked)
    with pytest.raises(BadParameter, match="not this store's"):
        service.upload_own_security_domain(service.operator, foreign, keys("alice", "bob"))
    unlocked.close()


def test_a_store_without_custodians_has_none(tmp_path: Path) -> None:
    unlocked = made(tmp_path, custodians=(), quorum=0)
    service = VaultService(unlocked)
    with pytest.raises(Conflict, match="has generated its root itself"):
        service.download_own_security_domain(service.operator)
    service.create_key(service.operator, "home", "k", specification=SPECIFICATION)
    with pytest.raises(Forbidden):
        service.download_own_security_domain(Caller("nobody"))
    unlocked.close()


def test_custodians_without_an_hsm_or_too_few_are_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(KvstackError, match="there is none"):
        initialise(tmp_path, hsm=False, custodians=custodians("alice", "bob", "carol"), quorum=2)
    with pytest.raises(KvstackError, match="3 to 10 custodians"):
        initialise(tmp_path, hsm=softhsm(), custodians=custodians("alice", "bob"), quorum=2)
    assert not (tmp_path / ".kvstack").exists() or not any((tmp_path / ".kvstack" / "vault").glob("*"))
