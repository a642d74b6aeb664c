"""Rotating a secret by its rotator: asked phase by phase, by one process at a time, taken up again after a kill.

Who asks is settled by a lock that ends with the process. A lease by the clock could be taken from who still works when
the clock steps, and would outlive one who was killed while a simulated clock stands.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import folded
from kvstack.terms.rotator import Rotator
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.due_kind import Due, NotDue
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import Conflict, VaultError
from kvstack.vault.event_configuration import event_configuration
from kvstack.vault.exclusive import alone
from kvstack.vault.items import SECRET, SECRETS, live, require_unmanaged
from kvstack.vault.records import Secret, SecretVersion, Vault
from kvstack.vault.rotation_attempt import Answer, RotationAttempt
from kvstack.vault.rotator_call import RotatorPort
from kvstack.vault.rotator_steps import RotatorStep, RotatorStepOperations, waits
from kvstack.vault.secrets import SET
from kvstack.vault.signing_keys import SigningKeyOperations
from kvstack.vault.still_due import still_due


class RotatorFailed(VaultError):
    """A rotator did not take what it was asked. made: the version that is there all the same."""

    status = 502
    code = "RotatorFailed"

    def __init__(self, summary: str, detail: str = "", *, made: SecretVersion | None = None) -> None:
        super().__init__(summary, detail)
        self.made = made


class RotatorOperations(RotatorStepOperations, SigningKeyOperations):
    """What is done with rotators."""

    def _rotator(self, rotator: Rotator) -> RotatorPort:
        """Return who is asked. HTTP, TLS and processes are loaded for those who ask. Raises KvstackError."""
        configuration = event_configuration(self._paths)
        if rotator.command:
            from kvstack.vault.rotator_command import RotatorCommand

            return RotatorCommand(rotator.command, self._paths.root.parent, configuration.rotator_seconds)
        from kvstack.vault.rotator_webhook import RotatorWebhook

        return RotatorWebhook(
            rotator.webhook,
            configuration,
            self._signing_key(rotator.secret_vault, rotator.secret, "RotatorSigningKeyGet"),
            now=self._clock.now,
            random=self._random,
            seconds=configuration.rotator_seconds,
        )

    def _rotate_due(self, due: Due) -> None:
        """Go on with a rotation that is due, as far as it goes. Raises NotDue where another process does it, and
        RotatorFailed."""
        with alone(self._paths.rotators) as held:
            if not held:
                raise NotDue(due)
            self._driven(SYSTEM, due.vault, due.name, due)

    def _rotate_by_hand(self, caller: Caller, vault: str, name: str) -> SecretVersion:
        """Make a new version by the rotator, whenever it would be due. What is on its way is done first. Returns the
        new version also where the rotator did not take `finish` yet."""
        with alone(self._paths.rotators) as held:
            if not held:
                raise Conflict("another kvstack is speaking with a rotator just now", "Try again when it is done.")
            try:
                made = self._driven(caller, vault, name, None)
            except RotatorFailed as failed:
                if failed.made is None:
                    raise
                made = failed.made
            if made is None:
                raise Conflict(f"the rotation of the secret `{name}` was discarded meanwhile", "Try again.")
            return made

    def _driven(self, caller: Caller, vault: str, name: str, due: Due | None) -> SecretVersion | None:
        """Ask the rotator phase by phase. due: None by hand. Returns the version that was made."""
        trouble: RotatorFailed | None = None
        made: SecretVersion | None = None
        with self._asking(caller, vault, name) as attempt:
            home, item = self._rotated(attempt, vault, name, due)
            step = self._next_step(attempt, home, item, may_begin=due is None or due.action == "rotate")
        while step is not None:
            answer = self._answer(step)
            after, version = self._noted(caller, step, answer)
            made = version or made
            undoing = step.call.phase == "rollback"
            if answer.outcome != "taken":
                failed = _failed(step, after, answer, made)
                if undoing or after is None or after.stage != "rollback":
                    raise failed if trouble is None else _both(trouble, failed)
                trouble = failed
            elif undoing and trouble is None and due is not None and due.action == "rotate":
                trouble = RotatorFailed(f"its rotation was given up: {step.row.failure}")
            # By hand a new attempt follows one that only had to be settled.
            again = made is None and trouble is None and due is None
            if answer.outcome == "taken" and step.call.phase in ("finish", "rollback") and not again:
                break
            with self._asking(caller, vault, name) as attempt:
                found = self._still_there(attempt, vault, name)
                step = self._next_step(attempt, *found, may_begin=again) if found is not None else None
        if trouble is not None:
            raise trouble
        return made

    def _answer(self, step: RotatorStep) -> Answer:
        try:
            return self._rotator(step.rotator).ask(step.call)
        except KvstackError as error:
            return Answer("failed", f"cannot be asked: {error.diagnostics[0].summary}")

    @contextmanager
    def _asking(self, caller: Caller, vault: str, name: str) -> Iterator[Attempt]:
        with (
            self._attempt(caller, "SecretRotatorAsk", self._scope(vault, f"secrets/{name}")) as attempt,
            attempt.transaction(),
        ):
            yield attempt

    def _rotated(self, attempt: Attempt, vault: str, name: str, due: Due | None) -> tuple[Vault, Secret]:
        if due is not None:
            return still_due(attempt, due, SECRET, SET)
        home = attempt.vault(vault, SET, f"secrets/{name}")
        item = live(attempt, home, SECRET, name)
        attempt.at_item(home, f"secrets/{item.name}")
        require_unmanaged(SECRET, item)
        return home, item

    def _still_there(self, attempt: Attempt, vault: str, name: str) -> tuple[Vault, Secret] | None:
        """Return a secret between two phases; None for one that was deleted or disabled meanwhile: the rest waits
        until it is back."""
        home = attempt.registry.vault(vault)
        item = SECRETS.get(attempt.tx, home.id, folded(name)) if home is not None else None
        if home is None or home.deletion is not None or item is None or waits(attempt, item):
            attempt.details["phase"] = "none"
            return None
        return self._rotated(attempt, vault, name, None)


def _failed(
    step: RotatorStep, after: RotationAttempt | None, answer: Answer, made: SecretVersion | None
) -> RotatorFailed:
    phase, again = step.call.phase, after.next_try if after is not None else None
    summary = f"its rotator did not take `{phase}`: {answer.why}"
    if after is not None and after.stage == "rollback" and phase != "rollback":
        return RotatorFailed(summary, "It was given up: the version before stays the current one.")
    if phase == "finish":
        summary = f"the new version is there, and {summary}"
    detail = f"It is asked again from {again:%Y-%m-%d %H:%M:%S} UTC on." if again is not None else ""
    return RotatorFailed(summary, detail, made=made)


def _both(first: RotatorFailed, second: RotatorFailed) -> RotatorFailed:
    return RotatorFailed(f"{first.summary}; {second.summary}", second.diagnostics[0].detail)
