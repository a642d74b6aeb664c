"""Who was given which role where, and from when to when."""

from datetime import datetime

from kvstack.terms.principal import PrincipalType
from kvstack.terms.scope import Scope
from kvstack.vault.table import Row


class RoleAssignment(Row, frozen=True, kw_only=True):
    """One assignment. id: a GUID; role_id, principal_id: in lower case; starts, expires: None where it has no bound;
    condition: what else has to hold, in Azure's language, empty for nothing; activation: the request that took the
    role up for a while, empty for an assignment that somebody made."""

    id: str
    scope: Scope
    role_id: str
    principal_id: str
    principal_type: PrincipalType
    starts: datetime | None = None
    expires: datetime | None = None
    description: str = ""
    condition: str = ""
    activation: str = ""
    created: datetime
    created_by: str = ""

    def holds(self, now: datetime, latest: datetime | None = None) -> bool:
        """Tell whether it is in force: from its start up to, and not at, its end. latest: the latest moment anybody
        saw, so that what has ended stays so when the clock is set back; `now` where None."""
        if self.expires is not None and max(now, latest or now) >= self.expires:
            return False
        return self.starts is None or self.starts <= now

    def covers(self, action: str, scope: Scope) -> bool:
        """Tell whether its condition holds for an action on something."""
        if not self.condition:
            return True
        from kvstack.vault.conditions import satisfied  # most stores have none

        return satisfied(self.condition, action, scope)
