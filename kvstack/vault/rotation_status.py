"""How a secret's rotation by its rotator stands, for people: never a value."""

from datetime import datetime

import msgspec

from kvstack.terms.access_policy import SEE_SECRET
from kvstack.terms.rotator import Rotator
from kvstack.vault.caller import Caller
from kvstack.vault.items import SECRET, SECRETS, ItemOperations, live
from kvstack.vault.rotation_attempt import ATTEMPTS


class RotationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a secret's rotation by its rotator stands. stage: None where nothing is on its way; id: of the attempt, the
    version that will be; tries: of this stage that failed; failures: attempts in a row that were given up; failure: the
    last one, without values; next_try: not before; due: when the policy makes the next version."""

    rotator: Rotator | None
    stage: str | None = None
    id: str = ""
    tries: int = 0
    failures: int = 0
    failure: str = ""
    failed_in: str = ""
    began: datetime | None = None
    next_try: datetime | None = None
    due: datetime | None = None


class RotationStatusOperations(ItemOperations):
    """Looking at what is on its way."""

    def rotation_status(self, caller: Caller, vault: str, name: str) -> RotationStatus:
        """Return how a secret's rotation stands."""
        with (
            self._attempt(caller, "SecretRotationStatus", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, SECRET.read, f"secrets/{name}", permissions=SEE_SECRET)
            item = live(attempt, home, SECRET, name)
            rotator = item.rotation.rotator if item.rotation is not None else None
            row = ATTEMPTS.get(attempt.tx, home.id, item.folded)
            due = SECRETS.dates(item).get("rotate")
            if row is None:
                return RotationStatus(rotator=rotator, due=due)
            return RotationStatus(
                rotator=rotator,
                stage=row.stage if item.underway is not None else None,
                id=row.id,
                tries=row.tries,
                failures=row.failures,
                failure=row.failure,
                failed_in=row.failed_in,
                began=row.began,
                next_try=row.next_try,
                due=due,
            )
