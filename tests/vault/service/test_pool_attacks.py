"""A Managed HSM's keys withstand what a vault's do; and a backup that its own HSM sealed is not believed either."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.hsm.find import find_module
from kvstack.hsm.pool import PoolKeys
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.pool_backup import _header
from tests.hsm.attacks import Attacker, Wrapped
from tests.hsm.examples import title
from tests.vault.service.pools import DIGEST, EC_HSM, OCT_HSM, POOL, RSA_HSM, PoolWorld

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path_factory.mktemp("pool"))
    made.pool()
    yield made
    made.unlocked.close()


def keys_of_pool(there: PoolWorld) -> PoolKeys:
    found = there.service._pools.keys(there.service.get_managed_hsm(there.operator, POOL))
    assert isinstance(found, PoolKeys)
    return found


@pytest.mark.parametrize("kind", [EC_HSM, RSA_HSM, OCT_HSM], ids=title)
def test_no_key_of_a_managed_hsm_comes_out(there: PoolWorld, kind: KeySpecification) -> None:
    service, operator, name = there.service, there.operator, title(kind)
    service.create_key(operator, POOL, name, specification=kind)
    if kind.family == "oct":
        service.encrypt(operator, POOL, name, algorithm="A256GCM", plaintext=SecretValue("text"))
    else:
        service.sign(operator, POOL, name, algorithm={"EC": "ES256", "RSA": "RS256"}[kind.family], digest=DIGEST)
    connection = keys_of_pool(there)._anywhere(lambda module, _: module.run(lambda one: one))
    opened = next(reversed(connection.open_keys._open.values()))
    attacker = Attacker(connection)
    root, blob = connection.root(attacker.session), msgspec.msgpack.decode(opened.material, type=Wrapped).ciphertext
    assert attacker.unwrapped_as_asked(kind, root, blob) == (b"\x00", b"\x01")
    assert attacker.read(kind, opened.handle) == []
    assert attacker.wrapped_out(kind, opened.handle) == []
    assert attacker.wrapped_out(kind, opened.handle, root) == []
    assert attacker.copied(opened.handle) == []
    assert attacker.changed(opened.handle) == []
    assert attacker.unwrapped(kind, root, blob) == []
    assert attacker.decrypted(root, blob) == []
    aes = KeySpecification("oct-HSM", 256)
    assert attacker.read(aes, root) == []
    assert attacker.wrapped_out(aes, root) == []
    assert attacker.copied(root) == []
    assert attacker.changed(root) == []
    attacker.close()


@pytest.fixture
def backup(there: PoolWorld) -> bytes:
    """A backup of the Managed HSM with a key in it."""
    there.service.create_key(there.operator, POOL, "k", specification=EC_HSM)
    return there.service.backup_managed_hsm(there.operator, POOL)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_its_hsm_sealed_is_restored_or_is_one_error(
    there: PoolWorld, backup: bytes, data: st.DataObject
) -> None:
    """As another version, or somebody with its tokens and PINs, could have made it: no error nobody has words for."""
    service, operator = there.service, there.operator
    home, keys = service.get_managed_hsm(operator, POOL), keys_of_pool(there)
    assert home.pool is not None
    header = _header(home.pool)
    content = keys.open(backup[len(header) :], header)
    start, piece = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=12))
    over, between = content[:start] + piece + content[start + len(piece) :], content[:start] + piece + content[start:]
    changed = data.draw(st.sampled_from([over, between, content[:start]]))
    before = service.list_keys(operator, POOL), service.list_local_assignments(operator, POOL)
    refused = None
    try:
        service.restore_managed_hsm(operator, POOL, header + keys.seal(changed, header))
    except KvstackError as error:
        refused = error
    if refused is None:
        service.restore_managed_hsm(operator, POOL, backup)
        return
    assert len(refused.diagnostics) == 1
    assert (service.list_keys(operator, POOL), service.list_local_assignments(operator, POOL)) == before
