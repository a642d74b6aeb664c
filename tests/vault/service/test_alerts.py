"""Alerts on the audit: what counts is told once, whoever looks and however seldom, and nobody's own watching counts."""

from datetime import timedelta
from pathlib import Path

import pytest

from kvstack.terms.event import Filter
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.outbox import AlertRule
from tests.vault.service.test_events import VAULT, set_secret
from tests.vault.service.world import World

MAIL = ("ann@example.com",)


def alert(world: World, rule: AlertRule, name: str = "reads", vault: str = "") -> None:
    world.service.put_alert(world.operator, name, rule, mail=MAIL, vault=vault)


def read(world: World, times: int = 1, vault: str = VAULT) -> None:
    for _ in range(times):
        world.service.get_secret(world.operator, vault, "db")


def told(world: World) -> int:
    """Look at the audit, and return how many alerts came of it."""
    before = len(world.service.list_events(world.operator))
    count = world.service.watch_audit(SYSTEM)
    assert len(world.service.list_events(world.operator)) == before + count
    return count


@pytest.fixture
def stored(dev: World) -> World:
    set_secret(dev)
    return dev


def test_each_operation_of_a_kind_is_told_of_once(stored: World) -> None:
    read(stored)
    alert(stored, AlertRule(operation="secretget"))
    assert told(stored) == 0, "what was before is not its business"
    read(stored, 2)
    assert told(stored) == 2
    assert told(stored) == 0
    (event, _) = stored.service.list_events(stored.operator)
    assert (event.type, event.subject, event.subscription) == ("kvstack.Alert", "reads", "alerts/reads")


def test_too_many_in_a_while_are_told_of_and_counting_begins_anew(stored: World) -> None:
    alert(stored, AlertRule(operation="SecretGet", count=3, seconds=60))
    read(stored, 2)
    assert told(stored) == 0
    stored.clock.advance(timedelta(seconds=61))
    read(stored, 2)
    assert told(stored) == 0, "never three within a minute"
    read(stored)
    assert told(stored) == 1
    read(stored, 2)
    assert told(stored) == 0
    read(stored, 4)
    assert told(stored) == 2


def test_a_refusal_is_told_of_in_its_vault_and_of_whom_it_is_about(stored: World) -> None:
    stored.service.create_vault(stored.operator, "another")
    mallory = stored.person(name="mallory")
    alert(stored, AlertRule(result="Forbidden*", principal="mallory"), vault=VAULT)
    for vault in (VAULT, "another"):
        with pytest.raises(Forbidden):
            stored.service.get_secret(mallory, vault, "db")
    with pytest.raises(Forbidden):
        stored.service.get_secret(stored.person(), VAULT, "db")
    assert told(stored) == 1


def test_watching_and_delivering_do_not_count(stored: World) -> None:
    alert(stored, AlertRule(operation="*", principal="system"))
    for _ in range(3):
        stored.service.run_due(SYSTEM)
        stored.service.deliver_events(SYSTEM)
    assert told(stored) == 0


def test_many_records_are_looked_at_in_parts(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvstack.vault.alerts._AT_ONCE", 7)
    alert(stored, AlertRule(operation="SecretGet", count=5, seconds=3600))
    read(stored, 52)
    assert told(stored) == 10
    read(stored, 3)
    assert told(stored) == 1


def test_alerts_are_for_who_may_have_them(stored: World) -> None:
    reader, owner = stored.person("Reader"), stored.person("Owner")
    rule = AlertRule(operation="SecretGet")
    with pytest.raises(Forbidden):
        stored.service.put_alert(reader, "mine", rule, mail=MAIL)
    with pytest.raises(Forbidden):
        stored.service.put_alert(owner, "mine", rule, command=["true"])
    alert(stored, rule)
    with pytest.raises(Forbidden):
        stored.service.watch_audit(owner)
    with pytest.raises(Conflict):
        stored.service.put_alert(owner, "READS", rule, mail=MAIL, new=True)
    with pytest.raises(Forbidden):
        stored.service.delete_alert(reader, "reads")
    stored.service.delete_alert(owner, "reads")
    with pytest.raises(NotFound):
        stored.service.delete_alert(owner, "reads")


@pytest.mark.parametrize(
    "rule",
    [
        AlertRule(),
        AlertRule(operation="x", count=0),
        AlertRule(result="x", seconds=0),
        AlertRule(superseded="a week"),
        AlertRule(event="kvstack.Nothing"),
        AlertRule(event="kvstack.Alert"),
        AlertRule(event="kvstack.DriftFound", result="x"),
    ],
)
def test_an_alert_that_says_nothing_is_refused(dev: World, rule: AlertRule) -> None:
    with pytest.raises(BadParameter):
        alert(dev, rule)


def test_no_subscription_has_the_name_of_an_alerts_row(dev: World) -> None:
    with pytest.raises(BadParameter):
        dev.service.put_subscription(dev.operator, "alerts/x", mail=MAIL)


def test_an_alert_is_on_an_event_once_or_too_often_in_a_while(dev: World) -> None:
    rule = AlertRule(event="*.secretnewversioncreated", count=2, seconds=60)
    dev.service.put_alert(dev.operator, "changes", rule, mail=MAIL, vault=VAULT)
    dev.service.create_vault(dev.operator, "another")
    set_secret(dev)
    dev.service.set_secret(dev.operator, "another", "db", SecretValue("x"))
    assert dev.service.list_events(dev.operator) == (), "one in its vault"
    dev.clock.advance(timedelta(seconds=61))
    set_secret(dev)
    assert dev.service.list_events(dev.operator) == (), "not within a minute"
    set_secret(dev)
    (event,) = dev.service.list_events(dev.operator)
    assert (event.type, event.subject, event.subscription) == ("kvstack.Alert", "changes", "alerts/changes")
    assert b'"Version":"Microsoft.KeyVault.SecretNewVersionCreated"' in event.event
    set_secret(dev)
    assert len(dev.service.list_events(dev.operator)) == 1, "counting begins anew"


def test_an_alert_on_an_event_that_is_undone_is_not_raised(dev: World) -> None:
    dev.service.put_alert(dev.operator, "changes", AlertRule(event="*"), mail=MAIL)

    def set_and_failed() -> None:
        with dev.service.batch():
            set_secret(dev)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        set_and_failed()
    assert dev.service.list_events(dev.operator) == ()
    set_secret(dev)
    assert [one.type for one in dev.service.list_events(dev.operator)] == ["kvstack.Alert"]


def test_subscribers_to_alerts_are_told_of_those_on_events_and_on_the_audit(stored: World) -> None:
    stored.service.put_subscription(stored.operator, "all", mail=MAIL, wanted=Filter(types=("kvstack.Alert",)))
    stored.service.put_alert(stored.operator, "changes", AlertRule(event="*"), mail=MAIL)
    alert(stored, AlertRule(operation="SecretSet"))
    set_secret(stored)
    stored.service.watch_audit(SYSTEM)
    told = [(one.subscription, one.subject) for one in stored.service.list_events(stored.operator)]
    assert told == [("alerts/changes", "changes"), ("all", "changes"), ("alerts/reads", "reads"), ("all", "reads")]


def test_what_was_recorded_before_an_alert_was_on_the_audit_does_not_count(stored: World) -> None:
    alert(stored, AlertRule(event="kvstack.DriftFound"))
    read(stored)
    alert(stored, AlertRule(operation="SecretGet"))
    assert told(stored) == 0
    read(stored)
    assert told(stored) == 1


def test_what_is_archived_was_looked_at_before(stored: World, tmp_path: Path) -> None:
    alert(stored, AlertRule(operation="SecretGet"))
    read(stored, 3)
    stored.clock.advance(timedelta(minutes=2))
    read(stored)  # with it a checkpoint is made: all before it can be archived
    stored.clock.advance(timedelta(minutes=2))
    done = stored.service.archive_audit(stored.operator, stored.clock.now(), str(tmp_path / "archive"))
    assert done.records > 3
    assert [one.type for one in stored.service.list_events(stored.operator)] == ["kvstack.Alert"] * 4
    assert told(stored) == 0
    read(stored)
    assert told(stored) == 1
