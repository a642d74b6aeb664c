"""Random bytes of the HSM, or of the operating system where there is none."""

from kvstack.terms import limits
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import BadParameter
from kvstack.vault.items import KEY
from kvstack.vault.material import MaterialOperations


class RandomOperations(MaterialOperations):
    """Drawing random bytes."""

    def random_bytes(self, caller: Caller, vault: str, count: int) -> SecretValue:
        """Return 1 to 128 random bytes. Azure knows a right to draw them for a Managed HSM only: in a vault it takes
        that to read keys."""
        with self._attempt(caller, "KeyGetRandomBytes", self._scope(vault)) as attempt, attempt.reading():
            home = attempt.vault(vault, KEY.read, local="Microsoft.KeyVault/managedHsm/rng/action")
            least, most = limits.RANDOM_BYTES
            if not least <= count <= most:
                raise BadParameter(f"count: {least} to {most} random bytes are given at once, not {count}")
            attempt.details["count"] = str(count)
            if home.pool is not None:
                return SecretValue(self._pools.keys(home).random(count))
            provider = self._providers.get("pkcs11") or self._provider("software")
            return SecretValue(provider.random(count))
