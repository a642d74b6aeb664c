"""What expires is told of before and after: once for each version and date, whoever runs the scheduler."""

from datetime import timedelta

import pytest

from kvstack.terms.certificate import CertificateKey, CertificatePolicy
from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from tests.vault.service.receiver import Receiver, receiving
from tests.vault.service.test_events import VAULT, subscribe
from tests.vault.service.world import World


def told(world: World, receiver: Receiver) -> list[tuple[str, str]]:
    """Run the scheduler, and return what came of it since the last time."""
    before = len(receiver.got)
    world.service.run_due(SYSTEM)
    world.service.deliver_events(SYSTEM)
    events = [posted.event for posted in receiver.got[before:]]
    return [(event["type"].removeprefix("Microsoft.KeyVault."), event["subject"]) for event in events]


def expiring(world: World, days: float, name: str = "db") -> None:
    expires = world.clock.now() + timedelta(days=days)
    world.service.set_secret(world.operator, VAULT, name, SecretValue("v"), expires=expires)


def test_a_secret_is_told_of_thirty_days_before_it_expires_and_when_it_has(dev: World) -> None:
    expiring(dev, 40)
    with receiving() as receiver:
        subscribe(dev, receiver)
        assert told(dev, receiver) == []
        dev.clock.advance(timedelta(days=9, hours=23))
        assert told(dev, receiver) == []
        dev.clock.advance(timedelta(hours=1))
        assert told(dev, receiver) == [("SecretNearExpiry", "db")]
        assert told(dev, receiver) == []
        assert told(dev, receiver) == []
        dev.days(30)
        assert ("SecretExpired", "db") in told(dev, receiver)
        assert told(dev, receiver) == []
    expires = dev.service.get_secret_properties(dev.operator, VAULT, "db").expires
    assert expires is not None
    assert receiver.got[0].event["data"]["EXP"] == int(expires.timestamp())


def test_another_version_and_another_date_are_told_of_anew(dev: World) -> None:
    with receiving() as receiver:
        expiring(dev, 20)
        subscribe(dev, receiver)
        assert told(dev, receiver) == [("SecretNearExpiry", "db")]
        expiring(dev, 20)
        assert told(dev, receiver) == [("SecretNewVersionCreated", "db"), ("SecretNearExpiry", "db")]
        expires = dev.clock.now() + timedelta(days=10)
        dev.service.update_secret(dev.operator, VAULT, "db", expires=expires)
        assert told(dev, receiver) == [("SecretNearExpiry", "db")]
        dev.service.update_secret(dev.operator, VAULT, "db", tags={"a": "b"})
        assert told(dev, receiver) == []


@pytest.mark.parametrize("change", ["disabled", "deleted", "without a date", "in a deleted vault"])
def test_what_nobody_uses_is_not_told_of(dev: World, change: str) -> None:
    service, me = dev.service, dev.operator
    expiring(dev, 20)
    match change:
        case "disabled":
            service.update_secret(me, VAULT, "db", enabled=False)
        case "deleted":
            service.delete_secret(me, VAULT, "db")
        case "without a date":
            service.update_secret(me, VAULT, "db", expires=None)
        case _:
            service.delete_vault(me, VAULT)
    with receiving() as receiver:
        subscribe(dev, receiver)
        dev.clock.advance(timedelta(days=5))
        assert told(dev, receiver) == []


def test_a_policy_says_how_long_before(dev: World) -> None:
    policy = RotationPolicy(expire_after=duration("P100D"), notify_before_expiry=duration("P60D"))
    expires = dev.clock.now() + timedelta(days=100)
    dev.service.create_key(
        dev.operator, VAULT, "k", specification=KeySpecification("EC", curve="P-256"), rotation=policy, expires=expires
    )
    with receiving() as receiver:
        subscribe(dev, receiver)
        dev.days(31)
        assert ("KeyNearExpiry", "k") not in told(dev, receiver)
        dev.clock.advance(timedelta(days=9))
        assert told(dev, receiver) == [("KeyNearExpiry", "k")]


def test_a_certificate_is_told_of_and_not_its_key_and_secret(dev: World) -> None:
    policy = CertificatePolicy(subject="CN=x", key=CertificateKey("EC", curve="P-256"), validity_months=1)
    with receiving() as receiver:
        subscribe(dev, receiver)
        dev.service.create_certificate(dev.operator, VAULT, "web", policy=policy)
        assert told(dev, receiver) == [("CertificateNewVersionCreated", "web")]
        dev.clock.advance(timedelta(days=2))
        assert told(dev, receiver) == [("CertificateNearExpiry", "web")]
        dev.clock.advance(timedelta(days=30))
        assert told(dev, receiver) == [("CertificateExpired", "web")]


def test_what_is_followed_at_that_moment_does_not_expire(dev: World) -> None:
    policy = RotationPolicy(before_expiry=duration("P30D"), expire_after=duration("P60D"))
    expires = dev.clock.now() + timedelta(days=60)
    dev.service.set_secret(
        dev.operator, VAULT, "s", SecretValue("v"), expires=expires, rotation=policy, generator=Generator(12)
    )
    with receiving() as receiver:
        subscribe(dev, receiver)
        dev.clock.advance(timedelta(days=30))
        assert told(dev, receiver) == [("SecretNewVersionCreated", "s")]


def test_a_month_asleep_is_caught_up_with_once(dev: World) -> None:
    expiring(dev, 31, "a")
    expiring(dev, 33, "b")
    with receiving() as receiver:
        subscribe(dev, receiver)
        dev.clock.advance(timedelta(days=32))
        assert told(dev, receiver) == [("SecretNearExpiry", "a"), ("SecretNearExpiry", "b"), ("SecretExpired", "a")]
        assert told(dev, receiver) == []
