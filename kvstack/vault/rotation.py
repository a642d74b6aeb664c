"""Rotation policies of keys and secrets: kept with the thing, checked by the rules of a vault."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from kvstack.terms import generator as generator_rules
from kvstack.terms import rotation as rotation_rules
from kvstack.terms.access_policy import SEE_SECRET
from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEY, SECRET, ItemOperations, followed, live, require_unmanaged
from kvstack.vault.pool_rules import require_rotation
from kvstack.vault.records import Key, Secret
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS

READ_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/read"
WRITE_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/write"

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
            require_valid_policy(policy)
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
                    if rotation_rules.rotates(policy):
                        # Who may not set a value may not have the vault set one either.
                        attempt.require(SECRET.action("setSecret/action"), attempt.subject, data=True)
                    since = _previous_since(attempt, secret, policy)
                    SECRET.table.put(attempt.tx, replace(secret, rotation=policy, generator=made, previous_since=since))
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


def require_valid_policy(policy: RotationPolicy | None) -> None:
    """Refuse a policy no vault would take."""
    if policy is None:
        return
    found = [(f"rotation.{attribute}", words) for attribute, words in rotation_rules.problems(policy)]
    if found:
        raise BadParameter.of(found)


def require_possible(policy: RotationPolicy | None, generator: Generator | None) -> None:
    """Refuse a secret's policy no vault would take, or that nothing can carry out. generator: the secret's."""
    require_valid_policy(policy)
    if generator is not None:
        found = [(f"generate.{attribute}", words) for attribute, words in generator_rules.problems(generator)]
        if found:
            raise BadParameter.of(found)
    elif rotation_rules.rotates(policy):
        raise BadParameter(
            "rotation: only a secret whose value is generated is rotated: nothing says what the next value is",
            "Say how values are generated (`value_from: {generate: {...}}` in a stack, `--length N` by hand), or leave "
            "`every` and `before_expiry` out.",
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
