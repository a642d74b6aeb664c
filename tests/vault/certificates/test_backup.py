"""A certificate's backup holds all three with every version, for this store alone, and comes back where it can."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, Forbidden
from tests.vault.certificates.policies import AUTHORITY, leaf
from tests.vault.service.world import World


def test_it_comes_back_in_another_vault_with_every_version(world: World) -> None:
    first = world.service.create_certificate(world.operator, "app", "web", policy=leaf(), tags={"a": "b"})
    second = world.service.renew_certificate(world.operator, "app", "web")
    secrets = [
        world.service.get_secret(world.operator, "app", "web", version=one.version).value for one in (first, second)
    ]
    blob = world.service.backup_certificate(world.operator, "app", "web")
    world.service.create_vault(world.operator, "other")
    restored = world.service.restore_certificate(world.operator, "other", blob)
    assert (restored.vault, restored.version, restored.tags) == ("other", second.version, {"a": "b"})
    for version, expected in zip((first.version, second.version), secrets, strict=True):
        assert world.service.get_secret(world.operator, "other", "web", version=version).value == expected
        assert world.service.sign(
            world.operator, "other", "web", algorithm="ES256", digest=bytes(32), version=version
        ).value
    with pytest.raises(Forbidden, match="its certificate's"):
        world.service.delete_key(world.operator, "other", "web")


def test_an_authority_that_comes_back_goes_on(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    blob = world.service.backup_certificate(world.operator, "trust", "root")
    world.service.delete_certificate(world.operator, "trust", "root")
    world.service.purge_certificate(world.operator, "trust", "root")
    world.service.restore_certificate(world.operator, "trust", blob)
    assert world.service.revoke_certificate(world.operator, "app", "web").revoked is not None
    assert world.service.create_certificate(world.operator, "app", "next", policy=leaf(issuer=AUTHORITY)).version


@pytest.mark.parametrize("taken", ["certificate", "key", "secret"])
def test_where_its_name_is_taken_it_does_not_come_back(world: World, taken: str) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf())
    blob = world.service.backup_certificate(world.operator, "app", "web")
    world.service.create_vault(world.operator, "other")
    match taken:
        case "certificate":
            world.service.create_certificate(world.operator, "other", "WEB", policy=leaf(issuer="Unknown"))
        case "key":
            spec = leaf().key.specification
            world.service.create_key(world.operator, "other", "web", specification=spec)
        case _:
            world.service.set_secret(world.operator, "other", "web", SecretValue("x"))
    with pytest.raises(Conflict):
        world.service.restore_certificate(world.operator, "other", blob)


def test_what_is_pending_has_no_backup(world: World) -> None:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="Unknown"))
    with pytest.raises(Conflict, match="nothing to back up yet"):
        world.service.backup_certificate(world.operator, "app", "web")


@given(where=st.integers(0, 1 << 20), what=st.integers(1, 255))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_backup_is_refused(world: World, where: int, what: int) -> None:
    blob = bytearray(world.service.backup_certificate(world.operator, "trust", "root"))
    blob[where % len(blob)] ^= what
    before = world.service.list_certificates(world.operator, "app")
    with pytest.raises(KvstackError):
        world.service.restore_certificate(world.operator, "app", bytes(blob))
    assert world.service.list_certificates(world.operator, "app") == before


def test_a_backup_of_something_else_is_refused(world: World) -> None:
    world.service.set_secret(world.operator, "app", "s", SecretValue("x"))
    blob = world.service.backup_secret(world.operator, "app", "s")
    with pytest.raises(BadParameter):
        world.service.restore_certificate(world.operator, "app", blob)
    person = world.person("Key Vault Reader")
    with pytest.raises(Forbidden):
        world.service.backup_certificate(person, "trust", "root")
