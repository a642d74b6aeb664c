"""Whether a vault could have a name: names are anybody's, so that one is told of a name that somebody else has."""

from typing import Final, Literal

import msgspec

from kvstack.terms.name import vault_name_problem
from kvstack.vault import soft_delete
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Engine

READ: Final = "Microsoft.KeyVault/checkNameAvailability/read"


class NameAvailability(msgspec.Struct, frozen=True):
    """Whether a name is free. reason: Azure's word for why not, empty where it is; words: for people."""

    available: bool
    reason: Literal["", "AccountNameInvalid", "AlreadyExists"] = ""
    words: str = ""


class NameAvailabilityOperations(Engine):
    """What can be asked about names; vaults and Managed HSMs share theirs."""

    def vault_name_availability(self, caller: Caller, name: str) -> NameAvailability:
        """Return whether a vault or Managed HSM of this name could be made now."""
        with self._attempt(caller, "VaultNameCheck", self.top) as attempt, attempt.reading():
            attempt.require(READ, self.top, data=False)
            problem = vault_name_problem(name)
            if problem:
                return NameAvailability(False, "AccountNameInvalid", problem)
            there = attempt.registry.vault(name)
            if there is None or (there.deletion is not None and soft_delete.past(there.deletion, self._time(attempt))):
                return NameAvailability(True)
            deleted = ", soft-deleted" if there.deletion is not None else ""
            return NameAvailability(False, "AlreadyExists", f"the name `{name}` is a {there.kind}'s already{deleted}")
