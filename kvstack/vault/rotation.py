"""Rotation policies of keys and secrets: kept with the thing, checked by the rules of a vault."""

from typing import Literal

from msgspec.structs import replace

from kvstack.terms import rotation as rotation_rules
from kvstack.terms.access_policy import SEE_SECRET
from kvstack.terms.rotation import RotationPolicy
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEY, SECRET, ItemOperations, live, require_unmanaged
from kvstack.vault.pool_rules import require_rotation

READ_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/read"
WRITE_KEY_POLICY = "Microsoft.KeyVault/vaults/keyrotationpolicies/write"

Rotated = Literal["keys", "secrets"]


class RotationOperations(ItemOperations):
    """Policies; who carries them out is the scheduler. Azure has none for secrets, the embedded vault has."""

    def set_rotation_policy(
        self, caller: Caller, vault: str, collection: Rotated, name: str, policy: RotationPolicy | None
    ) -> RotationPolicy | None:
        """Set a key's or a secret's policy, or take it away with None."""
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
                    KEY.table.put(attempt.tx, replace(key, rotation=policy))
                case "secrets":
                    secret = live(attempt, home, SECRET, name)
                    attempt.at_item(home, f"secrets/{secret.name}")
                    require_unmanaged(SECRET, secret)
                    SECRET.table.put(attempt.tx, replace(secret, rotation=policy))
            return policy

    def get_rotation_policy(self, caller: Caller, vault: str, collection: Rotated, name: str) -> RotationPolicy | None:
        """Return a key's or a secret's policy, None where it has none."""
        require, permissions = (READ_KEY_POLICY, None) if collection == "keys" else (SECRET.read, SEE_SECRET)
        noun = "Key" if collection == "keys" else "Secret"
        with (
            self._attempt(caller, f"{noun}RotationPolicyGet", self._scope(vault, f"{collection}/{name}")) as attempt,
            attempt.transaction(),
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
