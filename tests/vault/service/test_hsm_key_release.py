"""Exportable -HSM keys through the service, on a real PKCS#11 module: they leave wrapped, in clear nowhere."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import MechanismUnsupported
from kvstack.terms.key import KeySpecification
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise, unlock
from kvstack.vault.items import KEYS
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService
from tests.fakes.attestation import Authority, Environment, policy
from tests.vault.service.pools import POOL, PoolWorld

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test keys in an HSM"
)

EC_HSM = KeySpecification("EC-HSM", None, "P-256")
OCT_HSM = KeySpecification("oct-HSM", 256)
VAULT = "safe"
MET = {"x-ms-attestation-type": "sevsnpvm"}
AUTHORITY = Authority(algorithm="ES256")
ENVIRONMENT = Environment()
POLICY = ReleasePolicy(policy(AUTHORITY.url))


def service_of(folder: Path, token: Token | None = None) -> VaultService:
    more = {} if token is None else {"token": token}
    service = VaultService(initialise(folder, hsm=True, prepare=initialise_access, **more))  # type: ignore[arg-type]
    service.create_vault(service.operator, VAULT, sku="premium")
    service.trust_authority(service.operator, AUTHORITY.url, AUTHORITY.jwks())
    return service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[VaultService]:
    made = service_of(tmp_path)
    yield made
    made._store.close()
    for provider in made._providers.values():
        provider.close()


def released(service: VaultService, algorithm: str = "CKM_RSA_AES_KEY_WRAP", name: str = "k") -> bytes:
    token = AUTHORITY.token(ENVIRONMENT.claims(AUTHORITY.url, service._clock.now().timestamp(), **MET))
    answer = service.release_key(service.operator, VAULT, name, target_attestation_token=token, algorithm=algorithm)
    private, answered = ENVIRONMENT.opened(answer)
    assert answered["response"]["key"]["key"]["kty"].endswith("-HSM")
    return private


def make(service: VaultService, specification: KeySpecification, name: str = "k") -> None:
    service.create_key(
        service.operator, VAULT, name, specification=specification, exportable=True, release_policy=POLICY
    )


@pytest.mark.parametrize("specification", [OCT_HSM, EC_HSM], ids=str)
def test_an_hsm_key_leaves_before_and_after_a_restart(
    service: VaultService, tmp_path: Path, specification: KeySpecification
) -> None:
    make(service, specification)
    first = released(service)
    again = unlock(tmp_path)
    assert released(VaultService(again)) == first
    again.close()
    # The key's own bytes: nowhere in a file of the vault or of the token.
    secret = first if specification.family == "oct" else first[first.index(b"\x04\x20") + 2 :][:32]
    assert len(secret) == 32
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes(), file


def test_versions_rotated_and_restored_leave_too(service: VaultService) -> None:
    make(service, OCT_HSM)
    first = released(service)
    service.rotate_key(service.operator, VAULT, "k")
    assert released(service) != first
    blob = service.backup_key(service.operator, VAULT, "k")
    last = released(service)
    service.delete_key(service.operator, VAULT, "k")
    service.purge_key(service.operator, VAULT, "k")
    service.restore_key(service.operator, VAULT, blob)
    assert released(service) == last


def test_a_module_without_the_hash_names_the_algorithm(service: VaultService) -> None:
    make(service, OCT_HSM)
    with pytest.raises(MechanismUnsupported, match="RSA_AES_KEY_WRAP_256"):
        released(service, "RSA_AES_KEY_WRAP_256")
    (record, *_) = service._audit.records(newest_first=True)
    assert (record.operation, record.result) == ("KeyRelease", "MechanismUnsupported")


def test_a_row_that_is_made_to_say_exportable_releases_nothing(service: VaultService) -> None:
    """Whoever could write rows: an ordinary key is under the root of those that never leave."""
    operator = service.operator
    service.create_key(operator, VAULT, "k", specification=EC_HSM, operations={"sign", "export"})
    with pytest.raises(Forbidden, match="not exportable"):
        released(service)
    with service._store.transaction() as tx:
        (item,) = KEYS.scan(tx)
        KEYS.put(tx, msgspec.structs.replace(item, exportable=True, release_policy=POLICY))
    with pytest.raises(Exception, match="not made exportable"):
        released(service)


def test_where_keys_live_in_the_token_none_is_exportable(tmp_path: Path) -> None:
    service = service_of(tmp_path, Token(keys_in_token=True))
    try:
        with pytest.raises(MechanismUnsupported, match="exportable"):
            make(service, EC_HSM)
        assert service.list_keys(service.operator, VAULT) == ()
    finally:
        service._store.close()
        for provider in service._providers.values():
            provider.close()


def test_a_standard_vault_takes_no_exportable_hsm_key(service: VaultService) -> None:
    service.create_vault(service.operator, "plain-dev")
    with pytest.raises(BadParameter, match="standard"):
        service.create_key(
            service.operator, "plain-dev", "k", specification=EC_HSM, exportable=True, release_policy=POLICY
        )


def test_a_managed_hsm_releases_from_each_of_its_tokens(tmp_path: Path) -> None:
    world = PoolWorld.made(tmp_path / "store")
    service, operator = world.service, world.operator
    try:
        world.pool(tokens=2)
        world.give(operator, "Managed HSM Crypto Service Release User")
        service.trust_authority(operator, AUTHORITY.url, AUTHORITY.jwks())
        service.create_key(operator, POOL, "k", specification=OCT_HSM, exportable=True, release_policy=POLICY)
        token = AUTHORITY.token(ENVIRONMENT.claims(AUTHORITY.url, world.clock.now().timestamp(), **MET))
        answers = [service.release_key(operator, POOL, "k", target_attestation_token=token) for _ in range(4)]
        # Operations go round the tokens: what one wrapped under the release root the other opens.
        assert len({ENVIRONMENT.opened(answer)[0] for answer in answers}) == 1
        service.create_key(operator, POOL, "stays", specification=OCT_HSM)
        with pytest.raises(Forbidden, match="not exportable"):
            service.release_key(operator, POOL, "stays", target_attestation_token=token)
    finally:
        world.unlocked.close()
