"""A secret's rotation by a rotator, on its way: what is kept of it, and how it goes on after each answer.

It goes through `create`, `set` and `test`; then its value becomes the newest version, and `finish` follows. What fails
is tried again, what fails for good goes to `rollback`, and a new attempt `waits`. Pure functions of rows and answers.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec.structs import replace

from kvstack.terms import schedule
from kvstack.terms.rotator import Phase
from kvstack.terms.secret import SecretValue
from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from kvstack.vault.records import Secret

Stage = Literal[Phase, "waiting"]
# What comes before the new version is given up after so many tries. What comes after is tried until it is taken.
BEFORE: Final = ("create", "set", "test")
MOST_TRIES = 3
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 3600))
RESTARTS: Final = tuple(timedelta(hours=hours) for hours in (1, 2, 4, 8, 16, 24))
_LONGEST_WORDS = 400


class Underway(msgspec.Struct, frozen=True):
    """What the scheduler has to know of it. next_try: not before; failures: attempts in a row that were given up."""

    stage: Stage
    next_try: datetime
    failures: int = 0


class RotationAttempt(Row, frozen=True, kw_only=True):
    """One attempt. id: of the version that will be, and what tells the rotator two calls of one attempt; previous: the
    version it began with; generated, pending: values under the barrier, the pending one empty before `create` and once
    it is a version; tries: of this stage that failed; failures: as above; failure: the last one, in words without
    values."""

    vault_id: str
    folded: str
    id: str
    stage: Stage
    previous: str
    generated: bytes = b""
    pending: bytes = b""
    tries: int = 0
    failures: int = 0
    failure: str = ""
    failed_in: str = ""
    next_try: datetime | None = None
    began: datetime

    def __repr__(self) -> str:
        return f"RotationAttempt({self.folded}, {self.id}, {self.stage}, ****)"

    @property
    def underway(self) -> Underway | None:
        """What the scheduler has to know of it; None where there is nothing for it to do."""
        return Underway(self.stage, self.next_try, self.failures) if self.next_try is not None else None


ATTEMPTS = Table("rotation_attempts", RotationAttempt, ("vault_id", "folded"))


class Answer(msgspec.Struct, frozen=True):
    """What a rotator answered. outcome: taken, failed (and tried again), or refused for good; why: of what was not
    taken, without values; value: what it wants the value to be, None where it says nothing; wait: seconds it asks
    to be left alone for."""

    outcome: Literal["taken", "failed", "refused"]
    why: str = ""
    value: SecretValue | None = None
    wait: float = 0.0


def value_place(row: RotationAttempt, which: Literal["generated", "pending"]) -> tuple[str, ...]:
    """Return the place of a value of an attempt."""
    return row.vault_id, "rotations", row.folded, row.id, which


def after_failure(row: RotationAttempt, answer: Answer, now: datetime) -> RotationAttempt:
    """Return an attempt as it is after an answer that took nothing: it waits for the next try, or is given up."""
    failed = replace(row, tries=row.tries + 1, failure=answer.why[:_LONGEST_WORDS], failed_in=row.stage)
    if row.stage in BEFORE and (answer.outcome == "refused" or failed.tries >= MOST_TRIES):
        return given_up(failed, now)
    pause = max(PAUSES[min(row.tries, len(PAUSES) - 1)], timedelta(seconds=answer.wait))
    return replace(failed, next_try=now + pause)


def given_up(row: RotationAttempt, now: datetime) -> RotationAttempt:
    """Return an attempt that will make no version: the rotator is to undo it."""
    return replace(row, stage="rollback", tries=0, failures=row.failures + 1, next_try=now)


def rolled_back(row: RotationAttempt, secret: "Secret", now: datetime) -> RotationAttempt:
    """Return what is left of an attempt once it was undone: its failure, and when the next one begins."""
    at = restart(secret, row.failures, now)
    return replace(row, stage="waiting", id="", generated=b"", pending=b"", tries=0, next_try=at)


def restart(secret: "Secret", failures: int, now: datetime) -> datetime | None:
    """Return when a new attempt begins after one that was given up; None where the policy asks for none before that."""
    due = schedule.rotation_due(secret.rotation, secret.version_created, secret.expires)
    at = now + RESTARTS[min(max(failures, 1), len(RESTARTS)) - 1]
    return at if due is not None and due <= at else None


def settled(secret: "Secret", now: datetime) -> "Secret":
    """Return a secret once the rotator has taken `finish`, or `rollback`."""
    underway = secret.underway
    if underway is None or underway.stage != "rollback":
        return replace(secret, underway=None)
    at = restart(secret, underway.failures, now)
    return replace(secret, underway=Underway("waiting", at, underway.failures) if at is not None else None)
