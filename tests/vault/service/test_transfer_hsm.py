"""`-HSM` keys of a moved vault open in a token with the same root, and in no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from kvstack.terms.certificate import CertificateKey
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.key_home import Token
from kvstack.vault.service import VaultService
from kvstack.vault.transfer_file import content_of, sealing
from kvstack.vault.transfer_rows import read
from tests.hsm.conftest import requires_softhsm, softhsm
from tests.hsm.pools import custodians, keys
from tests.vault.certificates.policies import leaf
from tests.vault.service.pools import POOL, PoolWorld

pytestmark = requires_softhsm

PASSWORD = SecretValue("correct horse")
EC_HSM = KeySpecification("EC-HSM", None, "P-256")
PEOPLE = ("alice", "bob", "carol")


class Moving(msgspec.Struct, frozen=True):
    """What leaves the first machine: the vault's file, its security domain, a signature by its HSM key."""

    file: bytes
    domain: bytes
    signature: bytes


@contextmanager
def store(folder: Path, *people: str, token: Token | None = None) -> Iterator[VaultService]:
    """Open a new store; two SoftHSM folders cannot be open in one process."""
    folder.mkdir()
    unlocked = initialise(
        folder,
        hsm=softhsm(),
        prepare=initialise_access,
        custodians=custodians(*people),
        quorum=2 if people else 0,
        token=token or Token(),
    )
    try:
        yield VaultService(unlocked)
    finally:
        unlocked.close()


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Moving:
    with store(tmp_path_factory.mktemp("first") / "store", *PEOPLE) as service:
        me = service.operator
        domain = service.download_own_security_domain(me)
        service.create_vault(me, "home", sku="premium")
        service.create_key(me, "home", "k", specification=EC_HSM)
        service.create_key(me, "home", "soft", specification=KeySpecification("EC", None, "P-256"))
        service.create_certificate(me, "home", "web", policy=leaf(issuer="Self", key=CertificateKey("EC-HSM")))
        service.set_secret(me, "home", "pass", SecretValue("hunter2"))
        signature = service.sign(me, "home", "k", algorithm="ES256", digest=bytes(32)).value
        return Moving(service.export_vault(me, "home", password=PASSWORD).blob, domain, signature)


def test_keys_that_are_objects_of_their_token_stay_behind(tmp_path: Path) -> None:
    with store(tmp_path / "token", token=Token(keys_in_token=True)) as service:
        me = service.operator
        service.create_vault(me, "home", sku="premium")
        for name in ("b", "a"):
            service.create_key(me, "home", name, specification=EC_HSM)
        service.set_secret(me, "home", "pass", SecretValue("hunter2"))
        with pytest.raises(BadParameter, match="2 keys stay behind") as refused:
            service.export_vault(me, "home", password=PASSWORD)
        assert [one.summary.split(":")[0] for one in refused.value.diagnostics[1:]] == ["keys/a", "keys/b"]
        found = service.export_vault(me, "home", password=PASSWORD, without_hsm_keys=True)
        assert {one.thing for one in found.left} == {"keys/a", "keys/b"}
        content = read(content_of(found.blob, PASSWORD))
        assert (content.keys, content.key_versions, len(content.secrets)) == ((), (), 1)


def test_a_token_of_the_same_security_domain_opens_them(moving: Moving, tmp_path: Path) -> None:
    with store(tmp_path / "second", *PEOPLE) as service:
        me = service.operator
        with pytest.raises(BadParameter, match="not this store's"):
            service.upload_own_security_domain(me, moving.domain, keys("alice", "carol"))
        service.upload_own_security_domain(me, moving.domain, keys("alice", "carol"), of_another_store=True)
        assert service.download_own_security_domain(me) == moving.domain
        found = service.import_vault(me, moving.file, password=PASSWORD)
        assert (found.keys, found.certificates, found.left) == (3, 1, ())
        signed = service.sign(me, "home", "k", algorithm="ES256", digest=bytes(32)).value
        for signature in (signed, moving.signature):
            assert service.verify(me, "home", "k", algorithm="ES256", digest=bytes(32), signature=signature)


def test_any_other_token_leaves_them_out_when_told_to_and_else_imports_nothing(moving: Moving, tmp_path: Path) -> None:
    with store(tmp_path / "third") as service:
        me = service.operator
        with pytest.raises(BadParameter, match="2 keys stay behind") as refused:
            service.import_vault(me, moving.file, password=PASSWORD)
        said = [one.summary for one in refused.value.diagnostics]
        assert [line.split(":")[0] for line in said[1:]] == ["certificates/web", "keys/k"]
        assert service.list_vaults(me) == ()
        found = service.import_vault(me, moving.file, password=PASSWORD, without_hsm_keys=True)
        assert {one.thing for one in found.left} == {"keys/k", "certificates/web"}
        assert [one.name for one in service.list_keys(me, "home")] == ["soft"]
        assert [one.name for one in service.list_secrets(me, "home")] == ["pass"]
        assert service.list_certificates(me, "home") == ()


def test_a_wrapped_key_that_was_changed_is_refused(moving: Moving, tmp_path: Path) -> None:
    with store(tmp_path / "fourth", *PEOPLE) as service:
        me = service.operator
        service.upload_own_security_domain(me, moving.domain, keys("bob", "carol"), of_another_store=True)
        content = read(content_of(moving.file, PASSWORD))
        versions = tuple(
            msgspec.structs.replace(row, sealed=row.sealed[:-1] + bytes([row.sealed[-1] ^ 1]))
            if row.folded == "k"
            else row
            for row in content.key_versions
        )
        changed = msgspec.structs.replace(content, key_versions=versions)
        with pytest.raises(BadParameter, match="a key stays behind"):
            service.import_vault(me, sealing(PASSWORD)(msgspec.msgpack.encode(changed)), password=PASSWORD)
        assert service.list_vaults(me) == ()


def test_a_managed_hsm_is_refused_and_told_its_own_way(tmp_path: Path) -> None:
    world = PoolWorld.made(tmp_path / "store")
    world.pool()
    with pytest.raises(BadParameter, match="it is not exported like a vault") as refused:
        world.service.export_vault(world.operator, POOL, password=PASSWORD)
    assert "kvstack hsm backup" in refused.value.diagnostics[0].detail
    with pytest.raises(Forbidden):
        world.service.export_vault(Caller("nobody"), POOL, password=PASSWORD)
    world.unlocked.close()
