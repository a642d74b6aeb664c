"""What can be set inside a Managed HSM: one thing only, whether its keys are there for resource manager, too."""

from typing import Final

from msgspec.structs import replace

from kvstack.vault.caller import Caller
from kvstack.vault.items import ItemOperations
from kvstack.vault.pool_home import inside

# Azure's name for it.
KEYS_AS_RESOURCES: Final = "AllowKeyManagementOperationsThroughARM"

# There is no action of its own for it: whoever sees what roles allow may see it, and an administrator may set it, who
# alone has this right.
READ: Final = "Microsoft.KeyVault/managedHsm/roleDefinitions/read/action"
WRITE: Final = "Microsoft.KeyVault/managedHsm/securitydomain/upload/action"


class PoolSettingOperations(ItemOperations):
    """What can be done with the settings of a Managed HSM."""

    def keys_as_resources(self, caller: Caller, hsm: str) -> bool:
        """Return whether keys in a Managed HSM can be looked at and made by resource manager, which takes the rights
        inside all the same."""
        with self._attempt(caller, "ManagedHsmSettingGet", self._scope(hsm)) as attempt, attempt.reading():
            return inside(attempt, hsm, READ)[1].keys_as_resources

    def set_keys_as_resources(self, caller: Caller, hsm: str, wanted: bool) -> bool:
        """Let keys in a Managed HSM be there for resource manager, or not."""
        with self._attempt(caller, "ManagedHsmSettingPut", self._scope(hsm)) as attempt, attempt.transaction():
            home, pool = inside(attempt, hsm, WRITE)
            attempt.details.update(setting=KEYS_AS_RESOURCES, value=str(wanted).lower())
            if pool.keys_as_resources != wanted:
                changed = replace(home, pool=replace(pool, keys_as_resources=wanted), updated=attempt.now)
                attempt.changes_registry().put_vault(attempt.tx, changed)
            return wanted
