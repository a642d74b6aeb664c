"""A rotator in this process that does what a test tells it to, and a service that asks it."""

import json
from collections.abc import Callable
from typing import Any

from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.rotator import Rotator
from kvstack.terms.secret import SecretValue
from kvstack.vault.rotation_attempt import Answer
from kvstack.vault.rotator_call import RotatorCall, answered
from kvstack.vault.service import VaultService
from tests.vault.service.world import World

VAULT = "payments-dev"
PROGRAM = Rotator(command=("rotate",))
MONTHLY = RotationPolicy(every=duration("P30D"), keep_previous=duration("P7D"), rotator=PROGRAM)
TAKEN = Answer("taken")
FAILED = Answer("failed", "ended with 1")
REFUSED = Answer("refused", "ended with 65")


class Database:
    """What a rotator sets passwords of: those that work. hears: is told of each call before it is answered."""

    def __init__(self, first: str = "") -> None:
        self.works = {first} if first else set[str]()
        self.calls: list[RotatorCall] = []
        self.hears: Callable[[RotatorCall], Answer | None] = lambda _: None

    @property
    def phases(self) -> list[str]:
        return [call.phase for call in self.calls]

    def ask(self, call: RotatorCall) -> Answer:
        self.calls.append(call)
        said = self.hears(call)
        if said is not None:
            return said
        document: dict[str, Any] = json.loads(call.document)
        pending = document["pending"]["value"]
        match call.phase:
            case "create":
                return answered(call, json.dumps({"value": f"user:{pending}"}).encode())
            case "set":
                self.works.add(pending)
            case "test" if pending not in self.works:
                return FAILED
            case "rollback":
                self.works.discard(pending)
        return TAKEN


class Rotating(VaultService):
    """A service whose rotators are one database."""

    database = Database()

    def _rotator(self, rotator: Rotator) -> Database:
        return self.database


def rotating(world: World, policy: RotationPolicy = MONTHLY, value: str = "user:first") -> Database:
    """Have the world's secret `s` rotated by a rotator. Returns what that sets passwords of."""
    service = Rotating(world.unlocked)
    service.database = Database(value)
    world.service = service
    service.set_secret(world.operator, VAULT, "s", SecretValue(value), rotation=policy, generator=Generator(20))
    return service.database
