"""Managed HSMs: made, activated, used, deleted, recovered, purged; what is refused; and what a kill leaves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kvstack.hsm.find import find_module
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.terms.duration import duration
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound, Unavailable, VaultError
from kvstack.vault.initialise import recover, unlock
from kvstack.vault.service import VaultService
from tests.vault.service.pools import (
    DIGEST,
    EC_HSM,
    OCT_HSM,
    POOL,
    RSA_HSM,
    PoolWorld,
    audited,
    custodian_pair,
    custodians,
    keys_of,
)
from tests.vault.service.world import World

pytestmark = pytest.mark.skipif(
    find_module() is None, reason="NO PKCS#11 MODULE: install SoftHSM2 to test Managed HSMs"
)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[PoolWorld]:
    made = PoolWorld.made(tmp_path / "store")
    yield made
    made.unlocked.close()


# Provisioned


def test_a_store_without_an_hsm_has_no_managed_hsm(world: World) -> None:
    with pytest.raises(Unavailable, match="this store has no HSM"):
        world.service.create_managed_hsm(world.operator, POOL)
    assert world.service.list_managed_hsms(world.operator) == ()


def test_until_it_is_activated_nothing_in_it_works(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    made = service.create_managed_hsm(operator, POOL, tokens=2)
    assert made.pool is not None
    assert (len(made.pool.tokens), made.pool.activated) == (2, None)
    assert [one.state for one in service.managed_hsm_health(operator, POOL)] == ["without_domain", "without_domain"]
    attempts: tuple[Callable[[], object], ...] = (
        lambda: service.create_key(operator, POOL, "k", specification=EC_HSM),
        lambda: service.list_keys(operator, POOL),
        lambda: service.random_bytes(operator, POOL, 16),
        lambda: service.backup_managed_hsm(operator, POOL),
        lambda: service.restore_managed_hsm(operator, POOL, b"backup"),
        lambda: service.list_local_assignments(operator, POOL),
        lambda: there.give(operator, "Managed HSM Crypto User"),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden, match="is not activated") as refused:
            attempt()
        assert "kvstack hsm security-domain download treasury" in refused.value.diagnostics[0].detail
    assert service.list_managed_hsms(operator) == (made,)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "no good"}, "cannot name a vault"),
        ({"tokens": 0}, "1-10 tokens, not 0"),
        ({"tokens": 11}, "1-10 tokens, not 11"),
        ({"soft_delete_retention_days": 6}, "kept 7-90 days"),
        ({"administrators": ("alice",)}, "`alice` is no principal's id"),
        ({"tags": {str(number): "" for number in range(16)}}, "tags"),
    ],
)
def test_what_no_managed_hsm_would_be_is_refused_and_no_token_is_made(
    there: PoolWorld, wrong: dict[str, Any], words: str
) -> None:
    before = there.tokens()
    with pytest.raises(BadParameter, match=words):
        there.service.create_managed_hsm(there.operator, **{"name": POOL, **wrong})
    assert (there.tokens(), there.service.list_managed_hsms(there.operator)) == (before, ())


def test_vaults_and_managed_hsms_share_their_names_and_not_their_verbs(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, POOL)
    service.create_vault(operator, "plain")
    with pytest.raises(Conflict, match="there is a Managed HSM `treasury` already"):
        service.create_vault(operator, POOL.upper())
    with pytest.raises(Conflict, match="there is a vault `plain` already"):
        service.create_managed_hsm(operator, "plain")
    assert [one.name for one in service.list_vaults(operator)] == ["plain"]
    assert [one.name for one in service.list_managed_hsms(operator)] == [POOL]
    for attempt in (service.get_vault, service.delete_vault, service.update_vault):
        with pytest.raises(BadParameter, match="`treasury` is a Managed HSM"):
            attempt(operator, POOL)
    for other in (service.get_managed_hsm, service.delete_managed_hsm, service.list_local_roles):
        with pytest.raises(BadParameter, match="`plain` is a vault"):
            other(operator, "plain")
    service.delete_managed_hsm(operator, POOL)
    service.delete_vault(operator, "plain")
    assert [one.name for one in service.list_deleted_vaults(operator)] == ["plain"]
    assert [one.name for one in service.list_deleted_managed_hsms(operator)] == [POOL]
    with pytest.raises(BadParameter, match="is a Managed HSM"):
        service.purge_vault(operator, POOL)
    with pytest.raises(BadParameter, match="is a vault"):
        service.purge_managed_hsm(operator, "plain")
    with pytest.raises(NotFound, match="there is no Managed HSM `elsewhere`"):
        service.get_managed_hsm(operator, "elsewhere")


# Activated


def test_the_download_activates_and_who_asks_again_gets_the_same_document(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, POOL, tokens=2)
    first = service.download_security_domain(operator, POOL, custodians(), 2)
    activated = service.get_managed_hsm(operator, POOL).pool
    assert activated is not None
    assert (activated.activated is not None, activated.quorum) == (True, 2)
    assert [one.state for one in service.managed_hsm_health(operator, POOL)] == ["ready", "ready"]
    assert service.download_security_domain(operator, POOL, tuple(reversed(custodians())), 2) == first
    for others, quorum in ((custodians(4), 2), (custodians(), 3)):
        with pytest.raises(Conflict, match="is activated already"):
            service.download_security_domain(operator, POOL, others, quorum)
    assert service.get_managed_hsm(operator, POOL).pool == activated


@pytest.mark.parametrize(
    ("count", "quorum", "words"),
    [(2, 2, "3 to 10 custodians"), (11, 2, "3 to 10 custodians"), (3, 1, "a quorum is 2 to 3"), (3, 4, "a quorum is")],
)
def test_custodians_and_quorums_no_security_domain_has_are_refused(
    there: PoolWorld, count: int, quorum: int, words: str
) -> None:
    there.service.create_managed_hsm(there.operator, POOL)
    known = custodians(3)
    asked = known[:count] + tuple(replace(known[0], fingerprint=str(number)) for number in range(3, count))
    with pytest.raises(BadParameter, match=words):
        there.service.download_security_domain(there.operator, POOL, asked, quorum)
    assert [one.state for one in there.service.managed_hsm_health(there.operator, POOL)] == ["without_domain"]


def test_keys_of_every_type_are_made_used_and_kept_through_a_restart(there: PoolWorld, tmp_path: Path) -> None:
    there.pool(tokens=2)
    service, operator = there.service, there.operator
    for name, specification in (("ec", EC_HSM), ("rsa", RSA_HSM), ("aes", OCT_HSM)):
        made = service.create_key(operator, POOL, name, specification=specification)
        assert made.provider.startswith("pool:")
    again = unlock(tmp_path / "store")
    other = VaultService(again)
    for name, algorithm in (("ec", "ES256"), ("rsa", "PS256"), ("rsa", "RS256")):
        for _ in range(4):  # by one token, and by the other
            signature = other.sign(operator, POOL, name, algorithm=algorithm, digest=DIGEST).value
            assert service.verify(operator, POOL, name, algorithm=algorithm, digest=DIGEST, signature=signature)
    made_of = service.encrypt(operator, POOL, "aes", algorithm="A256GCM", plaintext=SecretValue("plain"))
    back = other.decrypt(
        operator, POOL, "aes", algorithm="A256GCM", ciphertext=made_of.ciphertext, iv=made_of.iv, tag=made_of.tag
    )
    assert back.value.reveal() == b"plain"
    assert len(other.random_bytes(operator, POOL, 32)) == 32
    again.close()


def test_it_holds_keys_in_the_hsm_and_nothing_else(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    with pytest.raises(BadParameter, match="takes no EC key"):
        service.create_key(operator, POOL, "k", specification=KeySpecification("EC", None, "P-256"))
    with pytest.raises(BadParameter, match="neither secrets nor certificates"):
        service.set_secret(operator, POOL, "s", SecretValue("v"))
    with pytest.raises(BadParameter, match="neither secrets nor certificates"):
        service.list_secrets(operator, POOL)
    with pytest.raises(BadParameter, match="neither secrets nor certificates"):
        service.list_certificates(operator, POOL)


def test_it_rotates_a_key_by_its_policy_only_and_not_more_often_than_every_28_days(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    with pytest.raises(BadParameter, match="has no rotation policy"):
        service.rotate_key(operator, POOL, "k")
    often = RotationPolicy(every=duration("P27D"), expire_after=duration("P90D"))
    with pytest.raises(BadParameter, match="under the least of 28 days"):
        service.set_rotation_policy(operator, POOL, "keys", "k", often)
    with pytest.raises(BadParameter, match="under the least of 28 days"):
        service.create_key(operator, POOL, "other", specification=EC_HSM, rotation=often)
    late = RotationPolicy(before_expiry=duration("P10D"), expire_after=duration("P30D"))
    with pytest.raises(BadParameter, match="28 days there are between"):
        service.set_rotation_policy(operator, POOL, "keys", "k", late)
    fine = RotationPolicy(every=duration("P28D"), expire_after=duration("P90D"))
    service.set_rotation_policy(operator, POOL, "keys", "k", fine)
    service.rotate_key(operator, POOL, "k")
    assert len(service.list_key_versions(operator, POOL, "k")) == 2
    there.days(27)
    assert service.run_due(SYSTEM).done == ()
    there.days(1)
    (done,) = service.run_due(SYSTEM).done
    assert (done.action, done.kind, done.vault, done.name) == ("rotate", "key", POOL, "k")
    newest = service.get_key(operator, POOL, "k")
    assert (newest.by_rotation, newest.provider.partition(":")[0]) == (True, "pool")


def test_it_is_full_at_its_bounds(there: PoolWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvstack.terms.limits.POOL_KEYS", 2)
    monkeypatch.setattr("kvstack.terms.limits.POOL_KEY_VERSIONS", 2)
    there.pool()
    service, operator = there.service, there.operator
    for _ in range(2):
        service.create_key(operator, POOL, "k", specification=EC_HSM)
    with pytest.raises(BadParameter, match="has 2 versions, and no more fit in"):
        service.create_key(operator, POOL, "k", specification=EC_HSM)
    service.create_key(operator, POOL, "l", specification=EC_HSM)
    service.delete_key(operator, POOL, "l")
    with pytest.raises(BadParameter, match="holds 2 keys"):
        service.create_key(operator, POOL, "m", specification=EC_HSM)


def test_a_key_prepared_elsewhere_is_refused(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    with pytest.raises(BadParameter, match="made in another HSM"):
        service.create_key(operator, POOL, "k", specification=EC_HSM, prepared=service.prepare_key(EC_HSM))
    prepared = service.prepare_key(EC_HSM, vault=POOL)
    service.create_vault(operator, "safe", sku="premium")
    with pytest.raises(BadParameter, match="made in another HSM"):
        service.create_key(operator, "safe", "k", specification=EC_HSM, prepared=prepared)
    service.create_key(operator, POOL, "k", specification=EC_HSM, prepared=service.prepare_key(EC_HSM, vault=POOL))
    assert there.verified(there.signed())


def test_one_key_is_backed_up_and_restored_where_it_was_and_not_in_a_vault(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    signature, blob = there.signed(), service.backup_key(operator, POOL, "k")
    service.create_vault(operator, "safe", sku="premium")
    with pytest.raises(BadParameter, match="is of a key in a Managed HSM"):
        service.restore_key(operator, "safe", blob)
    service.create_key(operator, "safe", "v", specification=EC_HSM)
    with pytest.raises(BadParameter, match="is of a key in a vault"):
        service.restore_key(operator, POOL, service.backup_key(operator, "safe", "v"))
    service.delete_key(operator, POOL, "k")
    service.purge_key(operator, POOL, "k")
    service.restore_key(operator, POOL, blob)
    assert there.verified(signature)
    assert there.verified(there.signed())


# Tokens


def test_the_loss_of_a_token_is_told_and_survived(there: PoolWorld, tmp_path: Path) -> None:
    document = there.pool(tokens=2)
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    serial = service.managed_hsm_health(operator, POOL)[0].serial
    there.unlocked.close()
    _lose(tmp_path / "store", serial)
    again = PoolWorld(unlock(tmp_path / "store"))
    states = [one.state for one in again.service.managed_hsm_health(operator, POOL)]
    assert states == ["lost", "ready"]
    for _ in range(4):
        assert again.verified(again.signed())
    # A new one takes its place.
    again.service.update_managed_hsm(operator, POOL, tokens=3)
    assert [one.state for one in again.service.managed_hsm_health(operator, POOL)] == [
        "lost",
        "ready",
        "without_domain",
    ]
    assert again.verified(again.signed())
    with pytest.raises(VaultError, match=r"."):
        again.service.join_security_domain(operator, POOL, document[:-10], keys_of(0, 1))
    assert again.service.join_security_domain(operator, POOL, document, keys_of(2, 0)) == 1
    assert [one.state for one in again.service.managed_hsm_health(operator, POOL)] == ["lost", "ready", "ready"]
    for _ in range(4):
        assert again.verified(again.signed())
    with pytest.raises(BadParameter, match="every token of Managed HSM `treasury` is of its security domain"):
        again.service.join_security_domain(operator, POOL, document, keys_of(2, 0))
    again.unlocked.close()


def test_tokens_are_added_and_never_taken_away(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, POOL)
    grown = service.update_managed_hsm(operator, POOL, tokens=3).pool
    assert grown is not None
    assert len(set(grown.tokens)) == 3
    with pytest.raises(BadParameter, match="none of them is taken away"):
        service.update_managed_hsm(operator, POOL, tokens=2)
    with pytest.raises(BadParameter, match="1-10 tokens"):
        service.update_managed_hsm(operator, POOL, tokens=11)
    service.download_security_domain(operator, POOL, custodians(), 2)
    assert [one.state for one in service.managed_hsm_health(operator, POOL)] == ["ready"] * 3


# Deleted


def test_purge_protection_is_switched_on_for_good_and_tags_change(there: PoolWorld) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, POOL, tags={"team": "treasury"})
    changed = service.update_managed_hsm(operator, POOL, purge_protection=True, tags={"team": "platform"})
    assert (changed.purge_protection, changed.tags) == (True, {"team": "platform"})
    with pytest.raises(BadParameter, match="cannot be switched off"):
        service.update_managed_hsm(operator, POOL, purge_protection=False)
    service.delete_managed_hsm(operator, POOL)
    with pytest.raises(Forbidden, match="the Managed HSM `treasury` cannot be purged"):
        service.purge_managed_hsm(operator, POOL)


def test_a_recovered_one_comes_back_with_its_keys_and_roles(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    signature = there.signed()
    service.delete_managed_hsm(operator, POOL)
    with pytest.raises(NotFound, match="there is no Managed HSM `treasury`, it is soft-deleted"):
        there.signed()
    with pytest.raises(Conflict, match="is soft-deleted and keeps its name"):
        service.create_managed_hsm(operator, POOL)
    with pytest.raises(Conflict, match="is soft-deleted and keeps its name"):
        service.create_vault(operator, POOL)
    assert service.get_deleted_managed_hsm(operator, POOL).deletion is not None
    service.recover_managed_hsm(operator, POOL)
    assert there.verified(signature)
    assert there.verified(there.signed())


def test_a_purge_destroys_the_tokens_and_frees_the_name(there: PoolWorld) -> None:
    own = there.tokens()
    there.pool(tokens=2)
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    assert len(there.tokens() - own) == 2
    service.delete_managed_hsm(operator, POOL)
    assert service.purge_managed_hsm(operator, POOL) == ()
    assert there.tokens() == own
    assert not list((there.unlocked.paths.hsm / "pools").glob("*/*"))
    assert audited(there, "ManagedHsmTokensDestroy") == ["Success"]
    there.pool()
    assert service.list_keys(operator, POOL) == ()
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    assert there.verified(there.signed())


def test_retention_s_end_purges_it_with_its_tokens(there: PoolWorld) -> None:
    own = there.tokens()
    there.pool(retention=7)
    there.service.delete_managed_hsm(there.operator, POOL)
    there.days(6)
    assert there.service.run_due(SYSTEM).done == ()
    there.days(2)
    assert [(one.kind, one.vault) for one in there.service.run_due(SYSTEM).done] == [("managed_hsm", POOL)]
    assert there.tokens() == own
    assert there.service.list_deleted_managed_hsms(there.operator) == ()


def test_a_namesake_past_its_retention_makes_way(there: PoolWorld) -> None:
    there.pool(retention=7)
    there.service.create_key(there.operator, POOL, "k", specification=EC_HSM)
    there.service.delete_managed_hsm(there.operator, POOL)
    there.days(8)
    there.pool()
    assert there.service.list_keys(there.operator, POOL) == ()


# Rights


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("Owner", {"create", "get", "delete"}),
        ("Contributor", {"create", "get", "delete"}),
        ("Reader", {"get"}),
        ("Key Vault Contributor", set()),
        ("Key Vault Administrator", set()),
    ],
)
def test_a_managed_hsm_as_a_resource_is_resource_manager_s(there: PoolWorld, role: str, allowed: set[str]) -> None:
    there.pool()
    caller, service = there.person(role), there.service
    found = set()
    attempts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("create", lambda: service.create_managed_hsm(caller, "another")),
        ("get", lambda: service.get_managed_hsm(caller, POOL)),
        ("delete", lambda: service.delete_managed_hsm(caller, POOL)),
    )
    for name, attempt in attempts:
        try:
            attempt()
            found.add(name)
        except Forbidden:
            continue
    assert found == allowed


def test_no_role_of_resource_manager_gives_a_right_inside(there: PoolWorld) -> None:
    there.pool()
    there.service.create_key(there.operator, POOL, "k", specification=EC_HSM)
    for role in ("Owner", "Key Vault Administrator", "Key Vault Crypto Officer"):
        caller = there.person(role)
        with pytest.raises(Forbidden):
            there.service.get_key(caller, POOL, "k")
        with pytest.raises(Forbidden):
            there.service.sign(caller, POOL, "k", algorithm="ES256", digest=DIGEST)


def test_a_role_of_resource_manager_at_it_is_one_on_the_resource_and_ends_with_it(there: PoolWorld) -> None:
    there.pool()
    service, operator = there.service, there.operator
    reader = there.person("Reader", at=there.scope(POOL))
    assert service.get_managed_hsm(reader, POOL).name == POOL
    assert [one.scope.path.rsplit("/", 2)[-2:] for one in service.list_role_assignments(operator, there.scope(POOL))][
        -1
    ] == ["managedHSMs", POOL]
    with pytest.raises(BadParameter, match="no role of resource manager gives a right inside"):
        there.person("Key Vault Crypto User", at=there.scope(POOL, "keys/k"))
    service.delete_managed_hsm(operator, POOL)
    service.recover_managed_hsm(operator, POOL)
    with pytest.raises(Forbidden):
        service.get_managed_hsm(reader, POOL)


def test_who_may_see_nothing_is_not_told_that_it_is_there(there: PoolWorld) -> None:
    there.pool()
    stranger = there.person()
    for name in (POOL, "elsewhere"):
        with pytest.raises(Forbidden, match=r"^denied"):
            there.service.get_key(stranger, name, "k")
        with pytest.raises(Forbidden, match=r"^denied"):
            there.service.get_managed_hsm(stranger, name)


# Killed


def test_what_a_killed_creation_leaves_is_swept_by_the_next_one(
    there: PoolWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = there.tokens()
    service, operator = there.service, there.operator

    class Killed(BaseException):
        """As if the process had ended: nobody cleans up."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(service, "_keep_pool", killed)
        patch.setattr(service, "_sweep", lambda: ())
        with pytest.raises(Killed):
            service.create_managed_hsm(operator, POOL, tokens=2)
    assert len(there.tokens() - own) == 2
    service.create_managed_hsm(operator, POOL)
    assert len(there.tokens() - own) == 1
    service.download_security_domain(operator, POOL, custodians(), 2)


def test_what_a_killed_purge_leaves_is_swept_by_run_due(there: PoolWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    own = there.tokens()
    there.pool()
    there.service.delete_managed_hsm(there.operator, POOL)
    with monkeypatch.context() as patch:
        patch.setattr(there.service, "_destroy_tokens", lambda _: None)
        there.service.purge_managed_hsm(there.operator, POOL)
    assert len(there.tokens() - own) == 1
    there.service.run_due(SYSTEM)
    assert there.tokens() == own


def test_an_activation_that_was_killed_is_tried_again(there: PoolWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    service, operator = there.service, there.operator
    service.create_managed_hsm(operator, POOL, tokens=2)

    class Killed(BaseException):
        """As if the process had ended."""

    def killed(*_: object) -> None:
        raise Killed

    for at in ("_pools.write", "_activate"):
        with monkeypatch.context() as patch:
            target: Any = service._pools if at == "_pools.write" else service
            patch.setattr(target, at.removeprefix("_pools."), killed)
            with pytest.raises(Killed):
                service.download_security_domain(operator, POOL, custodians(), 2)
        with pytest.raises(Forbidden, match="is not activated"):
            service.list_keys(operator, POOL)
    document = service.download_security_domain(operator, POOL, custodians(), 2)
    there.give(operator, "Managed HSM Crypto User")
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    assert there.verified(there.signed())
    assert service.download_security_domain(operator, POOL, custodians(), 2) == document


def _lose(store: Path, serial: str) -> None:
    """Take a token's files away, as if its disk had gone: its serial is the end of its folder's name."""
    from shutil import rmtree

    (folder,) = [
        path for path in (store / ".kvstack/hsm/tokens").iterdir() if path.name.replace("-", "")[-16:] == serial
    ]
    rmtree(folder)
    for copy in (store / ".kvstack/hsm/token-copies").glob(f"{folder.name}*"):
        copy.unlink()


def test_when_every_token_of_the_store_is_lost_new_ones_that_join_open_its_keys_again(
    there: PoolWorld, tmp_path: Path
) -> None:
    document = there.pool(tokens=2)
    service, operator = there.service, there.operator
    service.create_key(operator, POOL, "k", specification=EC_HSM)
    signature = there.signed()
    there.unlocked.close()
    # The store's own token, the pool's, their PINs and configurations: all but the database.
    (tmp_path / "store/.kvstack/hsm").rename(tmp_path / "lost")
    found = recover(tmp_path / "store", custodian_pair(9)[1], hsm=True).unlocked
    again = PoolWorld(found)
    assert [one.state for one in again.service.managed_hsm_health(operator, POOL)] == ["lost", "lost"]
    with pytest.raises(HsmUnavailable):
        again.signed()
    again.service.update_managed_hsm(operator, POOL, tokens=3)
    assert again.service.join_security_domain(operator, POOL, document, keys_of(1, 2)) == 1
    assert again.verified(signature)
    assert again.verified(again.signed())
    again.service.delete_managed_hsm(operator, POOL)
    assert again.service.purge_managed_hsm(operator, POOL) == ()
    again.unlocked.close()
