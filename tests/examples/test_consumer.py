"""The serverless function: its consumer has the new password once the vault has told it, and nobody else can."""

import importlib.util
import json
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from tests.vault.service.conftest import dev, world
from tests.vault.service.receiver import Posted, Told, receiving
from tests.vault.service.test_events import VAULT, subscribe
from tests.vault.service.world import World

__all__ = ["dev", "world"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "consumer"
KEY = "a key of the hook's own"


@pytest.fixture(scope="module")
def function() -> ModuleType:
    specification = importlib.util.spec_from_file_location("consumer_function", EXAMPLE / "function.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_consumer_gets_each_new_version_once(dev: World, function: ModuleType) -> None:
    consumer: list[bytes] = []
    seen: set[str] = set()
    answers: list[int] = []

    def update(vault: str, name: str) -> None:
        value = dev.service.get_secret(dev.operator, vault, name).value
        assert value is not None
        consumer.append(value.reveal())

    def answer(posted: Posted) -> Told:
        now = dev.clock.now().timestamp()
        status, headers = function.handle(
            posted.method, posted.headers, posted.body, key=KEY.encode(), seen=seen, update=update, now=lambda: now
        )
        answers.append(status)
        # The first answer is lost on its way: the vault tells it again.
        return Told(status if len(answers) > 1 else 500, headers)

    dev.service.set_secret(dev.operator, VAULT, "hook-key", SecretValue(KEY))
    with receiving(answer) as receiver:
        subscribe(dev, receiver, secret=(VAULT, "hook-key"))
        dev.service.set_secret(dev.operator, VAULT, "db-password", SecretValue("first"))
        assert dev.service.deliver_events(SYSTEM).waiting == 1
        dev.clock.advance(timedelta(seconds=30))
        assert dev.service.deliver_events(SYSTEM).delivered == 1
        dev.service.set_secret(dev.operator, VAULT, "db-password", SecretValue("second"))
        assert dev.service.deliver_events(SYSTEM).delivered == 1
    assert consumer == [b"first", b"second"]
    assert answers == [204, 204, 204]


def test_what_the_vault_did_not_send_changes_nothing(function: ModuleType) -> None:
    from datetime import UTC, datetime

    from kvstack.terms.signature import signature_headers

    now = datetime(2026, 3, 1, tzinfo=UTC)
    body = json.dumps({"id": "1", "data": {"VaultName": VAULT, "ObjectName": "db"}}).encode()
    good = signature_headers(b"key", "1", now, body)

    def told(headers: dict[str, str], content: bytes = body, late: float = 0, key: bytes = b"key") -> tuple[int, int]:
        done: list[str] = []
        status, _ = function.handle(
            "POST",
            headers,
            content,
            key=key,
            seen=set(),
            update=lambda vault, name: done.append(name),
            now=lambda: now.timestamp() + late,
        )
        return status, len(done)

    assert told(good) == (204, 1)
    assert told({}) == (401, 0)
    assert told(good, key=b"another") == (401, 0)
    assert told(good, body + b" ") == (401, 0)
    assert told(good, late=301) == (401, 0)
    assert told({**good, "webhook-id": "2"}) == (401, 0)
    assert told({**good, "webhook-timestamp": "x"}) == (401, 0)
