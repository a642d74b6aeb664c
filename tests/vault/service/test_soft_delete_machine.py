"""No sequence of calls purges a protected thing before its time; and nothing that was set is ever lost on the way."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM
from kvstack.vault.errors import VaultError
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.service.world import START, StartClock, World

VAULTS = ("one", "two")
NAMES = ("a",)
LONGEST_PAUSE = timedelta(days=35)

vaults = st.sampled_from(VAULTS)
names = st.sampled_from(NAMES)


class Thing:
    """What the model knows of a secret: its values, oldest first, and from when on time may purge it."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.purgeable: datetime | None = None


class Home:
    """What the model knows of a vault."""

    def __init__(self, protected: bool, days: int) -> None:
        self.protected = protected
        self.days = timedelta(days=days)
        self.things: dict[str, Thing] = {}
        self.purgeable: datetime | None = None


class SoftDelete(RuleBasedStateMachine):
    """Random calls against a vault, and a plain model of what must still be there.

    The model's own time, `believed`, is what an honest observer grants: it goes on with the clock, but by steps of more
    than 35 days only when the operator confirms them, and never back. A protected thing may vanish only once that time
    is past the retention it had when it was deleted.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        unlocked = initialise(
            Path(self.folder.name), hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock()
        )
        self.world = World(unlocked)
        self.service, self.operator = self.world.service, self.world.operator
        self.homes: dict[str, Home] = {}
        self.believed = START
        self.count = 0
        # Begin where it is interesting: most random beginnings only find out that there is nothing.
        self.create_vault("one", protected=True, days=7)
        self.create_vault("two", protected=False, days=20)
        for vault in VAULTS:
            self.set_secret(vault, "a")

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.unlocked.close()
            self.folder.cleanup()

    def call(self, name: str, *arguments: Any, **more: Any) -> bool:
        """Return whether the call was done rather than refused."""
        try:
            getattr(self.service, name)(self.operator, *arguments, **more)
        except VaultError:
            return False
        self.see()
        return True

    def see(self) -> None:
        now = self.world.clock.now()
        if self.believed < now <= self.believed + LONGEST_PAUSE:
            self.believed = now

    def over(self, purgeable: datetime | None) -> bool:
        now = self.world.clock.now()
        return (
            purgeable is not None
            and now >= purgeable
            and (self.believed >= purgeable or now <= self.believed + LONGEST_PAUSE)
        )

    # Calls

    @rule(vault=vaults, protected=st.booleans(), days=st.sampled_from((7, 20, 90)))
    def create_vault(self, vault: str, protected: bool, days: int) -> None:
        before = self.homes.get(vault)
        arguments = {"soft_delete_retention_days": days, "purge_protection": protected}
        gone = before is None or self.over(before.purgeable)
        if self.call("create_vault", vault, **arguments):
            assert gone
            self.homes[vault] = Home(protected, days)

    @rule(vault=vaults, protected=st.booleans())
    def protect(self, vault: str, protected: bool) -> None:
        if self.call("update_vault", vault, purge_protection=protected):
            home = self.homes[vault]
            assert protected or not home.protected
            home.protected = protected

    @rule(vault=vaults, days=st.sampled_from((7, 90)))
    def change_retention(self, vault: str, days: int) -> None:
        if self.call("update_vault", vault, soft_delete_retention_days=days):
            assert self.homes[vault].days == timedelta(days=days)

    @rule(vault=vaults)
    def delete_vault(self, vault: str) -> None:
        if self.call("delete_vault", vault):
            home = self.homes[vault]
            home.purgeable = self.believed + home.days

    @rule(vault=vaults)
    def recover_vault(self, vault: str) -> None:
        if self.call("recover_vault", vault):
            self.homes[vault].purgeable = None

    @rule(vault=vaults)
    def purge_vault(self, vault: str) -> None:
        if self.call("purge_vault", vault):
            home = self.homes.pop(vault)
            assert home.purgeable is not None
            assert not home.protected or self.over(home.purgeable)

    @rule(vault=vaults, name=names)
    def set_secret(self, vault: str, name: str) -> None:
        self.count += 1
        value = f"value-{self.count}".encode()
        if self.call("set_secret", vault, name, SecretValue(value)):
            thing = self.homes[vault].things.setdefault(name, Thing())
            if thing.purgeable is not None:
                assert self.over(thing.purgeable)
                thing = self.homes[vault].things[name] = Thing()
            thing.values.append(value)

    @rule(vault=vaults, name=names)
    def delete_secret(self, vault: str, name: str) -> None:
        if self.call("delete_secret", vault, name):
            home = self.homes[vault]
            home.things[name].purgeable = self.believed + home.days

    @rule(vault=vaults, name=names)
    def recover_secret(self, vault: str, name: str) -> None:
        if self.call("recover_secret", vault, name):
            self.homes[vault].things[name].purgeable = None

    @rule(vault=vaults, name=names)
    def purge_secret(self, vault: str, name: str) -> None:
        if self.call("purge_secret", vault, name):
            home = self.homes[vault]
            thing = home.things.pop(name)
            assert thing.purgeable is not None
            assert not home.protected or self.over(thing.purgeable)

    @rule()
    def run_due(self) -> None:
        report = self.service.run_due(SYSTEM)
        for due in report.done:
            if due.kind == "vault":
                assert self.over(self.homes.pop(due.vault).purgeable)
            else:
                assert self.over(self.homes[due.vault].things.pop(due.name).purgeable)
        # A run is a sign of life, whether anything was due or not: what is due at the next is believed.
        self.see()

    # Time

    @rule(days=st.sampled_from((-40, -3, 3, 8, 34, 36, 4000)))
    def move_the_clock(self, days: int) -> None:
        moved = self.world.clock.now() + timedelta(days=days)
        if datetime(2000, 1, 1, tzinfo=UTC) < moved < datetime(2300, 1, 1, tzinfo=UTC):
            self.world.clock.set(moved)

    @rule()
    def set_the_clock_right(self) -> None:
        self.world.clock.set(self.believed + timedelta(days=1))

    @rule()
    def confirm(self) -> None:
        self.service.confirm_clock(self.operator, "a person has looked")
        self.believed = self.world.clock.now()

    # What holds

    @invariant()
    def everything_that_must_be_there_is_there(self) -> None:
        if not hasattr(self, "homes"):
            return
        snapshot = self.service.snapshot(self.operator)
        assert {vault.folded: vault.deletion is not None for vault in snapshot.vaults} == {
            name: home.purgeable is not None for name, home in self.homes.items()
        }
        assert {(one.vault, one.name): (one.versions, one.deletion is not None) for one in snapshot.secrets} == {
            (vault, name): (len(thing.values), thing.purgeable is not None)
            for vault, home in self.homes.items()
            for name, thing in home.things.items()
        }
        for vault, home in self.homes.items():
            for name, thing in home.things.items():
                if home.purgeable is None and thing.purgeable is None:
                    versions = self.service.list_secret_versions(self.operator, vault, name)
                    for version, value in zip(versions, thing.values, strict=True):
                        found = self.service.get_secret(self.operator, vault, name, version=version.version).value
                        assert found == SecretValue(value)


SoftDelete.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestSoftDelete = SoftDelete.TestCase
