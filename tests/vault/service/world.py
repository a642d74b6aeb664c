"""What a test of the service acts in: a vault with software keys, a clock to move, people with roles."""

import uuid
from datetime import UTC, datetime, timedelta

from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.clock import SimulatedClock
from kvstack.vault.initialise import Unlocked
from kvstack.vault.service import VaultService

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class StartClock:
    """Where the simulated clock starts."""

    def now(self) -> datetime:
        return START


class World:
    """A vault, its service, its operator, and the time."""

    def __init__(self, unlocked: Unlocked) -> None:
        self.unlocked = unlocked
        self.service = VaultService(unlocked)
        self.operator = self.service.operator
        assert isinstance(unlocked.clock, SimulatedClock)
        self.clock = unlocked.clock
        self._people = 0

    def days(self, count: float) -> None:
        """Let time pass as it does in a vault that is used: never more than a month without a change."""
        left = timedelta(days=count)
        while left > timedelta(0):
            step = min(left, timedelta(days=30))
            self.clock.advance(step)
            self.service.set_secret(self.operator, self._home(), "heartbeat", SecretValue("beat"))
            left -= step

    def scope(self, vault: str = "", item: str = "") -> Scope:
        settings = self.unlocked.settings
        return Scope(settings.subscription_id, settings.resource_group if vault else "", vault, item)

    def person(self, *roles: str, at: Scope | None = None, name: str = "") -> Caller:
        """Return a new principal with these roles at a scope."""
        self._people += 1
        caller = Caller(str(uuid.UUID(int=self._people, version=4)), name or f"person-{self._people}")
        for role in roles:
            self.service.create_role_assignment(
                self.operator, at or self.scope(), role=role, principal_id=caller.id, principal_type="user"
            )
        return caller

    def _home(self) -> str:
        if self.service._registry is None or self.service._registry.vault("heart") is None:
            self.service.create_vault(self.operator, "heart")
        return "heart"
