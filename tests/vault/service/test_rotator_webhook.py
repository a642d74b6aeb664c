"""A rotator that is a webhook: signed, over public addresses only, and what it answers wrongly."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kvstack.terms.generator import Generator
from kvstack.terms.rotator import Rotator
from kvstack.terms.secret import SecretValue
from kvstack.terms.signature import is_genuine
from kvstack.vault.caller import SYSTEM
from tests.vault.service.receiver import OK, Posted, Receiver, Told, certified, receiving
from tests.vault.service.rotators import MONTHLY, VAULT
from tests.vault.service.world import World

KEY = b"the key that signs"
WHOLE = ["create", "set", "test", "finish"]


def declare(world: World, url: str) -> None:
    world.service.set_secret(world.operator, VAULT, "hook-key", SecretValue(KEY))
    policy = replace(MONTHLY, rotator=Rotator(webhook=url, secret_vault=VAULT, secret="hook-key"))
    world.service.set_secret(
        world.operator, VAULT, "s", SecretValue("first-canary"), rotation=policy, generator=Generator(20)
    )


def allow(world: World, receiver: Receiver, **more: Any) -> None:
    host = f"127.0.0.1:{receiver.port}"
    file = world.unlocked.paths.events
    file.write_text(json.dumps({"allow": [host], "rotator_seconds": 2, **more}))
    file.chmod(0o600)


def failures(world: World) -> list[str]:
    return [one.diagnostic.summary for one in world.service.run_due(SYSTEM).failed]


def test_a_call_is_posted_over_tls_and_signed(dev: World, tmp_path: Path) -> None:
    authority, *certificate = certified(tmp_path)
    answer = Told(body=b'{"value": "from the hook"}')
    with receiving(lambda _: answer, certificate=(certificate[0], certificate[1])) as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver, ca_file=str(authority))
        made = dev.service.rotate_secret(dev.operator, VAULT, "s")
    assert [posted.event["phase"] for posted in receiver.got] == WHOLE
    for posted in receiver.got:
        assert posted.event["id"] == made.version
        assert posted.headers["webhook-id"] == f"{made.version}.{posted.event['phase']}"
        assert posted.headers["content-type"] == "application/json"
        identifier, at, signed = (posted.headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
        assert is_genuine(KEY, identifier, at, signed, posted.body, dev.clock.now())
        assert not is_genuine(b"another", identifier, at, signed, posted.body, dev.clock.now())
    value = dev.service.get_secret(dev.operator, VAULT, "s").value
    assert value == SecretValue("from the hook")


def test_nothing_in_this_machine_is_reached_unless_the_operator_allows_it(dev: World) -> None:
    with receiving() as receiver:
        declare(dev, receiver.url.replace("http://", "https://"))
        dev.days(31)
        (told,) = failures(dev)
        assert "127.0.0.1 is 127.0.0.1, an address of this machine" in told
    assert (receiver.connections, receiver.got) == (0, [])


def test_a_value_is_not_sent_without_tls_unless_the_operator_allows_it(dev: World) -> None:
    with receiving() as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver)
        dev.days(31)
        assert "may not be spoken to without TLS" in failures(dev)[0]
    assert receiver.got == []


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Told(status=500, body=b"first-canary"), "answered 500"),
        (Told(status=302, headers={"Location": "https://127.0.0.1/"}), "answered 302, and redirects are not followed"),
        (Told(body=b"not json first-canary"), "answered what is no JSON document"),
        (Told(body=b'{"value": {"base64": "***"}}'), 'neither a text nor {"base64": ...}'),
        (Told(body=b'{"value": "' + b"x" * 210_000 + b'"}'), "answered more than 204800 bytes"),
        (Told(raw=b"garbage first-canary\r\n\r\n"), "does not speak HTTP as it should"),
        (Told(hangs=4), "does not answer in time"),
        (Told(body=b"{}" + b" " * 60, drips=0.1), "does not answer in time"),
    ],
)
def test_what_it_answers_wrongly_is_tried_again_and_not_repeated(dev: World, told: Told, why: str) -> None:
    answers = [told]

    def answer(_: Posted) -> Told:
        return answers.pop() if answers else OK

    with receiving(answer) as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver, http=[f"127.0.0.1:{receiver.port}"])
        dev.days(31)
        (failed,) = failures(dev)
        assert why in failed
        assert "canary" not in failed
        dev.clock.advance(timedelta(seconds=11))
        assert failures(dev) == []
    assert len(dev.service.list_secret_versions(dev.operator, VAULT, "s")) == 2


def test_who_asks_to_be_left_alone_is(dev: World) -> None:
    answers = [Told(status=503, headers={"Retry-After": "600"})]
    with receiving(lambda _: answers.pop() if answers else OK) as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver, http=[f"127.0.0.1:{receiver.port}"])
        dev.days(31)
        assert len(failures(dev)) == 1
        for minutes, calls in ((9, 1), (2, 5)):
            dev.clock.advance(timedelta(minutes=minutes))
            assert failures(dev) == []
            assert len(receiver.got) == calls


def test_422_is_for_good(dev: World) -> None:
    def answer(posted: Posted) -> Told:
        return Told(status=422) if posted.event["phase"] == "set" else OK

    with receiving(answer) as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver, http=[f"127.0.0.1:{receiver.port}"])
        dev.days(31)
        failures(dev)
    assert [posted.event["phase"] for posted in receiver.got] == ["create", "set", "rollback"]


@pytest.mark.parametrize("end", ["deleted", "disabled"])
def test_without_the_secret_that_signs_nothing_is_posted(dev: World, end: str) -> None:
    with receiving() as receiver:
        declare(dev, receiver.url)
        allow(dev, receiver, http=[f"127.0.0.1:{receiver.port}"])
        if end == "deleted":
            dev.service.delete_secret(dev.operator, VAULT, "hook-key")
        else:
            dev.service.update_secret(dev.operator, VAULT, "hook-key", enabled=False)
        dev.days(31)
        assert "cannot be asked" in failures(dev)[0]
    assert receiver.got == []
