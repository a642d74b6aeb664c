"""A version used after another one followed it: noted in the audit, and told of by alerts that ask for it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from kvstack.terms.key import specification
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import Forbidden
from kvstack.vault.outbox import AlertRule
from tests.vault.service.test_events import VAULT
from tests.vault.service.world import World

MAIL = ("ann@example.com",)
DIGEST = b"d" * 32


@pytest.fixture
def rotated(dev: World) -> World:
    """A key and a secret with two versions each; the newer ones are made at the present."""
    me = dev.operator
    dev.service.create_key(me, VAULT, "k", specification=specification("RSA", 2048, None))
    dev.service.set_secret(me, VAULT, "s", SecretValue("one"))
    dev.clock.advance(timedelta(days=1))
    dev.service.rotate_key(me, VAULT, "k")
    dev.service.set_secret(me, VAULT, "s", SecretValue("two"))
    return dev


def alert(world: World, superseded: str = "P0D", operation: str = "") -> None:
    rule = AlertRule(superseded=superseded, operation=operation)
    world.service.put_alert(world.operator, "late", rule, mail=MAIL)


def old_key(world: World) -> str:
    return world.service.list_key_versions(world.operator, VAULT, "k")[0].version


def sign(world: World, version: str | None = None) -> None:
    world.service.sign(world.operator, VAULT, "k", algorithm="RS256", digest=DIGEST, version=version)


def encrypt(world: World, version: str | None = None) -> bytes:
    value = SecretValue("data")
    return world.service.encrypt(
        world.operator, VAULT, "k", algorithm="RSA-OAEP", plaintext=value, version=version
    ).ciphertext


def wrap(world: World, version: str | None = None) -> bytes:
    key = SecretValue("data")
    return world.service.wrap_key(world.operator, VAULT, "k", algorithm="RSA-OAEP", key=key, version=version).ciphertext


def decrypt(world: World, version: str | None = None) -> None:
    sealed = encrypt(world, version)
    world.service.watch_audit(SYSTEM)
    world.service.decrypt(world.operator, VAULT, "k", algorithm="RSA-OAEP", ciphertext=sealed, version=version)


def unwrap(world: World, version: str | None = None) -> None:
    sealed = wrap(world, version)
    world.service.watch_audit(SYSTEM)
    world.service.unwrap_key(world.operator, VAULT, "k", algorithm="RSA-OAEP", wrapped=sealed, version=version)


def verify(world: World, version: str | None = None) -> None:
    signed = world.service.sign(world.operator, VAULT, "k", algorithm="RS256", digest=DIGEST, version=version)
    world.service.watch_audit(SYSTEM)
    world.service.verify(
        world.operator, VAULT, "k", algorithm="RS256", digest=DIGEST, signature=signed.value, version=version
    )


def told(world: World) -> list[str]:
    """Look at the audit; return what the alerts that came of it are of."""
    before = len(world.service.list_events(world.operator))
    world.service.watch_audit(SYSTEM)
    return [one.event.decode().split('"Version":"')[1].split('"')[0] for one in list_after(world, before)]


def list_after(world: World, count: int):  # type: ignore[no-untyped-def]  # Deliveries
    return world.service.list_events(world.operator)[count:]


@pytest.mark.parametrize(("use", "name"), [(sign, "KeySign"), (encrypt, "KeyEncrypt"), (wrap, "KeyWrap")])
def test_making_something_with_a_key_that_was_rotated_is_told_of(
    rotated: World, use: Callable[..., object], name: str
) -> None:
    alert(rotated)
    use(rotated)
    assert told(rotated) == [], "the newest version is used"
    use(rotated, old_key(rotated))
    assert told(rotated) == [f"{name} Success"]


@pytest.mark.parametrize(("use", "name"), [(decrypt, "KeyDecrypt"), (unwrap, "KeyUnwrap"), (verify, "KeyVerify")])
def test_what_was_made_before_is_given_back_without_an_alert_unless_one_asks_for_it(
    rotated: World, use: Callable[..., object], name: str
) -> None:
    alert(rotated)
    use(rotated, old_key(rotated))
    assert told(rotated) == []
    alert(rotated, operation=name)
    use(rotated, old_key(rotated))
    assert told(rotated) == [f"{name} Success"]


def test_an_old_value_of_a_secret_that_is_read_is_told_of(rotated: World) -> None:
    old, new = (one.version for one in rotated.service.list_secret_versions(rotated.operator, VAULT, "s"))
    alert(rotated)
    rotated.service.get_secret(rotated.operator, VAULT, "s")
    rotated.service.get_secret(rotated.operator, VAULT, "s", version=new)
    assert told(rotated) == []
    rotated.service.get_secret(rotated.operator, VAULT, "s", version=old)
    assert told(rotated) == ["SecretGet Success"]


def test_it_counts_from_the_rotation_to_the_use_whenever_somebody_looks(rotated: World) -> None:
    alert(rotated, "P7D")
    old = old_key(rotated)
    rotated.clock.advance(timedelta(days=7, microseconds=-1))
    sign(rotated, old)
    rotated.clock.advance(timedelta(days=20))
    assert told(rotated) == [], "it was used within the week, and is looked at only now"
    sign(rotated, old)
    assert told(rotated) == ["KeySign Success"]


def test_exactly_that_long_after_is_after(rotated: World) -> None:
    alert(rotated, "P7D")
    rotated.clock.advance(timedelta(days=7))
    sign(rotated, old_key(rotated))
    assert told(rotated) == ["KeySign Success"]


def test_a_further_rotation_does_not_make_a_use_younger(rotated: World) -> None:
    alert(rotated, "P7D")
    old = old_key(rotated)
    rotated.clock.advance(timedelta(days=8))
    rotated.service.rotate_key(rotated.operator, VAULT, "k")
    sign(rotated, old)
    assert told(rotated) == ["KeySign Success"], "the version was followed eight days ago, by whatever is newest now"


def test_a_version_everybody_uses_again_is_not_superseded(rotated: World) -> None:
    alert(rotated)
    old, new = (one.version for one in rotated.service.list_key_versions(rotated.operator, VAULT, "k"))
    rotated.service.update_key(rotated.operator, VAULT, "k", version=new, enabled=False)
    sign(rotated)
    sign(rotated, old)
    assert told(rotated) == []


def test_trying_a_version_that_was_disabled_meanwhile_is_told_of(rotated: World) -> None:
    alert(rotated)
    old = old_key(rotated)
    rotated.service.update_key(rotated.operator, VAULT, "k", version=old, enabled=False)
    with pytest.raises(Forbidden):
        sign(rotated, old)
    assert told(rotated) == ["KeySign KeyDisabled"]


def test_a_key_that_is_purged_before_anybody_looks_is_told_of_all_the_same(rotated: World) -> None:
    alert(rotated)
    sign(rotated, old_key(rotated))
    rotated.service.delete_key(rotated.operator, VAULT, "k")
    rotated.service.purge_key(rotated.operator, VAULT, "k")
    assert told(rotated) == ["KeySign Success"]


def test_a_key_used_again_and_again_is_noted_each_time(rotated: World) -> None:
    alert(rotated)
    old = old_key(rotated)
    for _ in range(3):
        sign(rotated, old)
    assert told(rotated) == ["KeySign Success"] * 3
    records = [one for one in rotated.unlocked.audit.records() if one.operation == "KeySign"]
    assert {one.details["superseded"] for one in records} == {"2026-03-02T12:00:00Z"}
    assert {one.details["version"] for one in records} == {old}
