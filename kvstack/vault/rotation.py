"""Rotation policies of keys and secrets: kept with the thing, checked by the rules of a vault."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from kvstack.terms import generator as generator_rules
from kvstack.terms import rotation as rotation_rules
from kvstack.terms import rotator as rotator_rules
from kvstack.terms.access_policy import SEE_SECRET
from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.rotator import Rotator
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden
from kvstack.vault.items import KEY, SECRET, ItemOperations, followed, live, require_unmanaged
from kvstack.vault.pool_rules import require_rotation
from kvstack.vault.records import Key, Secret
from kvstack.vault.rotation_attempt import ATTEMPTS
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS

READ_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/read"
WRITE_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/write"

_GET = SECRET.action("getSecret/action")

Rotated = Literal["keys", "secrets"]


class RotationOperations(ItemOperations):
    """Policies; who carries them out is the scheduler. Azure has none for secrets, the embedded vault has."""

    def set_rotation_policy(
        self,
        caller: Caller,
        vault: str,
        collection: Rotated,
        name: str,
        policy: RotationPolicy | None,
        *,
        generator: Generator | UnsetType | None = UNSET,
    ) -> RotationPolicy | None:
        """Set a key's or a secret's policy, or take it away with None. generator: how the vault makes a secret's next
        value; stays where none is given."""
        require = WRITE_KEY_POLICY if collection == "keys" else SECRET.action("update/action")
        item_path = f"{collection}/{name}"
        noun = "Key" if collection == "keys" else "Secret"
        with (
            self._attempt(caller, f"{noun}RotationPolicySet", self._scope(vault, item_path)) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, require, item_path)
            require_valid_policy(policy, with_rotator=collection == "secrets")
            require_rotation(home, policy)
            match collection:
                case "keys":
                    key = live(attempt, home, KEY, name)
                    attempt.at_item(home, f"keys/{key.name}")
                    require_unmanaged(KEY, key)
                    since = _previous_since(attempt, key, policy)
                    KEY.table.put(attempt.tx, replace(key, rotation=policy, previous_since=since))
                case "secrets":
                    secret = live(attempt, home, SECRET, name)
                    attempt.at_item(home, f"secrets/{secret.name}")
                    require_unmanaged(SECRET, secret)
                    made = secret.generator if generator is UNSET else generator
                    require_possible(policy, made)
                    if rotation_rules.rotates(policy) or (policy is not None and policy.rotator is not None):
                        # Who may not set a value may not have the vault set one either.
                        attempt.require(SECRET.action("setSecret/action"), attempt.subject, data=True)
                    before = secret.rotation.rotator if secret.rotation is not None else None
                    require_rotator(attempt, policy, before, operator=self._settings.operator_id)
                    since = _previous_since(attempt, secret, policy)
                    changed = replace(secret, rotation=policy, generator=made, previous_since=since)
                    SECRET.table.put(attempt.tx, without_attempt(attempt, changed))
            return policy

    def get_rotation_policy(self, caller: Caller, vault: str, collection: Rotated, name: str) -> RotationPolicy | None:
        """Return a key's or a secret's policy, None where it has none."""
        require, permissions = (READ_KEY_POLICY, None) if collection == "keys" else (SECRET.read, SEE_SECRET)
        noun = "Key" if collection == "keys" else "Secret"
        with (
            self._attempt(caller, f"{noun}RotationPolicyGet", self._scope(vault, f"{collection}/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, require, f"{collection}/{name}", permissions=permissions)
            match collection:
                case "keys":
                    return live(attempt, home, KEY, name).rotation
                case "secrets":
                    return live(attempt, home, SECRET, name).rotation


def require_valid_policy(policy: RotationPolicy | None, *, with_rotator: bool = False) -> None:
    """Refuse a policy no vault would take. with_rotator: of a secret, it may have one."""
    if policy is None:
        return
    found = [(f"rotation.{attribute}", words) for attribute, words in rotation_rules.problems(policy)]
    if policy.rotator is not None:
        if with_rotator:
            wrong = rotator_rules.problems(policy.rotator)
            found += [(".".join(filter(None, ("rotation.rotator", attribute))), words) for attribute, words in wrong]
        else:
            found.append(("rotation.rotator", "only a secret has a rotator: a key is made by the vault itself"))
    if found:
        raise BadParameter.of(found)


def require_rotator(attempt: Attempt, policy: RotationPolicy | None, before: Rotator | None, *, operator: str) -> None:
    """Refuse a rotator whom the caller may not have asked: a program is the operator's alone to name, and whoever is
    asked gets the secret's values, and posts signed by another secret. before: the one that is there already; operator:
    whose store it is."""
    rotator = policy.rotator if policy is not None else None
    if rotator is None or rotator == before:
        return
    if rotator.command and attempt.caller.id != operator:
        raise Forbidden(
            "a program that is run on this machine is for the operator of its store to name",
            "Have the rotator be a webhook, or declare it without `--as`.",
            inner="ForbiddenByStore",
        )
    attempt.require(_GET, attempt.subject, data=True)
    if rotator.secret:
        home = attempt.registry.vault(rotator.secret_vault)
        scope = replace(attempt.scope_of(home or rotator.secret_vault), item=f"secrets/{rotator.secret}")
        attempt.require(_GET, scope, data=True)
        if home is not None:
            attempt.require_let_in(home)


def without_attempt(attempt: Attempt, secret: Secret) -> Secret:
    """Return a secret, without what is on its way where there is no rotator to go on with it."""
    if secret.underway is None or (secret.rotation is not None and secret.rotation.rotator is not None):
        return secret
    attempt.details["discarded"] = "a rotation on its way"
    ATTEMPTS.delete(attempt.tx, secret.vault_id, secret.folded)
    return replace(secret, underway=None)


def require_generated(secret: Secret) -> Generator:
    """Return how a secret's next value is generated. Raises BadParameter where nothing says so."""
    if secret.generator is None:
        raise BadParameter(
            f"nothing says how the value of the secret `{secret.name}` in vault `{secret.vault}` is generated",
            f"Declare `value_from: {{generate: {{...}}}}` and apply it, or say it by hand: `kvstack secret "
            f"rotation-policy update {secret.vault}/{secret.name} --every P30D --length 32`.",
        )
    return secret.generator


def require_possible(policy: RotationPolicy | None, generator: Generator | None) -> None:
    """Refuse a secret's policy no vault would take, or that nothing can carry out. generator: the secret's."""
    require_valid_policy(policy, with_rotator=True)
    if generator is not None:
        found = [(f"generate.{attribute}", words) for attribute, words in generator_rules.problems(generator)]
        if found:
            raise BadParameter.of(found)
    elif rotation_rules.rotates(policy) or (policy is not None and policy.rotator is not None):
        raise BadParameter(
            "rotation: only a secret whose value is generated is rotated: nothing says what the next value is",
            "Say how values are generated (`value_from: {generate: {...}}` in a stack, `--length N` by hand), or leave "
            "`every`, `before_expiry` and `rotator` out.",
        )


def _previous_since(attempt: Attempt, item: Key | Secret, policy: RotationPolicy | None) -> datetime | None:
    """Return since when there is a version to be disabled: by looking for a thing of an older kvstack, which did not
    note it, and for one whose policy is set anew after somebody enabled a version again."""
    if policy is None or policy.keep_previous is None or item.versions == 1 or item.previous_since is not None:
        return item.previous_since
    match item:
        case Key():
            return min((since for row, since in followed(attempt, KEY_VERSIONS, item) if row.enabled), default=None)
        case Secret():
            return min((since for row, since in followed(attempt, SECRET_VERSIONS, item) if row.enabled), default=None)
