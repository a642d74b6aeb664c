"""The calendar: what it says is what the scheduler then does; what is wrong with the year ahead; who may see it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kvstack.terms.certificate import CertificateAuthority, CertificateKey, CertificatePolicy, Trigger
from kvstack.terms.duration import Duration
from kvstack.terms.generator import Generator
from kvstack.terms.key import KeySpecification
from kvstack.terms.rotation import RotationPolicy, rotates
from kvstack.terms.rotator import Rotator
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.certificates.rows import Contact
from kvstack.vault.coming import Coming, Known, Standing
from kvstack.vault.due import Due
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.forecast import forecast
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.outbox import AlertRule
from tests.vault.service.world import START, StartClock, World

VAULT = "payments-dev"
EC256 = KeySpecification("EC", None, "P-256")
DAY = timedelta(days=1)
MONTHS = 8


def policy(name: str, months: int, days: int, **more: object) -> CertificatePolicy:
    key = CertificateKey(type="EC", curve="P-256")
    renew = Trigger(days_before_expiry=days)
    return CertificatePolicy(subject=f"CN={name}", key=key, validity_months=months, renew=renew, **more)  # type: ignore[arg-type]


def due(one: Coming) -> Due:
    return Due(one.action, one.kind, one.vault, one.name, one.since)  # type: ignore[arg-type]


def conflicts(coming: tuple[Coming, ...], action: str, name: str) -> list[set[str]]:
    found = [one for one in coming if (one.action, one.name) == (action, name)]
    return [{conflict.code for conflict in one.conflicts} for one in found]


spans = st.builds(Duration, months=st.integers(0, 2), days=st.integers(7, 40))
keep = st.none() | st.builds(Duration, days=st.integers(0, 90))


@st.composite
def rotations(draw: st.DrawFn) -> RotationPolicy:
    """Any policy a vault takes."""
    every, lead = draw(spans), Duration(days=draw(st.integers(7, 30)))
    life = Duration(days=int(every.about_days) + draw(st.integers(10, 60)))
    life = life if life.days >= 38 else Duration(days=38)
    match draw(st.sampled_from(["every", "every, expires", "before", "expires"])):
        case "every":
            return RotationPolicy(every=every, keep_previous=draw(keep))
        case "every, expires":
            return RotationPolicy(every=every, expire_after=life, keep_previous=draw(keep))
        case "before":
            before = lead if lead.days + 7 <= life.days else Duration(days=7)
            return RotationPolicy(before_expiry=before, expire_after=life, keep_previous=draw(keep))
        case _:
            return RotationPolicy(expire_after=life, enabled=draw(st.booleans()))


@contextmanager
def vault() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        unlocked = initialise(
            Path(folder), hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock()
        )
        world = World(unlocked)
        world.service.create_vault(world.operator, VAULT)
        yield world
        unlocked.close()


def fill(world: World, data: st.DataObject) -> None:
    """Put anything into the vault: rotating and expiring, with older versions, disabled, deleted."""
    service, me = world.service, world.operator
    for number in range(data.draw(st.integers(1, 4), label="keys and secrets")):
        rotation, versions = data.draw(rotations()), data.draw(st.integers(1, 3))
        expires = data.draw(st.none() | st.integers(1, 300).map(lambda days: START + days * DAY))
        of_key = data.draw(st.booleans())
        generator = Generator(20) if rotates(rotation) else None
        asked = generator is not None and data.draw(st.booleans(), label="by a rotator")
        # A program that takes every call, without a word.
        with_rotator = replace(rotation, rotator=Rotator(command=("true",))) if asked else rotation
        for _ in range(versions):
            world.days(data.draw(st.integers(0, 20)))
            if of_key:
                service.create_key(me, VAULT, f"k{number}", specification=EC256, rotation=rotation, expires=expires)
            else:
                service.set_secret(
                    me,
                    VAULT,
                    f"s{number}",
                    SecretValue("v"),
                    rotation=with_rotator,
                    generator=generator,
                    expires=expires,
                )
        match data.draw(st.sampled_from(["alive", "alive", "alive", "disabled", "deleted"])):
            case "disabled" if of_key:
                service.update_key(me, VAULT, f"k{number}", enabled=False)
            case "deleted" if of_key:
                service.delete_key(me, VAULT, f"k{number}")
            case "deleted":
                service.delete_secret(me, VAULT, f"s{number}")
    if data.draw(st.booleans(), label="certificates"):
        certificates(world, data)
    if data.draw(st.booleans(), label="time has passed since"):
        world.days(data.draw(st.floats(0, 60)))
    if data.draw(st.booleans(), label="a deleted vault"):
        service.create_vault(me, "gone-dev")
        service.set_secret(me, "gone-dev", "s", SecretValue("v"), expires=START + 40 * DAY)
        service.delete_vault(me, "gone-dev")


def certificates(world: World, data: st.DataObject) -> None:
    """Put an authority, one below it perhaps, and what they sign into the vault; something may have become of them."""
    service, me = world.service, world.operator
    months = data.draw(st.integers(2, 14))
    root = policy("ca", months, data.draw(st.integers(1, 50)), authority=CertificateAuthority())
    service.create_certificate(me, VAULT, "ca", policy=root)
    issuers = ["Self", f"{VAULT}/certificates/ca"]
    if data.draw(st.booleans(), label="an authority below it"):
        below = policy(
            "sub", data.draw(st.integers(1, months)), 20, issuer=issuers[1], authority=CertificateAuthority()
        )
        service.create_certificate(me, VAULT, "sub", policy=below)
        months = below.validity_months
        issuers.append(f"{VAULT}/certificates/sub")
    if data.draw(st.booleans(), label="contacts"):
        service.set_contacts(me, VAULT, (Contact("ann@example.com"),))
    triggers = st.builds(Trigger, lifetime_percentage=st.integers(1, 99))
    for number in range(data.draw(st.integers(0, 2))):
        lasts = data.draw(st.integers(1, min(months, 6)))
        renew = data.draw(triggers | st.builds(Trigger, days_before_expiry=st.integers(1, 27 * lasts)) | st.none())
        leaf = replace(
            policy(f"c{number}", lasts, 1, issuer=data.draw(st.sampled_from(issuers)), keep_previous=data.draw(keep)),
            renew=renew,
            notify=data.draw(triggers) if renew is None else None,
        )
        service.create_certificate(me, VAULT, f"c{number}", policy=leaf)
    for name in [one.name for one in service.list_certificates(me, VAULT)]:
        match data.draw(st.sampled_from(["alive"] * 4 + ["disabled", "deleted", "changed"]), label=name):
            case "disabled":
                service.update_certificate(me, VAULT, name, enabled=False)
            case "deleted":
                service.delete_certificate(me, VAULT, name)
            case "changed":
                there = service.get_certificate(me, VAULT, name).policy
                other = replace(there, authority=None, dns_names=frozenset({f"{name}.example.com"}))
                service.set_certificate_policy(me, VAULT, name, other)


def history(world: World, coming: tuple[Coming, ...], until: timedelta) -> dict[object, set[Due]]:
    """Return what run-due really does when the clock is moved from date to date, and now and then in between."""
    start, did = world.clock.now(), dict[object, set[Due]]()
    stops = {one.at for one in coming} | {start + days * timedelta(days=20) for days in range(until.days // 20)}
    for at in sorted(stops):
        world.clock.set(at)
        report = world.service.run_due(SYSTEM)
        assert report.held_back == ()
        if report.done:
            assert len(set(report.done)) == len(report.done)
            did[at] = set(report.done)
    return did


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_calendar_says_is_what_run_due_does(data: st.DataObject) -> None:
    with vault() as world:
        fill(world, data)
        until = timedelta(days=30 * MONTHS)
        coming = world.service.calendar(world.operator, world.clock.now() + until).coming
        said = dict[object, set[Due]]()
        for one in coming:
            if one.done:
                assert due(one) not in said.get(one.at, set())
                said.setdefault(one.at, set()).add(due(one))
        did = history(world, coming, until)
        assert {at: (some, said.get(at)) for at, some in did.items() if some != said.get(at)} == {}
        assert said.keys() <= did.keys()


def test_a_year_of_a_key_a_secret_and_a_certificate_is_told_in_order(dev: World) -> None:
    monthly = RotationPolicy(every=Duration(months=1), keep_previous=Duration(days=7))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=monthly)
    found = dev.service.calendar(dev.operator, START + timedelta(days=75))
    assert [(one.action, one.at) for one in found.coming] == [
        ("rotate", START.replace(month=4)),
        ("disable-previous", START.replace(month=4, day=8)),
        ("rotate", START.replace(month=5)),
        ("disable-previous", START.replace(month=5, day=8)),
    ]
    assert dev.service.calendar(dev.operator, START + timedelta(days=75)) == found


def test_what_expires_and_is_not_followed_is_a_conflict(dev: World) -> None:
    service, me = dev.service, dev.operator
    service.set_secret(me, VAULT, "forgotten", SecretValue("v"), expires=START + 90 * DAY)
    late = RotationPolicy(every=Duration(days=100))
    service.create_key(me, VAULT, "late", specification=EC256, rotation=late, expires=START + 90 * DAY)
    coming = service.calendar(me).coming
    for action in ("near-expiry", "expired"):
        assert conflicts(coming, action, "forgotten") == [{"no-rotation"}]
        assert conflicts(coming, action, "late")[0] == {"expires-before-rotation"}


def test_a_certificate_that_would_outlive_its_authority_is_a_conflict_until_that_is_renewed(dev: World) -> None:
    service, me = dev.service, dev.operator
    service.create_certificate(me, VAULT, "ca", policy=policy("ca", 6, 30, authority=CertificateAuthority()))
    leaf = policy("leaf", 4, 40, issuer=f"{VAULT}/certificates/ca")
    service.create_certificate(me, VAULT, "leaf", policy=leaf)
    coming = service.calendar(me, START + 160 * DAY).coming
    first, second = (one for one in coming if one.action == "renew" and one.name == "leaf")
    (authority,) = (one for one in coming if one.action == "renew" and one.name == "ca")
    assert (first.done, [one.code for one in first.conflicts]) == (False, ["outlives-authority"])
    assert (second.done, second.at) == (True, authority.at)


def test_a_chain_of_authorities_is_renewed_from_its_root_in_one_run(dev: World) -> None:
    """What waited for the one above it is due longer than that, and is tried before it: in vain."""
    service, me = dev.service, dev.operator
    service.create_certificate(me, VAULT, "ca", policy=policy("ca", 7, 1, authority=CertificateAuthority()))
    issuer = f"{VAULT}/certificates/ca"
    below = policy("sub", 3, 20, issuer=issuer, authority=CertificateAuthority())
    service.create_certificate(me, VAULT, "sub", policy=below)
    leaf = policy("leaf", 1, 25, issuer=f"{VAULT}/certificates/sub")
    service.create_certificate(me, VAULT, "leaf", policy=leaf)
    coming = service.calendar(me, START + 240 * DAY).coming
    (turned,) = (one.at for one in coming if one.action == "renew" and one.name == "ca")
    renewed = [(one.name, one.done) for one in coming if one.action == "renew" and one.at == turned]
    assert sorted(renewed) == [("ca", True), ("leaf", True), ("sub", True)]
    said = {one.at: {due(other) for other in coming if other.at == one.at and other.done} for one in coming}
    did = history(dev, coming, 240 * DAY)
    assert {at: some for at, some in said.items() if some} == did
    assert [one.at for one in coming if one.action == "renew" and one.name == "leaf"][-1] > turned, "and goes on"


@pytest.mark.parametrize("away", ["disabled", "deleted", "renewed as no authority"])
def test_what_nothing_can_renew_is_a_conflict_and_so_is_its_end(dev: World, away: str) -> None:
    service, me = dev.service, dev.operator
    service.create_certificate(me, VAULT, "ca", policy=policy("ca", 60, 30, authority=CertificateAuthority()))
    leaf = policy("leaf", 4, 40, issuer=f"{VAULT}/certificates/ca")
    service.create_certificate(me, VAULT, "leaf", policy=leaf)
    match away:
        case "disabled":
            service.update_certificate(me, VAULT, "ca", enabled=False)
        case "deleted":
            service.delete_certificate(me, VAULT, "ca")
        case _:
            service.set_certificate_policy(me, VAULT, "ca", policy("ca", 60, 30))
            service.renew_certificate(me, VAULT, "ca")
    coming = [one for one in service.calendar(me, START + 150 * DAY).coming if one.name == "leaf"]
    assert [(one.action, one.done) for one in coming] == [("renew", False), ("near-expiry", True), ("expired", True)]
    assert [{conflict.code for conflict in one.conflicts} for one in coming] == [{"not-done"}] * 3
    for one in coming:
        while one.at - dev.clock.now() > 20 * DAY:  # a vault that is looked after
            dev.clock.advance(20 * DAY)
            service.run_due(SYSTEM)
        dev.clock.set(one.at)
        report = service.run_due(SYSTEM)
        done = {due.action for due in report.done if due.name == "leaf"}
        failed = {one.due.action for one in report.failed if one.due.name == "leaf"}
        assert (one.action in done, "renew" in failed) == (one.done, True)


@pytest.mark.parametrize("authority", [None, CertificateAuthority()], ids=["is to be none", "is to be one"])
def test_whether_an_authority_is_one_says_its_version_and_not_what_its_next_one_will_be(
    dev: World, authority: CertificateAuthority | None
) -> None:
    service, me = dev.service, dev.operator
    root = policy("ca", 5, 30, authority=CertificateAuthority())
    service.create_certificate(me, VAULT, "ca", policy=root)
    leaf = policy("leaf", 1, 10, issuer=f"{VAULT}/certificates/ca")
    service.create_certificate(me, VAULT, "leaf", policy=leaf)
    if authority is not None:
        service.set_certificate_policy(me, VAULT, "ca", policy("ca", 5, 30))
        service.renew_certificate(me, VAULT, "ca")
    service.set_certificate_policy(me, VAULT, "ca", policy("ca", 5, 30, authority=authority))
    coming = service.calendar(me, START + 200 * DAY).coming
    (turned,) = (one.at for one in coming if one.action == "renew" and one.name == "ca")
    renewals = [one for one in coming if one.action == "renew" and one.name == "leaf"]
    assert {one.done for one in renewals if one.at < turned} == {authority is None}
    assert {one.done for one in renewals if one.at > turned} == {authority is not None}
    did = history(dev, coming, 200 * DAY)
    said = {at: {due(one) for one in coming if one.done and one.at == at} for at in did}
    assert did == said


def test_a_rotation_nobody_is_told_of_is_a_conflict(dev: World) -> None:
    monthly = RotationPolicy(every=Duration(days=200))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=monthly)
    assert conflicts(dev.service.calendar(dev.operator).coming, "rotate", "k") == [{"nobody-notified"}]
    dev.service.put_subscription(dev.operator, "all", mail=["ops@example.com"])
    assert conflicts(dev.service.calendar(dev.operator).coming, "rotate", "k") == [set()]


def test_an_alert_on_the_event_is_told_of_a_rotation_and_one_on_many_is_not(dev: World) -> None:
    monthly = RotationPolicy(every=Duration(days=200))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=monthly)
    for count, expected in ((1, set()), (2, {"nobody-notified"})):
        rule = AlertRule(event="*.KeyNewVersionCreated", count=count)
        dev.service.put_alert(dev.operator, "told", rule, mail=["ops@example.com"])
        assert conflicts(dev.service.calendar(dev.operator).coming, "rotate", "k") == [expected]


def test_purges_and_rights_that_end_are_there(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    dev.service.delete_secret(dev.operator, VAULT, "s")
    person = dev.person()
    puts: tuple[Callable[..., object], ...] = (
        dev.service.create_role_assignment,
        dev.service.put_eligible_assignment,
    )
    for count, put in enumerate(puts, 1):
        put(
            dev.operator,
            dev.scope(VAULT),
            role="Key Vault Reader",
            principal_id=person.id,
            principal_type="user",
            expires=START + count * DAY,
        )
    found = dev.service.calendar(dev.operator).coming
    assert [(one.action, one.kind, one.at) for one in found] == [
        ("ends", "role_assignment", START + DAY),
        ("ends", "eligible_assignment", START + 2 * DAY),
        ("purge", "secret", START + 90 * DAY),
    ]


def test_the_calendar_is_for_those_who_may_see_the_vaults_and_ends_in_the_future(dev: World) -> None:
    with pytest.raises(Forbidden):
        dev.service.calendar(dev.person())
    assert dev.service.calendar(dev.person("Reader")).coming == ()
    for wrong in (START - DAY, START.replace(year=9001)):
        with pytest.raises(BadParameter):
            dev.service.calendar(dev.operator, wrong)


def test_what_lies_beyond_the_calendar_never_comes(dev: World) -> None:
    rare = RotationPolicy(every=Duration(months=12 * 900))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=rare)
    found = dev.service.calendar(dev.operator, START.replace(year=9000)).coming
    assert [one.at.year for one in found] == [2926, 3826, 4726, 5626, 6526, 7426, 8326]


def test_too_much_is_refused_rather_than_counted_for_ever(dev: World) -> None:
    weekly = RotationPolicy(every=Duration(days=7))
    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256, rotation=weekly)
    known = Known([Standing(dev.service.list_keys(dev.operator, VAULT)[0])])
    assert len(forecast(known, START, START + 28 * DAY, most=4)) == 4
    with pytest.raises(BadParameter, match="earlier day"):
        forecast(known, START, START + 35 * DAY, most=4)
