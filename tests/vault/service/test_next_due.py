"""When something is due next: what a scheduler sleeps by."""

from datetime import timedelta

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from tests.vault.service.world import World

VAULT = "payments-dev"
DAY = timedelta(days=1)


def test_of_nothing_there_is_no_date(dev: World) -> None:
    assert dev.service.next_due(365 * DAY) is None


def test_it_is_the_nearest_date_of_all_within_the_time_that_is_asked_for(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "gone", SecretValue("v"))
    dev.service.delete_secret(dev.operator, VAULT, "gone")
    dev.service.set_secret(dev.operator, VAULT, "ends", SecretValue("v"), expires=dev.clock.now() + 50 * DAY)
    # It is told of 30 days before its end.
    assert dev.service.next_due(100 * DAY) == 20 * DAY
    assert dev.service.next_due(19 * DAY) is None
    dev.clock.advance(20 * DAY)
    dev.service.run_due(SYSTEM)
    # What was due is no longer to come.
    assert dev.service.next_due(100 * DAY) == 30 * DAY


def test_a_vault_that_is_going_to_be_purged_counts(world: World) -> None:
    world.service.create_vault(world.operator, VAULT, soft_delete_retention_days=7)
    world.service.delete_vault(world.operator, VAULT)
    assert world.service.next_due(7 * DAY) == 7 * DAY


def test_asking_is_not_audited(dev: World) -> None:
    before = len(list(dev.unlocked.audit.records()))
    dev.service.next_due(DAY)
    assert len(list(dev.unlocked.audit.records())) == before
