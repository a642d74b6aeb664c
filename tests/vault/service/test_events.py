"""Events: in the outbox exactly where their change was made, and handed over at least once, in order."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kvstack.terms.event import EVENT_TYPES, Filter
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.terms.signature import is_genuine
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.event_configuration import event_configuration
from kvstack.vault.webhook import Webhook
from tests.vault.service.receiver import OK, Posted, Receiver, Told, certified, in_turn, receiving
from tests.vault.service.world import World

VAULT = "payments-dev"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def allow(world: World, receiver: Receiver, **more: object) -> None:
    host = f"127.0.0.1:{receiver.port}"
    file = world.unlocked.paths.events
    file.write_text(json.dumps({"allow": [host], "http": [host], **more}))
    file.chmod(0o600)


def subscribe(world: World, receiver: Receiver, name: str = "hook", **more: object) -> None:
    allow(world, receiver)
    world.service.put_subscription(world.operator, name, webhook=receiver.url, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def hook(
    world: World, receiver: Receiver, seconds: tuple[float, float, float] = (5.0, 10.0, 20.0)
) -> Iterator[Webhook]:
    """The webhook by itself, as a delivery uses it."""
    configuration = event_configuration(world.unlocked.paths)
    made = Webhook(receiver.url, configuration, None, now=world.clock.now, random=os.urandom, seconds=seconds)
    with contextlib.closing(made):
        yield made


def set_secret(world: World, name: str = "db", value: str = "v") -> str:
    return world.service.set_secret(world.operator, VAULT, name, SecretValue(value)).version


def deliver(world: World):  # type: ignore[no-untyped-def]  # a DeliveryReport
    return world.service.deliver_events(SYSTEM)


def test_a_vault_without_a_subscriber_keeps_no_events(dev: World) -> None:
    set_secret(dev)
    with dev.unlocked.store.transaction() as tx:
        assert "event_deliveries" not in tx.store.tables
    assert deliver(dev).waiting == 0


def test_a_new_version_is_told_with_key_vaults_type_and_data(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver)
        expires = dev.clock.now() + timedelta(days=100)
        version = dev.service.set_secret(dev.operator, VAULT, "db", SecretValue("v"), expires=expires).version
        assert deliver(dev).delivered == 1
    (posted,) = receiver.got
    event = posted.event
    path = dev.scope(VAULT).path
    assert event["type"] == "Microsoft.KeyVault.SecretNewVersionCreated"
    assert (event["source"], event["subject"], event["specversion"]) == (path, "db", "1.0")
    assert event["data"] == {
        "Id": f"{path}/secrets/db/{version}",
        "VaultName": VAULT,
        "ObjectType": "Secret",
        "ObjectName": "db",
        "Version": version,
        "NBF": None,
        "EXP": int(expires.timestamp()),
    }
    assert posted.headers["content-type"].startswith("application/cloudevents+json")


EC = KeySpecification("EC", curve="P-256")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda w: w.service.create_key(w.operator, VAULT, "k", specification=EC), ["KeyNewVersionCreated"]),
        (lambda w: w.service.delete_secret(w.operator, VAULT, "old"), ["PurgeScheduled"]),
        (lambda w: w.service.delete_vault(w.operator, VAULT), ["PurgeScheduled"]),
        (lambda w: w.person("Key Vault Reader", at=w.scope(VAULT)), ["AccessChanged"]),
        (
            lambda w: w.service.update_vault(w.operator, VAULT, access_model="access_policies"),
            ["VaultAccessPolicyChanged"],
        ),
        (lambda w: w.service.update_secret(w.operator, VAULT, "old", tags={"a": "b"}), []),
        (lambda w: w.service.get_secret(w.operator, VAULT, "old"), []),
    ],
)
def test_what_is_done_and_nothing_else_is_told(dev: World, act: Callable[[World], object], told: list[str]) -> None:
    set_secret(dev, "old")
    with receiving() as receiver:
        subscribe(dev, receiver)
        act(dev)
        deliver(dev)
    types = [posted.event["type"] for posted in receiver.got]
    assert [one.rpartition(".")[2] for one in types] == told
    assert set(types) <= EVENT_TYPES


def test_an_operation_that_is_undone_tells_nothing(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver)
        with contextlib.suppress(RuntimeError), dev.service.batch():
            set_secret(dev, "undone")
            raise RuntimeError
        with pytest.raises(BadParameter):
            set_secret(dev, "no_name")
        set_secret(dev, "kept")
        deliver(dev)
    assert receiver.subjects == ["kept"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Filter(), ["db-a", "db-b", "web"]),
        (Filter(prefix="DB-"), ["db-a", "db-b"]),
        (Filter(suffix="b"), ["db-b", "web"]),
        (Filter(prefix="db", suffix="a", vault=VAULT.upper()), ["db-a"]),
        (Filter(types=("Microsoft.KeyVault.KeyNewVersionCreated",)), []),
        (Filter(vault="another"), []),
    ],
)
def test_a_subscriber_gets_what_it_asked_for(dev: World, wanted: Filter, told: list[str]) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver, wanted=wanted)
        for name in ("db-a", "db-b", "web"):
            set_secret(dev, name)
        deliver(dev)
    assert receiver.subjects == told


# The handshake


def test_nothing_is_posted_to_who_did_not_say_that_he_wants_events(dev: World) -> None:
    with receiving(allowed=None) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        report = deliver(dev)
    assert (report.delivered, report.waiting) == (0, 1)
    assert "did not say that it wants events" in report.troubles[0].why
    assert [posted.event[0]["eventType"] for posted in receiver.got] == [  # type: ignore[index]
        "Microsoft.EventGrid.SubscriptionValidationEvent"
    ]
    (asked,) = receiver.asked
    assert asked.headers["webhook-request-origin"] == "kvstack.local"


def test_event_grids_handshake_is_enough(dev: World) -> None:
    def answer(posted: Posted) -> Told:
        if posted.headers.get("aeg-event-type") == "SubscriptionValidation":
            code = posted.event[0]["data"]["validationCode"]  # type: ignore[index]
            return Told(body=json.dumps({"validationResponse": code}).encode())
        return OK

    with receiving(answer, allowed=None) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        assert deliver(dev).delivered == 1
        set_secret(dev)
        assert deliver(dev).delivered == 1
        assert len(receiver.asked) == 1, "asked once, not at every delivery"


def test_another_address_is_asked_anew(dev: World) -> None:
    with receiving() as first, receiving() as second:
        subscribe(dev, first)
        set_secret(dev)
        deliver(dev)
        set_secret(dev, "later")
        subscribe(dev, second)
        deliver(dev)
        assert len(second.asked) == 1
        assert (first.subjects, second.subjects) == (["db"], ["later"])


# Signatures


def test_events_are_signed_with_the_newest_version_of_the_secret(dev: World) -> None:
    with receiving() as receiver:
        for value in ("first", "second"):
            set_secret(dev, "signing", value)
            subscribe(dev, receiver, secret=(VAULT, "signing"))
            set_secret(dev)
            deliver(dev)
    now = dev.clock.now()
    for posted, key in zip(receiver.got[-2:], ("second", "second"), strict=True):
        head = posted.headers
        arguments = (head["webhook-id"], head["webhook-timestamp"], head["webhook-signature"])
        assert is_genuine(key.encode(), *arguments, posted.body, now)
        assert not is_genuine(b"first", *arguments, posted.body, now)
        assert not is_genuine(key.encode(), *arguments, posted.body + b" ", now)
        assert not is_genuine(key.encode(), *arguments, posted.body, now + timedelta(minutes=6))


def test_who_may_not_read_the_secret_may_not_have_events_signed_with_it(dev: World) -> None:
    set_secret(dev, "signing")
    mallory = dev.person("Contributor")
    with receiving() as receiver, pytest.raises(Forbidden):
        dev.service.put_subscription(mallory, "hook", webhook=receiver.url, secret=(VAULT, "signing"))


def test_without_its_secret_nothing_is_sent_unsigned(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver, secret=(VAULT, "signing"))
        set_secret(dev)
        report = deliver(dev)
        assert (report.delivered, report.waiting) == (0, 1)
        assert "there is no secret `signing`" in report.troubles[0].why
        set_secret(dev, "signing")
        dev.clock.advance(timedelta(minutes=1))
        assert deliver(dev).delivered == 2
    assert receiver.subjects == ["db", "signing"]


# Who may


def test_subscriptions_are_for_who_may_have_them(dev: World) -> None:
    reader, stranger = dev.person("Reader"), dev.person()
    with receiving() as receiver:
        subscribe(dev, receiver)
        for caller in (reader, stranger):
            with pytest.raises(Forbidden):
                dev.service.put_subscription(caller, "mine", webhook=receiver.url)
            with pytest.raises(Forbidden):
                dev.service.delete_subscription(caller, "hook")
            with pytest.raises(Forbidden):
                dev.service.deliver_events(caller)
        set_secret(dev)
        assert [one.name for one in dev.service.list_subscriptions(reader)] == ["hook"]
        assert dev.service.list_subscriptions(stranger) == ()
        assert len(dev.service.list_events(reader)) == 1
        assert dev.service.list_events(stranger) == ()
        with pytest.raises(Forbidden):
            dev.service.get_subscription(stranger, "hook")
        with pytest.raises(Forbidden):
            dev.service.list_events(stranger, subscription="hook")


def test_who_has_rights_at_one_vault_subscribes_to_that_one_only(dev: World) -> None:
    dev.service.create_vault(dev.operator, "another")
    owner = dev.person("Contributor", at=dev.scope(VAULT))
    url = "https://hooks.example.com/x"
    dev.service.put_subscription(owner, "mine", webhook=url, wanted=Filter(vault=VAULT))
    for vault in ("", "another"):
        with pytest.raises(Forbidden):
            dev.service.put_subscription(owner, "more", webhook=url, wanted=Filter(vault=vault))
        with pytest.raises(Forbidden):
            dev.service.put_subscription(owner, "mine", webhook=url, wanted=Filter(vault=vault))
    with pytest.raises(Conflict):
        dev.service.put_subscription(owner, "MINE", webhook=url, wanted=Filter(vault=VAULT), new=True)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://hooks.example.com", "over https"),
        ("https://", "names no host"),
        ("https://user:pass@hooks.example.com/", "password"),
        ("https://hooks.example.com/#x", "#"),
        ("https://hooks.example.com/a b", "%XX"),
        ("https://hooks.example.com/\r\nX: y", "%XX"),
        ("https://[::1", "no URL"),
        ("https://hooks..example.com/", "could be looked up"),
        ("https://.example.com/", "could be looked up"),
        (f"https://{'a' * 64}.example.com/", "could be looked up"),
        (f"https://{'a.' * 130}com/", "could be looked up"),
        ("https://hooks.example.com:99999/", "no URL"),
        ("https://hooks.example.com/\r\nx", "%XX"),
    ],
)
def test_an_address_nothing_can_be_posted_to_is_refused(dev: World, url: str, why: str) -> None:
    with pytest.raises(BadParameter, match=why):
        dev.service.put_subscription(dev.operator, "hook", webhook=url)


# Faults


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Told(500), "answered 500"),
        (Told(301, {"Location": "/elsewhere"}), "redirects are not followed"),
        (Told(raw=b"garbage\r\n\r\n"), "does not speak HTTP"),
        (Told(raw=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"), "does not speak HTTP"),
        (Told(raw=b"\x00"), "does not speak HTTP"),
        (Told(raw=CHUNKED + b"-5\r\nabc\r\n"), "does not speak HTTP"),
        (Told(raw=CHUNKED + b"five\r\nabc\r\n"), "does not speak HTTP"),
        (Told(raw=CHUNKED + b"1" * 70_000 + b"\r\n"), "does not speak HTTP"),
        (Told(raw=b"HTTP/1.1 -200 OK\r\n\r\n"), "does not speak HTTP"),
        (Told(raw=b"HTTP/2.0 200 OK\r\n\r\n"), "does not speak HTTP"),
        (Told(raw=b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "answered 101"),
        (Told(429, {"Retry-After": "Sun, 99999999999999999999 Mar 2026 10:00:00 GMT"}), "answered 429"),
    ],
)
def test_what_is_not_taken_waits_and_is_sent_again(dev: World, answer: Told, why: str) -> None:
    with receiving(in_turn(answer)) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        report = deliver(dev)
        assert (report.delivered, report.waiting, report.dead) == (0, 1, 0)
        assert why in report.troubles[0].why
        assert deliver(dev).delivered == 0, "not before the pause is over"
        assert len(receiver.got) == 1
        dev.clock.advance(timedelta(seconds=10))
        assert deliver(dev).delivered == 1
    assert [posted.path for posted in receiver.got] == ["/hook", "/hook"]
    (event,) = dev.service.list_events(dev.operator)
    assert (event.state, event.attempts) == ("delivered", 2)


def test_a_receiver_that_says_when_is_left_alone_until_then(dev: World) -> None:
    with receiving(in_turn(Told(429, {"Retry-After": "3600"}))) as receiver:
        subscribe(dev, receiver)
        for name in ("a", "b"):
            set_secret(dev, name)
        assert deliver(dev).waiting == 2
        dev.clock.advance(timedelta(minutes=59))
        assert deliver(dev).waiting == 2
        assert len(receiver.got) == 1, "its other events wait, too"
        dev.clock.advance(timedelta(minutes=1))
        assert deliver(dev).delivered == 2


def test_a_receiver_that_is_gone_gets_nothing_again(dev: World) -> None:
    with receiving(in_turn(Told(410))) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        assert deliver(dev).dead == 1
        dev.clock.advance(timedelta(days=1))
        assert deliver(dev).delivered == 0
    assert len(receiver.got) == 1


@pytest.mark.parametrize("told", [Told(hangs=3.0), Told(body=b"x" * 200, drips=0.1)])
def test_who_hangs_or_drips_does_not_hold_up_the_vault(dev: World, told: Told) -> None:
    with receiving(lambda _: told) as receiver:
        allow(dev, receiver)
        with hook(dev, receiver, seconds=(0.5, 0.5, 1.0)) as webhook:
            began = time.monotonic()
            answer = webhook.post("id", b"{}")
            assert time.monotonic() - began < 2.5
    assert (answer.outcome, answer.why) == ("later", "does not answer in time")


@pytest.mark.parametrize("secure", [False, True], ids=["in clear", "by TLS"])
def test_a_second_answer_to_one_event_is_none_to_the_next(dev: World, tmp_path: Path, secure: bool) -> None:
    authority, certificate, key = certified(tmp_path)
    twice = Told(again=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with receiving(in_turn(twice, then=Told(500)), certificate=(certificate, key) if secure else None) as receiver:
        allow(dev, receiver, ca_file=str(authority))
        with hook(dev, receiver) as webhook:
            assert webhook.post("first", b"{}").outcome == "taken"
            assert receiver.said_again.wait(10)
            assert webhook.post("second", b"{}").why == "answered 500"
    assert len(receiver.got) == 2


def test_a_size_below_nothing_does_not_have_everything_read(dev: World) -> None:
    endless = Told(raw=CHUNKED + b"-1\r\n" + b"x" * 50_000_000)
    with receiving(in_turn(endless)) as receiver:
        allow(dev, receiver)
        with hook(dev, receiver) as webhook:
            tracemalloc.start()
            webhook.post("id", b"{}")
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert most < 5_000_000


def test_an_answer_without_end_is_not_read_to_it(dev: World) -> None:
    with receiving(in_turn(Told(body=b"x" * 2_000_000), then=OK)) as receiver:
        subscribe(dev, receiver)
        set_secret(dev, "a")
        set_secret(dev, "b")
        assert deliver(dev).delivered == 2
        assert receiver.connections > 1, "the connection was given up, not read to its end"


def test_a_receiver_that_was_gone_for_a_day_gets_everything_in_order(dev: World) -> None:
    with receiving(lambda _: Told(503)) as receiver:
        subscribe(dev, receiver)
        for name in ("a", "b", "c", "d", "e"):
            set_secret(dev, name)
        for _ in range(23):
            deliver(dev)
            dev.clock.advance(timedelta(hours=1))
        receiver.answer = lambda _: OK
        receiver.got.clear()
        dev.clock.advance(timedelta(minutes=59))
        report = deliver(dev)
        assert (report.delivered, report.dead) == (5, 0)
        assert receiver.subjects == ["a", "b", "c", "d", "e"]


def test_after_a_day_of_nothing_an_event_is_dead_and_can_be_sent_again(dev: World) -> None:
    with receiving(lambda _: Told(500)) as receiver:
        subscribe(dev, receiver)
        for name in ("a", "b", "c", "d", "e"):
            set_secret(dev, name)
        for _ in range(26):
            deliver(dev)
            dev.clock.advance(timedelta(hours=1))
        assert deliver(dev).waiting == 0
        dead = dev.service.list_events(dev.operator, state="dead")
        assert [one.subject for one in dead] == ["a", "b", "c", "d", "e"]
        assert all("answered 500" in one.failure for one in dead)
        receiver.answer = lambda _: OK
        receiver.got.clear()
        with pytest.raises(NotFound):
            dev.service.replay_events(dev.operator, identifier="no such id")
        dev.service.replay_events(dev.operator, identifier=dead[0].id)
        assert deliver(dev).delivered == 1
        assert len(dev.service.replay_events(dev.operator, subscription="hook")) == 4
        assert deliver(dev).delivered == 4
        assert receiver.subjects == ["a", "b", "c", "d", "e"]


def test_the_next_event_of_a_thing_waits_for_the_one_before(dev: World) -> None:
    def answer(posted: Posted) -> Told:
        return Told(500) if posted.event["subject"] == "bad" and not healed else OK

    healed: list[bool] = []
    with receiving(answer) as receiver:
        subscribe(dev, receiver)
        versions = [set_secret(dev, "bad") for _ in range(3)]
        set_secret(dev, "good")
        deliver(dev)
        assert receiver.subjects == ["bad", "good"], "others do not wait"
        healed.append(True)
        receiver.got.clear()
        dev.clock.advance(timedelta(minutes=1))
        deliver(dev)
        assert [posted.event["data"]["Version"] for posted in receiver.got] == versions


@pytest.mark.parametrize("seed", range(5))
def test_whatever_fails_each_thing_s_events_arrive_in_order_and_none_is_lost(dev: World, seed: int) -> None:
    chance = random.Random(seed)
    taken: dict[str, list[str]] = {}

    def answer(posted: Posted) -> Told:
        if chance.random() < 0.4:
            return chance.choice([Told(500), Told(429, {"Retry-After": "5"}), Told(raw=b"?\r\n\r\n")])
        data = posted.event["data"]
        taken.setdefault(data["ObjectName"], []).append(data["Version"])
        return OK

    expected: dict[str, list[str]] = {}
    with receiving(answer) as receiver:
        subscribe(dev, receiver)
        for _ in range(40):
            name = chance.choice("abc")
            expected.setdefault(name, []).append(set_secret(dev, name))
            if chance.random() < 0.3:
                deliver(dev)
                dev.clock.advance(timedelta(seconds=chance.choice([1, 30, 300])))
        for _ in range(60):
            if not deliver(dev).waiting:
                break
            dev.clock.advance(timedelta(minutes=20))
    assert taken == expected


def test_two_subscribers_do_not_wait_for_each_other(dev: World) -> None:
    with receiving(lambda _: Told(500)) as bad, receiving() as good:
        subscribe(dev, bad, "bad")
        dev.service.put_subscription(dev.operator, "good", webhook=good.url)
        hosts = [f"127.0.0.1:{bad.port}", f"127.0.0.1:{good.port}"]
        dev.unlocked.paths.events.write_text(json.dumps({"allow": hosts, "http": hosts}))
        for name in ("a", "b"):
            set_secret(dev, name)
        report = deliver(dev)
        assert (report.delivered, report.waiting) == (2, 2)
        assert good.subjects == ["a", "b"]


def test_taking_a_subscription_away_takes_what_waits_for_it(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        dev.service.delete_subscription(dev.operator, "hook")
        assert deliver(dev).waiting == 0
        assert dev.service.list_events(dev.operator) == ()
        subscribe(dev, receiver)
        deliver(dev)
    assert receiver.got == []


def test_what_was_delivered_is_kept_for_a_week(dev: World) -> None:
    with receiving(in_turn(OK, Told(410))) as receiver:
        subscribe(dev, receiver, wanted=Filter(prefix="db"))
        for name in ("db-a", "db-b"):
            set_secret(dev, name)
        deliver(dev)
        dev.days(6.9)
        deliver(dev)
        assert [one.state for one in dev.service.list_events(dev.operator)] == ["delivered", "dead"]
        dev.days(0.2)
        set_secret(dev, "db-c")
        deliver(dev)
        assert [one.subject for one in dev.service.list_events(dev.operator)] == ["db-b", "db-c"]


# Where events may go


def test_nothing_of_this_machine_is_reached_unless_the_operator_allows_it(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver)
        file = dev.unlocked.paths.events
        for written, why in (
            ({}, "without TLS"),
            ({"allow": ["127.0.0.1"]}, "without TLS"),
            ({"http": ["127.0.0.1"]}, "without TLS"),
            ({"allow": ["127.0.0.1:1"], "http": ["127.0.0.1"]}, "without TLS"),
        ):
            file.write_text(json.dumps(written))
            set_secret(dev)
            dev.clock.advance(timedelta(hours=13))
            report = deliver(dev)
            assert why in report.troubles[0].why
        dev.service.put_subscription(dev.operator, "tls", webhook=f"https://127.0.0.1:{receiver.port}/")
        set_secret(dev)
        troubles = {one.subscription: one.why for one in deliver(dev).troubles}
        assert "an address of this machine" in troubles["tls"]
        assert receiver.connections == 0


def test_an_operators_file_that_others_can_change_allows_nothing(dev: World) -> None:
    from kvstack.terms.diagnostic import KvstackError

    with receiving() as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        dev.unlocked.paths.events.chmod(0o666)
        with pytest.raises(KvstackError, match="can be read or changed by others"):
            deliver(dev)
        assert receiver.connections == 0


def test_tls_is_checked_against_who_is_trusted(dev: World, tmp_path: Path) -> None:
    authority, certificate, key = certified(tmp_path)
    with receiving(certificate=(certificate, key)) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        report = deliver(dev)
        assert "no certificate to be trusted" in report.troubles[0].why
        assert receiver.got == []
        allow(dev, receiver, ca_file=str(authority))
        dev.clock.advance(timedelta(minutes=1))
        assert deliver(dev).delivered == 1
        # The certificate is for 127.0.0.1, and for no other name of this machine.
        host = f"localhost:{receiver.port}"
        dev.unlocked.paths.events.write_text(json.dumps({"allow": [host], "ca_file": str(authority)}))
        dev.service.put_subscription(dev.operator, "other", webhook=f"https://{host}/")
        set_secret(dev)
        troubles = {one.subscription: one.why for one in deliver(dev).troubles}
        assert "no certificate to be trusted" in troubles["other"]


def test_a_proxy_of_the_environment_is_not_used(dev: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        subscribe(dev, receiver)
        set_secret(dev)
        assert deliver(dev).delivered == 1


# At once, and killed


def test_only_one_process_delivers_at_a_time(dev: World) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def answer(posted: Posted) -> Told:
        entered.set()
        assert go_on.wait(10)
        return OK

    with receiving(answer) as receiver:
        subscribe(dev, receiver)
        set_secret(dev)
        first = threading.Thread(target=lambda: deliver(dev))
        first.start()
        assert entered.wait(10)
        assert deliver(dev).busy
        go_on.set()
        first.join()
    assert len(receiver.got) == 1


_DELIVERS = """
import sys
from pathlib import Path
from kvstack.vault.caller import SYSTEM
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
VaultService(unlock(Path(sys.argv[1]))).deliver_events(SYSTEM)
"""


def test_killed_between_delivery_and_its_note_an_event_comes_again(dev: World, tmp_path: Path) -> None:
    process: list[subprocess.Popen[bytes]] = []

    def answer(posted: Posted) -> Told:
        if posted.event["subject"] == "b" and not killed:
            killed.append(True)
            process[0].send_signal(signal.SIGKILL)
        return OK

    killed: list[bool] = []
    with receiving(answer) as receiver:
        subscribe(dev, receiver)
        for name in ("a", "b", "c"):
            set_secret(dev, name)
        process.append(subprocess.Popen([sys.executable, "-c", _DELIVERS, str(tmp_path)]))
        assert process[0].wait(60) == -signal.SIGKILL
        assert deliver(dev).waiting == 0
    assert receiver.subjects[:2] == ["a", "b"]
    assert receiver.subjects[-2:] == ["b", "c"], "at least once: what nobody noted comes again"
    ids = [posted.headers.get("webhook-id", posted.event["id"]) for posted in receiver.got]
    assert len(set(ids)) == 3, "under the same id, by which a receiver tells what it has"


def test_ten_thousand_events_arrive(dev: World) -> None:
    with receiving() as receiver:
        subscribe(dev, receiver)
        with dev.service.batch():
            for number in range(10_000):
                set_secret(dev, f"s{number % 100}")
        assert deliver(dev).delivered == 10_000
    numbers: dict[str, int] = {}
    for posted in receiver.got:
        numbers[posted.event["subject"]] = numbers.get(posted.event["subject"], 0) + 1
    assert set(numbers.values()) == {100}


def test_no_value_is_in_an_event_or_in_what_is_told_of_it(dev: World) -> None:
    canary = "canary-9f2a61"
    with receiving(lambda posted: Told(500, body=posted.body)) as receiver:
        set_secret(dev, "signing", canary + "-key")
        subscribe(dev, receiver, secret=(VAULT, "signing"))
        set_secret(dev, "db", canary)
        report = deliver(dev)
        everything = [repr(report), repr(dev.service.list_events(dev.operator)), repr(receiver.got)]
    with sqlite3.connect(dev.unlocked.paths.database) as connection:
        everything += map(repr, connection.execute("SELECT * FROM event_deliveries"))
        everything += map(repr, connection.execute("SELECT * FROM event_endpoints"))
    connection.close()
    assert receiver.got
    assert not any(canary in one for one in everything)
