"""A rotation by a rotator in the store: what is to be asked next, and what an answer makes of it.

The pending value is kept apart from the secret's versions until the rotator's test has passed, so nobody gets a value
that does not work yet. It becomes the newest version in one transaction with its event and with the end of `test`:
once, whoever does it. An answer is noted only where the attempt still is where it was when the rotator was asked.
"""

from typing import Literal

import msgspec
from msgspec.structs import replace

from kvstack.terms.event import ThingData
from kvstack.terms.generator import generated
from kvstack.terms.name import folded
from kvstack.terms.rotator import Phase, Rotator
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import VaultError
from kvstack.vault.events import emit
from kvstack.vault.items import SECRETS, newest_enabled
from kvstack.vault.records import Secret, SecretVersion, Vault
from kvstack.vault.rotation import require_generated
from kvstack.vault.rotation_attempt import (
    ATTEMPTS,
    BEFORE,
    Answer,
    RotationAttempt,
    after_failure,
    given_up,
    rolled_back,
    value_place,
)
from kvstack.vault.rotator_call import RotatorCall
from kvstack.vault.secrets import SecretOperations, next_attributes, value_context
from kvstack.vault.versions import SECRET_VERSIONS

_NEXT: dict[str, Literal["set", "test"]] = {"create": "set", "set": "test"}


class RotatorStep(msgspec.Struct, frozen=True):
    """One thing to ask, and of whom."""

    row: RotationAttempt
    rotator: Rotator
    call: RotatorCall


class RotatorStepOperations(SecretOperations):
    """What is kept of a rotation on its way."""

    def _next_step(self, attempt: Attempt, home: Vault, item: Secret, *, may_begin: bool) -> RotatorStep | None:
        """Return what is to be asked next, None where there is nothing."""
        rotator = item.rotation.rotator if item.rotation is not None else None
        row = ATTEMPTS.get(attempt.tx, home.id, item.folded)
        over = row is None or item.underway is None or row.stage == "waiting"
        if rotator is None or (over and not may_begin):
            attempt.details["phase"] = "none"
            return None
        if row is None or over:
            row = self._begun(attempt, home, item, row)
        elif row.stage in BEFORE and item.version != row.previous:
            # The value it began with is not the current one any more: who set another one is right.
            row = self._abandoned(attempt, home, item, row)
        attempt.details.update(phase=row.stage, attempt=row.id, tries=str(row.tries))
        return RotatorStep(row, rotator, self._call(attempt, home, item, row))

    def _begun(self, attempt: Attempt, home: Vault, item: Secret, before: RotationAttempt | None) -> RotationAttempt:
        """Begin an attempt, with an id and a value of its own."""
        value = generated(require_generated(item), self._random)
        row = RotationAttempt(
            vault_id=home.id,
            folded=item.folded,
            id=self._random(16).hex(),
            stage="create",
            previous=item.version,
            failures=before.failures if before is not None else 0,
            failure=before.failure if before is not None else "",
            failed_in=before.failed_in if before is not None else "",
            next_try=attempt.now,
            began=attempt.now,
        )
        row = replace(row, generated=self._barrier.seal(home.id, value_place(row, "generated"), value.reveal()))
        self._keep_attempt(attempt, item, row)
        return row

    def _abandoned(self, attempt: Attempt, home: Vault, item: Secret, row: RotationAttempt) -> RotationAttempt:
        row = replace(row, failure="somebody set another value meanwhile", failed_in=row.stage)
        return self._give_up(attempt, home, item, given_up(row, attempt.now))

    def _give_up(self, attempt: Attempt, home: Vault, item: Secret, row: RotationAttempt) -> RotationAttempt:
        """Keep that an attempt makes no version, and tell it."""
        self._keep_attempt(attempt, item, row)
        attempt.operation = "SecretRotationFailed"
        scope = attempt.scope_of(home)
        path = f"{scope.path}/secrets/{item.name}/{item.version}"
        data = ThingData(
            id=path, vault_name=home.name, object_type="Secret", object_name=item.name, version=item.version
        )
        emit(attempt, "kvstack.RotationFailed", scope, data)
        return row

    def _call(self, attempt: Attempt, home: Vault, item: Secret, row: RotationAttempt) -> RotatorCall:
        drawn = self._value(home, row, "generated")
        if row.stage == "finish":
            version, pending = row.previous, self._value_of(attempt, item, row.id)
        else:
            newest = SECRET_VERSIONS.get(attempt.tx, item.vault_id, item.folded, item.version)
            version = newest_enabled(attempt, SECRET_VERSIONS, newest).version if newest is not None else item.version
            pending = self._value(home, row, "pending") if row.pending else drawn
        phase: Phase = row.stage  # type: ignore[assignment]  # what waits is not asked
        current = version, self._value_of(attempt, item, version)
        return RotatorCall(phase, home.name, item.name, row.id, current, pending, drawn)

    def _value(self, home: Vault, row: RotationAttempt, which: Literal["generated", "pending"]) -> SecretValue:
        sealed = row.generated if which == "generated" else row.pending
        return SecretValue(self._barrier.open(home.id, value_place(row, which), sealed))

    def _value_of(self, attempt: Attempt, item: Secret, version: str) -> SecretValue:
        row = SECRET_VERSIONS.get(attempt.tx, item.vault_id, item.folded, version)
        if row is None:
            raise VaultError(f"the version {version} of the secret `{item.name}` is not there")
        return SecretValue(
            self._barrier.open(item.vault_id, value_context(item.vault_id, item.folded, version), row.sealed)
        )

    def _noted(
        self, caller: Caller, step: RotatorStep, answer: Answer
    ) -> tuple[RotationAttempt | None, SecretVersion | None]:
        """Note an answer. Returns the attempt after it, None where it is done or was discarded, and the version that
        was made of it. Whose rights it is done by was settled when the rotator was asked."""
        call = step.call
        with (
            self._attempt(caller, "SecretRotatorAnswer", self._scope(call.vault, f"secrets/{call.secret}")) as attempt,
            attempt.transaction(),
        ):
            attempt.details.update(phase=call.phase, attempt=call.id, outcome=answer.outcome)
            if answer.why:
                attempt.details["why"] = answer.why
            home = attempt.registry.vault(call.vault)
            item = SECRETS.get(attempt.tx, home.id, folded(call.secret)) if home is not None else None
            row = ATTEMPTS.get(attempt.tx, home.id, item.folded) if home is not None and item is not None else None
            if home is None or item is None or row is None or (row.id, row.stage) != (step.row.id, step.row.stage):
                attempt.details["outcome"] = "discarded"
                return None, None
            attempt.at_item(home, f"secrets/{item.name}")
            return self._after(attempt, home, item, row, answer)

    def _after(
        self, attempt: Attempt, home: Vault, item: Secret, row: RotationAttempt, answer: Answer
    ) -> tuple[RotationAttempt | None, SecretVersion | None]:
        now = attempt.now
        if answer.outcome != "taken":
            failed = after_failure(row, answer, now)
            if failed.stage != row.stage:
                return self._give_up(attempt, home, item, failed), None
            return self._keep_attempt(attempt, item, failed), None
        match row.stage:
            case "create" | "set":
                after = replace(row, stage=_NEXT[row.stage], tries=0, next_try=now)
                if row.stage == "create":
                    value = answer.value or self._value(home, row, "generated")
                    sealed = self._barrier.seal(home.id, value_place(row, "pending"), value.reveal())
                    after = replace(after, pending=sealed)
                return self._keep_attempt(attempt, item, after), None
            case "test" if item.version != row.previous:
                return self._abandoned(attempt, home, item, row), None
            case "test" if home.deletion is not None or waits(attempt, item):
                return None, None  # it is tested anew once it is back
            case "test":
                return self._committed(attempt, home, item, row)
            case "rollback":
                return self._keep_attempt(attempt, item, rolled_back(row, item, now)), None
            case _:
                ATTEMPTS.delete(attempt.tx, row.vault_id, row.folded)
                SECRETS.put(attempt.tx, replace(item, underway=None))
                return None, None

    def _committed(
        self, attempt: Attempt, home: Vault, item: Secret, row: RotationAttempt
    ) -> tuple[RotationAttempt, SecretVersion]:
        """Make the pending value the newest version: here, and nowhere else."""
        attempt.operation = "SecretRotate"
        given = next_attributes(item, attempt.now)
        value = self._value(home, row, "pending")
        made = self._keep_value(attempt, home, item, item.name, value, given, by_rotation=True, version=row.id)
        newest = SECRETS.get(attempt.tx, home.id, item.folded)
        assert newest is not None  # noqa: S101  # just put
        after = replace(row, stage="finish", pending=b"", tries=0, failures=0, next_try=attempt.now)
        return self._keep_attempt(attempt, newest, after), made

    def _keep_attempt(self, attempt: Attempt, item: Secret, row: RotationAttempt) -> RotationAttempt:
        """Keep an attempt, and with its secret what the scheduler has to know of it."""
        ATTEMPTS.put(attempt.tx, row)
        if item.underway != row.underway:
            SECRETS.put(attempt.tx, replace(item, underway=row.underway))
        return row


def waits(attempt: Attempt, item: Secret) -> bool:
    """Tell whether a secret is to be left alone until it is back. By hand what is disabled may be rotated, too."""
    return item.deletion is not None or (attempt.caller == SYSTEM and not item.enabled)
