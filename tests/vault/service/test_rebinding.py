"""A name that means this machine, at once or a moment later, leads no event here: whatever a resolver says of it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from kvstack.vault.event_configuration import EventConfiguration
from kvstack.vault.public_address import NotPublic, Place, checked_addresses
from kvstack.vault.webhook import Webhook
from tests.vault.service.receiver import OK, Told, receiving
from tests.vault.service.test_events import deliver, set_secret
from tests.vault.service.world import World

PUBLIC = "198.41.0.4"
HOST = "hooks.example.com"


class Resolver:
    """Answers each question with the next of some answers, and the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[Place]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in answer]


class Trap:
    """A socket of this machine that takes note of whoever connects. On all its addresses, IPv6 too."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port: int = self._socket.getsockname()[1]
        self.caught = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return  # closed
            self.caught += 1
            stream.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    with closing(Trap()) as found:
        yield found


@contextmanager
def hook(port: int, resolver: Resolver, **allowed: tuple[str, ...]) -> Iterator[Webhook]:
    made = Webhook(
        f"https://{HOST}:{port}/",
        EventConfiguration(**allowed),  # type: ignore[arg-type]
        None,
        now=lambda: datetime.now(UTC),
        random=lambda size: b"r" * size,
        seconds=(1.0, 1.0, 2.0),
        resolver=resolver,
    )
    with closing(made):
        yield made


HERE = [
    ["127.0.0.1"],
    ["127.9.9.9"],
    ["0.0.0.0"],
    ["::1"],
    ["::"],
    ["::ffff:127.0.0.1"],
    ["::ffff:7f00:1"],
    ["::127.0.0.1"],
    ["64:ff9b::127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["64:ff9b:1::7f00:1"],
    ["2002:7f00:1::"],
    [PUBLIC, "127.0.0.1"],
    [PUBLIC, "::ffff:127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    [PUBLIC, PUBLIC, "64:ff9b::7f00:1"],
]


@pytest.mark.parametrize("answer", HERE, ids=", ".join)
@pytest.mark.parametrize("asked", [Webhook.validated, lambda hook: hook.post("id", b"{}")], ids=["asked", "posted"])
def test_one_address_of_this_machine_among_all_is_enough_to_connect_to_none(
    trap: Trap, answer: list[str], asked: Callable[[Webhook], object]
) -> None:
    with hook(trap.port, Resolver(answer)) as webhook:
        said = asked(webhook)
    assert "an address of this machine" in str(said) or "a private or reserved address" in str(said)
    assert trap.caught == 0


def test_the_trap_catches_who_does_connect(trap: Trap) -> None:
    with hook(trap.port, Resolver(["127.0.0.1"]), allow=(HOST,)) as webhook:
        assert webhook.post("id", b"{}").outcome == "later"
    assert trap.caught == 1


def test_a_name_is_resolved_once_and_what_was_looked_at_is_connected_to() -> None:
    changing = Resolver([PUBLIC], ["127.0.0.1"])
    assert checked_addresses(HOST, 443, allowed=False, resolver=changing) == [(socket.AF_INET, PUBLIC)]
    assert changing.asked == 1
    with pytest.raises(NotPublic):
        checked_addresses(HOST, 443, allowed=False, resolver=changing)


def test_every_connection_is_looked_at_anew(trap: Trap) -> None:
    """A connection that ended is opened anew, by an answer of then."""
    changing = Resolver(["0.0.0.0"], ["127.0.0.1"], [PUBLIC, "::1"])
    with hook(trap.port, changing) as webhook:
        for _ in range(3):
            assert "may not be reached" in webhook.post("id", b"{}").why
    assert (changing.asked, trap.caught) == (3, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "//localhost:{port}/"])
def test_no_redirect_leads_to_this_machine(dev: World, trap: Trap, status: int, to: str) -> None:
    answers = [Told(status, {"Location": to.format(port=trap.port)})]
    with receiving(lambda _: answers.pop() if answers else OK) as receiver:
        place = f"127.0.0.1:{receiver.port}"
        dev.unlocked.paths.events.write_text(json.dumps({"allow": [place], "http": [place]}))
        dev.unlocked.paths.events.chmod(0o600)
        dev.service.put_subscription(dev.operator, "hook", webhook=receiver.url)
        set_secret(dev)
        assert "redirects are not followed" in deliver(dev).troubles[0].why
    assert trap.caught == 0
