"""Rotation by time: when, and once; what the new version is like, what becomes of old ones, what does not stop it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from kvstack.terms.certificate import CertificateAuthority, CertificateKey, CertificatePolicy, Trigger
from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault import agenda
from kvstack.vault.caller import SYSTEM
from kvstack.vault.due import Due, DueReport
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.faults import Tampered
from kvstack.vault.records import CertificateVersion, KeyVersion, SecretVersion
from kvstack.vault.service import VaultService
from tests.vault.service.world import START, World

VAULT = "payments-dev"
EC256 = KeySpecification("EC", None, "P-256")
MONTHLY = RotationPolicy(every=duration("P30D"), expire_after=duration("P60D"), keep_previous=duration("P10D"))
WEB = CertificatePolicy(
    subject="CN=web",
    key=CertificateKey(type="EC", curve="P-256"),
    validity_months=2,
    renew=Trigger(days_before_expiry=30),
    keep_previous=duration("P10D"),
)


@pytest.fixture
def rotating(dev: World) -> World:
    """A vault with a key, a generated secret and a certificate that change every month."""
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=MONTHLY, tags={"team": "pay"})
    dev.service.set_secret(
        dev.operator,
        VAULT,
        "s",
        SecretValue("first"),
        content_type="text/plain",
        rotation=MONTHLY,
        generator=Generator(20),
    )
    dev.service.create_certificate(dev.operator, VAULT, "c", policy=WEB)
    return dev


def did(report: DueReport) -> set[tuple[str, str]]:
    assert (report.held_back, report.failed) == ((), ())
    return {(one.action, one.name) for one in report.done}


def run(world: World) -> set[tuple[str, str]]:
    return did(world.service.run_due(SYSTEM))


def versions(world: World, collection: str) -> list[tuple[bool, bool]]:
    """Return (enabled, made by rotation) of each version of a kind's one thing, oldest first."""
    listed: dict[str, Callable[..., tuple[KeyVersion | SecretVersion | CertificateVersion, ...]]] = {
        "keys": world.service.list_key_versions,
        "secrets": world.service.list_secret_versions,
        "certificates": world.service.list_certificate_versions,
    }
    found = listed[collection](world.operator, VAULT, collection[0])
    return [(one.enabled, one.by_rotation) for one in found]


def test_what_is_due_is_done_once_and_its_old_versions_end_later(rotating: World) -> None:
    assert run(rotating) == set()
    rotating.days(29.9)
    assert run(rotating) == set()
    # A certificate of two months, renewed 30 days before it expires, is due on its 31st day at the latest.
    rotating.days(1.5)
    assert run(rotating) == {("rotate", "k"), ("rotate", "s"), ("renew", "c")}
    assert run(rotating) == set()
    for collection in ("keys", "secrets", "certificates"):
        assert versions(rotating, collection) == [(True, False), (True, True)]
    rotating.days(10)
    assert run(rotating) == {("disable-previous", "k"), ("disable-previous", "s"), ("disable-previous", "c")}
    assert run(rotating) == set()
    for collection in ("keys", "secrets", "certificates"):
        assert versions(rotating, collection) == [(False, False), (True, True)]


def test_a_new_version_is_like_the_one_before_and_expires_by_the_policy(rotating: World) -> None:
    rotating.days(31)
    run(rotating)
    now = rotating.clock.now()
    key = rotating.service.get_key(rotating.operator, VAULT, "k")
    assert (key.tags, key.expires, key.specification) == ({"team": "pay"}, now + timedelta(days=60), EC256)
    secret = rotating.service.get_secret(rotating.operator, VAULT, "s")
    assert secret.value is not None
    value = secret.value.reveal()
    assert (secret.content_type, secret.expires, len(value)) == ("text/plain", now + timedelta(days=60), 20)
    assert value != b"first"
    # A certificate's key and secret are renewed with it.
    certificate = rotating.service.get_certificate(rotating.operator, VAULT, "c")
    assert certificate.version == rotating.service.get_key(rotating.operator, VAULT, "c").version
    assert certificate.version == rotating.service.get_secret(rotating.operator, VAULT, "c").version


def test_after_a_month_asleep_each_is_done_once_and_the_next_counts_from_then(dev: World) -> None:
    weekly = RotationPolicy(every=duration("P7D"))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=weekly)
    dev.clock.advance(timedelta(days=33))
    assert run(dev) == {("rotate", "k")}
    assert run(dev) == set()
    assert len(versions(dev, "keys")) == 2
    assert dev.service.due(dev.operator, at=START + timedelta(days=39)) == ()
    (due,) = dev.service.due(dev.operator, at=START + timedelta(days=41))
    assert due == Due("rotate", "key", VAULT, "k", START + timedelta(days=40))


def test_a_rotation_by_hand_puts_the_next_one_off(rotating: World) -> None:
    rotating.days(20)
    rotating.service.rotate_key(rotating.operator, VAULT, "k")
    rotating.service.rotate_secret(rotating.operator, VAULT, "s")
    rotating.days(11.5)
    assert run(rotating) == {("renew", "c"), ("disable-previous", "k"), ("disable-previous", "s")}


@pytest.mark.parametrize("step", [timedelta(days=-1), timedelta(days=36), timedelta(days=3650)])
def test_after_a_step_of_the_clock_nothing_is_done_until_somebody_confirms_it(rotating: World, step: timedelta) -> None:
    rotating.days(31)
    rotating.clock.advance(step)
    if step < timedelta(0):
        rotating.service.update_key(rotating.operator, VAULT, "k", expires=rotating.clock.now() + timedelta(days=90))
    report = rotating.service.run_due(SYSTEM)
    assert report.done == ()
    assert report.reason
    assert len(versions(rotating, "keys")) == 1
    rotating.service.confirm_clock(rotating.operator, "looked at a watch")
    assert ("rotate", "s") in run(rotating) or step < timedelta(0)


def test_a_run_now_and_then_is_a_sign_of_life_where_nothing_else_happens(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    dev.service.delete_secret(dev.operator, VAULT, "s")
    for _ in range(12):
        dev.clock.advance(timedelta(days=8))
        report = dev.service.run_due(SYSTEM)
        assert report.held_back == ()
    assert dev.service.list_deleted_secrets(dev.operator, VAULT) == ()


def test_what_is_switched_off_disabled_or_deleted_waits(rotating: World) -> None:
    service, me = rotating.service, rotating.operator
    service.set_rotation_policy(me, VAULT, "keys", "k", replace(MONTHLY, enabled=False))
    service.update_secret(me, VAULT, "s", enabled=False)
    service.delete_certificate(me, VAULT, "c")
    rotating.days(40)
    assert run(rotating) == set()
    service.set_rotation_policy(me, VAULT, "keys", "k", MONTHLY)
    service.update_secret(me, VAULT, "s", enabled=True)
    service.recover_certificate(me, VAULT, "c")
    assert run(rotating) == {("rotate", "k"), ("rotate", "s"), ("renew", "c")}


def test_what_lies_in_a_deleted_vault_waits_for_it(rotating: World) -> None:
    rotating.service.delete_vault(rotating.operator, VAULT)
    rotating.days(40)
    assert run(rotating) == set()
    rotating.service.recover_vault(rotating.operator, VAULT)
    assert run(rotating) == {("rotate", "k"), ("rotate", "s"), ("renew", "c")}


def test_the_newest_version_stays_enabled_while_it_is_the_only_one_that_is(rotating: World) -> None:
    rotating.days(31)
    run(rotating)
    rotating.service.update_key(rotating.operator, VAULT, "k", enabled=False)
    rotating.days(11)
    assert ("disable-previous", "k") not in run(rotating)
    assert versions(rotating, "keys") == [(True, False), (False, True)]


def test_what_somebody_enabled_again_after_its_end_stays_enabled(rotating: World) -> None:
    rotating.days(31)
    run(rotating)
    rotating.days(11)
    run(rotating)
    (first, _) = rotating.service.list_key_versions(rotating.operator, VAULT, "k")
    rotating.service.update_key(rotating.operator, VAULT, "k", version=first.version, enabled=True)
    rotating.days(20)
    run(rotating)
    rotating.days(11)
    assert ("disable-previous", "k") in run(rotating)
    assert [enabled for enabled, _ in versions(rotating, "keys")] == [True, False, True]


def test_an_overlap_declared_later_ends_what_was_followed_before(dev: World) -> None:
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256)
    dev.service.rotate_key(dev.operator, VAULT, "k")
    dev.days(20)
    dev.service.rotate_key(dev.operator, VAULT, "k")
    dev.service.set_rotation_policy(dev.operator, VAULT, "keys", "k", RotationPolicy(keep_previous=duration("P10D")))
    assert run(dev) == {("disable-previous", "k")}
    assert [enabled for enabled, _ in versions(dev, "keys")] == [False, True, True]
    dev.days(10)
    assert run(dev) == {("disable-previous", "k")}
    assert [enabled for enabled, _ in versions(dev, "keys")] == [False, False, True]


def test_an_hsm_that_is_away_stops_its_keys_and_nothing_else(rotating: World) -> None:
    rotating.days(31.5)
    providers = rotating.service._providers
    rotating.service._providers = {}
    report = rotating.service.run_due(SYSTEM)
    assert {(one.action, one.name) for one in report.done} == {("rotate", "s"), ("near-expiry", "c")}
    assert {(one.due.action, one.due.name) for one in report.failed} == {("rotate", "k"), ("renew", "c")}
    assert all("is not there" in one.diagnostic.summary for one in report.failed)
    rotating.service._providers = providers
    assert run(rotating) == {("rotate", "k"), ("renew", "c")}


def test_a_key_that_somebody_rotated_meanwhile_is_not_rotated_again(rotating: World) -> None:
    """Two schedulers found it due, and the slower one made a key for nothing: it lets it go."""
    rotating.days(31)

    class Slow(VaultService):
        def _next_key(self, *arguments):  # type: ignore[no-untyped-def]
            prepared = super()._next_key(*arguments)
            assert rotating.service.run_due(SYSTEM).failed == ()
            return prepared

    report = Slow(rotating.unlocked).run_due(SYSTEM)
    assert ("rotate", "k") not in did(report)
    assert versions(rotating, "keys") == [(True, False), (True, True)]
    assert versions(rotating, "secrets") == [(True, False), (True, True)]


def test_the_scheduler_is_no_way_around_access(rotating: World) -> None:
    for call in (
        lambda: rotating.service.get_secret(SYSTEM, VAULT, "s"),
        lambda: rotating.service.delete_key(SYSTEM, VAULT, "k"),
        lambda: rotating.service.list_keys(SYSTEM, VAULT),
        lambda: rotating.service.update_secret(SYSTEM, VAULT, "s", enabled=False),
    ):
        with pytest.raises(Forbidden):
            call()
    reader = rotating.person("Key Vault Reader", at=rotating.scope(VAULT))
    with pytest.raises(Forbidden):
        rotating.service.rotate_secret(reader, VAULT, "s")
    with pytest.raises(Forbidden):
        rotating.service.set_rotation_policy(reader, VAULT, "secrets", "s", MONTHLY)


def test_what_is_done_is_audited_as_the_systems_thing_by_thing(rotating: World) -> None:
    rotating.days(31.5)
    run(rotating)
    rotating.days(10)
    run(rotating)
    audited = [
        (one.operation, one.resource.rsplit("/", maxsplit=2)[-1])
        for one in rotating.unlocked.audit.records()
        if one.caller == "system" and one.result == "Success" and one.operation.startswith(("Key", "Secret", "Cert"))
    ]
    assert sorted(audited) == [
        ("CertificateDisablePrevious", "c"),
        ("CertificateRenew", "c"),
        ("KeyDisablePrevious", "k"),
        ("KeyRotate", "k"),
        ("SecretDisablePrevious", "s"),
        ("SecretRotate", "s"),
    ]


@pytest.mark.parametrize("year", [8500, 9999])
def test_a_date_beyond_the_calendar_never_comes(dev: World, year: int) -> None:
    ages = RotationPolicy(every=duration("P1000Y"), expire_after=duration("P1000Y"), keep_previous=duration("P1000Y"))
    far = datetime(year, 6, 1, tzinfo=START.tzinfo)
    dev.clock.set(far)
    dev.service.confirm_clock(dev.operator, "far")
    with pytest.raises(BadParameter):
        dev.service.create_key(dev.operator, VAULT, "bad", specification=EC256, rotation=ages)
    long = RotationPolicy(every=duration("P900Y"), expire_after=duration("P1000Y"), keep_previous=duration("P1000Y"))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=long)
    made = dev.service.rotate_key(dev.operator, VAULT, "k")
    assert (made.expires is None) == (year == 9999)
    assert run(dev) == set()


def test_a_certificate_near_its_authoritys_end_is_renewed_once_a_day_at_most(dev: World) -> None:

    root = CertificatePolicy(subject="CN=root", key=WEB.key, validity_months=2, authority=CertificateAuthority())
    dev.service.create_certificate(dev.operator, VAULT, "root", policy=root)
    leaf = replace(WEB, issuer=f"{VAULT}/certificates/root", validity_months=1, renew=Trigger(days_before_expiry=27))
    dev.service.create_certificate(dev.operator, VAULT, "leaf", policy=leaf)
    made = 0
    for _ in range(24):
        dev.clock.advance(timedelta(hours=6))
        made += len(run(dev))
    assert made <= 6


def test_only_who_may_have_an_authority_sign_makes_the_scheduler_have_it_sign(dev: World) -> None:
    """Whoever may only change policies could else have his own names signed, by waiting."""

    service, me = dev.service, dev.operator
    root = CertificatePolicy(subject="CN=root", key=WEB.key, validity_months=36, authority=CertificateAuthority())
    service.create_certificate(me, VAULT, "root", policy=root)
    leaf = replace(WEB, issuer=f"{VAULT}/certificates/root")
    for name in ("mine", "yours", "own"):
        service.create_certificate(me, VAULT, name, policy=leaf if name != "own" else WEB)
    service.set_certificate_policy(me, VAULT, "mine", replace(leaf, notify=Trigger(days_before_expiry=40)))
    service.set_certificate_policy(me, VAULT, "yours", replace(leaf, dns_names=frozenset({"bank.example.com"})))
    service.set_certificate_policy(me, VAULT, "own", leaf)
    dev.days(31.5)
    report = service.run_due(SYSTEM)
    assert {(one.action, one.name) for one in report.done if one.action != "near-expiry"} == {("renew", "mine")}
    assert {one.due.name for one in report.failed} == {"yours", "own"}
    assert all("was changed since its authority signed" in one.diagnostic.summary for one in report.failed)
    # Who may, does it once by hand; from then on it goes by itself.
    service.renew_certificate(me, VAULT, "yours")
    dev.days(31.5)
    assert ("renew", "yours") in {(one.action, one.name) for one in service.run_due(SYSTEM).done}


def test_a_vault_that_an_older_kvstack_made_gets_its_agenda_at_the_first_run(rotating: World) -> None:
    with rotating.unlocked.store.transaction() as tx:
        agenda.MARKS.delete(tx, "agenda")
        for row in agenda.AGENDA.scan(tx):
            agenda.AGENDA.delete(tx, row.thing)
    rotating.days(31.5)
    assert {due.name for due in rotating.service.due(rotating.operator)} == {"k", "s", "c"}
    assert run(rotating) == {("rotate", "k"), ("rotate", "s"), ("renew", "c")}


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE agenda SET day = '2999-01-01' WHERE thing LIKE 'keys/%'",
        "UPDATE agenda SET day = '2999-01-01', hour = '2999-01-01T00' WHERE thing LIKE 'keys/%'",
        "DELETE FROM agenda WHERE thing LIKE 'keys/%'",
        "UPDATE agenda_marks SET body = x'00'",
        "DELETE FROM agenda_marks",
        "DROP TABLE agenda",
    ],
)
def test_an_entry_that_somebody_moved_or_removed_is_noticed(rotating: World, deed: str) -> None:
    """Or else who can write to the file could keep a key from ever being rotated."""
    rotating.days(31)
    store = rotating.unlocked.store
    store._connection.execute(deed)
    store.read_tables()
    with pytest.raises(Tampered):
        rotating.service.run_due(SYSTEM)


def test_what_a_rotation_makes_due_at_once_is_done_by_the_same_run(dev: World) -> None:
    weekly = RotationPolicy(every=duration("P7D"), keep_previous=duration("P0D"))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=weekly)
    dev.service.rotate_key(dev.operator, VAULT, "k")
    dev.days(7)
    # The first version's end and the second's successor are due together; then the second's end is due, too.
    report = dev.service.run_due(SYSTEM)
    assert [one.action for one in report.done] == ["disable-previous", "rotate", "disable-previous"]
    assert versions(dev, "keys") == [(False, False), (False, True), (True, True)]


def test_a_thing_that_waits_in_a_deleted_vault_does_not_keep_runs_from_being_a_sign_of_life(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"), expires=START + timedelta(days=40))
    dev.service.delete_vault(dev.operator, VAULT)
    for _ in range(10):
        dev.clock.advance(timedelta(days=20))
        assert dev.service.run_due(SYSTEM).held_back == ()
