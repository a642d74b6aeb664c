"""What time has changed is computed by those who read; only a run of what is due writes anything."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from kvstack.terms.duration import Duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from tests.vault.service.test_events import VAULT
from tests.vault.service.world import START, World

MONTHLY = RotationPolicy(every=Duration(days=20), keep_previous=Duration(days=7))


def generation(world: World) -> int:
    """Return how often anything but the audit was written."""
    with world.unlocked.store.transaction() as tx:
        return tx.ledger.root.number


@pytest.fixture
def overdue(dev: World) -> World:
    """A key and a secret whose rotation is due, a secret that has expired, one past its retention; people to tell."""
    service, me = dev.service, dev.operator
    service.put_subscription(me, "people", mail=["ann@example.com"])
    service.create_key(me, VAULT, "k", specification=KeySpecification("EC", None, "P-256"), rotation=MONTHLY)
    service.set_secret(me, VAULT, "s", SecretValue("v"), rotation=MONTHLY, generator=Generator())
    service.set_secret(me, VAULT, "ending", SecretValue("v"), expires=START + timedelta(days=10))
    service.create_vault(me, "short", soft_delete_retention_days=7)
    service.set_secret(me, "short", "gone", SecretValue("v"))
    service.delete_secret(me, "short", "gone")
    service.create_role_assignment(
        me,
        dev.scope(VAULT),
        role="Key Vault Reader",
        principal_id=dev.person().id,
        principal_type="user",
        expires=START + timedelta(days=5),
    )
    dev.clock.advance(timedelta(days=30))
    service.list_vaults(me)  # after so long the audit is signed by whoever does anything: that is none of theirs
    return dev


READS: list[Callable[[World], object]] = [
    lambda w: w.service.due(w.operator),
    lambda w: w.service.due(w.operator, at=START + timedelta(days=400)),
    lambda w: w.service.calendar(w.operator),
    lambda w: w.service.get_secret(w.operator, VAULT, "s"),
    lambda w: w.service.get_secret(w.operator, VAULT, "ending"),
    lambda w: w.service.get_key(w.operator, VAULT, "k"),
    lambda w: w.service.list_secrets(w.operator, VAULT),
    lambda w: w.service.list_key_versions(w.operator, VAULT, "k"),
    lambda w: w.service.list_deleted_secrets(w.operator, "short"),
    lambda w: w.service.get_rotation_policy(w.operator, VAULT, "keys", "k"),
    lambda w: w.service.list_events(w.operator),
    lambda w: w.service.list_subscriptions(w.operator),
    lambda w: w.service.list_role_assignments(w.operator, w.scope(VAULT)),
]


def test_none_of_them_writes(overdue: World) -> None:
    before = generation(overdue)
    for number, read in enumerate(READS):
        read(overdue)
        assert generation(overdue) == before, f"the read number {number} wrote something"
    assert overdue.service.list_events(overdue.operator)[-1].type == "kvstack.AccessChanged", "nobody was told anything"


def test_a_run_does(overdue: World) -> None:
    before = generation(overdue)
    assert {one.action for one in overdue.service.run_due(SYSTEM).done} == {"rotate", "purge", "expired", "near-expiry"}
    assert generation(overdue) > before
    after = generation(overdue)
    assert overdue.service.run_due(SYSTEM).done == ()
    assert generation(overdue) - after <= 1, "a second run notes that it was there, at most"
