"""A pool of tokens that share a security domain: any opens any key, losses are survived and told, a new one joins."""

import hashlib
import shutil
import threading
from pathlib import Path

import msgspec
import pytest

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.domain_root import establish, join
from kvstack.hsm.mechanisms import KEY_WRAP_PAD
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pool import PoolKeys
from kvstack.hsm.pool_token import destroy_pool_token, discard_token, make_pool_token
from kvstack.hsm.probe import weaknesses
from kvstack.hsm.protocol import DecryptionFailed, HsmError, HsmUnavailable, KeyReference
from kvstack.hsm.security_domain import SecurityDomain
from kvstack.hsm.token import InitialisedToken
from kvstack.terms.algorithm import algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm.conftest import requires_nss, requires_softhsm
from tests.hsm.pools import NOW, custodians, keys, pool_tokens, with_domain

pytestmark = requires_softhsm

ID = "0123456789abcdef" * 2
EC = KeySpecification("EC-HSM", None, "P-256")
ES256 = algorithm("ES256", "sign")
DIGEST = hashlib.sha256(b"data").digest()


class Pool:
    """Two tokens of one domain, and their keys."""

    def __init__(self, folder: Path, own: HsmConfiguration, count: int = 2) -> None:
        self.own = own
        self.domain: SecurityDomain
        self.domain, self.tokens = with_domain(pool_tokens(folder, own, count))
        self.clock = 0.0
        self.keys = PoolKeys(ID, self.tokens, clock=lambda: self.clock)

    def generated(self, name: str = "v1") -> KeyReference:
        return KeyReference(name, EC, self.keys.generate(EC))

    def states(self) -> list[str]:
        return [token.state for token in self.keys.health()]

    def folder_of(self, number: int) -> Path:
        serial = self.tokens[number].token_serial
        (found,) = (one for one in Path(self.own.tokens).iterdir() if one.name.replace("-", "").endswith(serial))
        return found


@pytest.fixture
def pool(tmp_path: Path, token: HsmConfiguration) -> Pool:
    return Pool(tmp_path / "pool", token)


def test_every_token_opens_what_any_of_them_made(pool: Pool) -> None:
    references = [pool.generated(f"v{number}") for number in range(4)]
    assert {one.material.provider for one in references} == {f"pool:{ID}"}
    for only in pool.tokens:
        alone = PoolKeys(ID, [only])
        for key in references:
            assert alone.verify(key, ES256, DIGEST, alone.sign(key, ES256, DIGEST))
        alone.close()
    pool.keys.close()


def test_the_loss_of_a_token_is_survived_under_load_and_told(pool: Pool, tmp_path: Path) -> None:
    key = pool.generated()
    failures: list[BaseException] = []
    stop = threading.Event()

    def sign() -> None:
        try:
            while not stop.is_set():
                pool.keys.sign(key, ES256, DIGEST)
        except BaseException as error:  # noqa: BLE001  # told below
            failures.append(error)

    threads = [threading.Thread(target=sign) for _ in range(4)]
    for thread in threads:
        thread.start()
    lost = pool.folder_of(0)
    shutil.move(lost, tmp_path / "away")
    fresh = [pool.generated(f"fresh{number}") for number in range(6)]
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(pool.keys.verify(one, ES256, DIGEST, pool.keys.sign(one, ES256, DIGEST)) for one in fresh)
    health = pool.keys.health()
    assert [one.state for one in health] == ["lost", "ready"]
    assert "`prod-1` is missing" in health[0].words
    pool.keys.close()


def test_a_token_that_comes_back_is_used_again(pool: Pool, tmp_path: Path) -> None:
    key, lost = pool.generated(), pool.folder_of(0)
    shutil.move(lost, tmp_path / "away")
    assert pool.states() == ["lost", "ready"]
    shutil.move(tmp_path / "away", lost)
    # SoftHSM looks at its tokens when it is started: not while another of them is in use in this process (docs/hsm.md).
    pool.keys.close()
    shutil.rmtree(pool.folder_of(1))
    assert pool.keys.verify(key, ES256, DIGEST, pool.keys.sign(key, ES256, DIGEST))
    assert pool.states() == ["ready", "lost"]
    pool.keys.close()


def test_with_every_token_lost_nothing_works_and_the_reason_is_told(pool: Pool) -> None:
    key = pool.generated()
    pool.keys.close()
    for number in (0, 1):
        shutil.rmtree(pool.folder_of(number))
    lost = PoolKeys(ID, pool.tokens)
    with pytest.raises(HsmUnavailable, match="no token of the Managed HSM answers"):
        lost.sign(key, ES256, DIGEST)
    assert [one.state for one in lost.health()] == ["lost", "lost"]
    lost.close()


def test_a_new_token_joins_by_a_quorum_and_opens_old_keys(pool: Pool, tmp_path: Path) -> None:
    key = pool.generated()
    pool.keys.close()
    for number in (0, 1):
        shutil.rmtree(pool.folder_of(number))
    fresh = make_pool_token(tmp_path / "pool", pool.own, "prod-3")
    waiting = PoolKeys(ID, [fresh])
    assert [one.state for one in waiting.health()] == ["without_domain"]
    with pytest.raises(HsmUnavailable, match="has its security domain"):
        waiting.generate(EC)
    with pytest.raises(HsmError, match="needs the keys of 2"):
        join([fresh], pool.domain, keys("alice"))
    assert not _roots(fresh)
    (joined,) = join([fresh], pool.domain, keys("bob", "carol"))
    alone = PoolKeys(ID, [joined])
    assert alone.verify(key, ES256, DIGEST, alone.sign(key, ES256, DIGEST))
    alone.close()


def test_another_domain_opens_nothing_of_it(pool: Pool, tmp_path: Path) -> None:
    key, sealed = pool.generated(), pool.keys.seal(b"backup", b"header")
    _, others = with_domain([make_pool_token(tmp_path / "pool", pool.own, "other-1")])
    other = PoolKeys(ID, others)
    with pytest.raises(HsmError, match="another root"):
        other.sign(key, ES256, DIGEST)
    with pytest.raises(DecryptionFailed):
        other.open(sealed, b"header")
    other.close()
    pool.keys.close()


def test_what_a_pool_seals_any_token_of_it_opens_and_changed_none(pool: Pool) -> None:
    content = b"every key " * 1000
    sealed = pool.keys.seal(content, b"header")
    for only in pool.tokens:
        alone = PoolKeys(ID, [only])
        assert alone.open(sealed, b"header") == content
        with pytest.raises(DecryptionFailed):
            alone.open(sealed, b"another header")
        alone.close()
    assert content[:20] not in sealed
    pool.keys.close()


def test_a_seal_broken_at_any_byte_is_one_error(pool: Pool) -> None:
    sealed = pool.keys.seal(b"backup", b"")
    for place in range(len(sealed)):
        broken = bytearray(sealed)
        broken[place] ^= 1 + place % 255
        for content in (bytes(broken), sealed[:place]):
            with pytest.raises(DecryptionFailed):
                pool.keys.open(content, b"")
    with pytest.raises(DecryptionFailed):
        pool.keys.open(sealed + b"\0", b"")
    pool.keys.close()


def test_a_holder_of_the_pin_gets_nothing_out_of_an_imported_root(pool: Pool) -> None:
    pool.keys.close()
    for configuration in pool.tokens:
        module = Pkcs11Module.open(configuration)

        def attacked(connection: object, configuration: HsmConfiguration = configuration) -> None:
            cryptoki, session = connection.cryptoki, connection.keepers.borrow()  # type: ignore[attr-defined]
            root = connection.root(session)  # type: ignore[attr-defined]
            found = weaknesses(cryptoki, session, root, root)
            assert (found.reading, found.wrapping, found.holding) == ((), (), ())
            assert cryptoki.attribute(session, root, ck.CKA_VALUE) is None
            assert cryptoki.attribute(session, root, ck.CKA_ID) == bytes.fromhex(configuration.root)
            from kvstack.hsm.cryptoki import CryptokiError

            for target in _handles(cryptoki, session):
                with pytest.raises(CryptokiError):
                    cryptoki.wrap(session, KEY_WRAP_PAD, root, target)
            connection.keepers.give_back(session)  # type: ignore[attr-defined]

        module.run(attacked)
        module.close()


def test_a_root_of_an_attempt_that_was_cut_short_is_gone_with_the_next(pool: Pool) -> None:
    pool.keys.close()
    before = [msgspec.structs.replace(token, root="") for token in pool.tokens]
    domain = establish(before, custodians("alice", "bob", "dave"), quorum=3, name="prod", now=NOW)
    for token in pool.tokens:
        assert _roots(token) == 2
    assert domain.id != pool.domain.id


def test_a_destroyed_token_leaves_nothing_and_the_stores_own_stays(pool: Pool) -> None:
    pool.keys.close()
    for token in (*pool.tokens, pool.tokens[0]):
        assert destroy_pool_token(token) == ""
    assert len(list(Path(pool.own.tokens).iterdir())) == 1
    assert len(list((Path(pool.own.tokens).parent / "token-copies").iterdir())) == 1
    Pkcs11Module.open(pool.own).close()


def test_a_token_that_was_never_finished_is_discarded_by_its_label(pool: Pool) -> None:
    pool.keys.close()
    discard_token(pool.own, "prod-1")
    discard_token(pool.own, "nothing")
    discard_token(pool.own, pool.own.token_label)
    assert len(list(Path(pool.own.tokens).iterdir())) == 2
    Pkcs11Module.open(pool.own).close()


@requires_nss
def test_a_module_whose_roots_could_be_taken_out_is_refused(nss: InitialisedToken) -> None:
    with pytest.raises(HsmError, match=r"cannot be part of a security domain|takes no root from outside"):
        establish([nss.configuration], custodians("alice", "bob", "carol"), quorum=2, name="prod", now=NOW)


def _roots(configuration: HsmConfiguration) -> int:
    module = Pkcs11Module.open(configuration)

    def counted(connection: object) -> int:
        session = connection.keepers.borrow()  # type: ignore[attr-defined]
        try:
            return len(_handles(connection.cryptoki, session))  # type: ignore[attr-defined]
        finally:
            connection.keepers.give_back(session)  # type: ignore[attr-defined]

    try:
        return module.run(counted)
    finally:
        module.close()


def _handles(cryptoki: object, session: int) -> tuple[int, ...]:
    found: tuple[int, ...] = cryptoki.find(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_TOKEN: True})  # type: ignore[attr-defined]
    return found
