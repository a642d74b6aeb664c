"""Rights somebody may take up for a while, and asking for them: what the store keeps of it."""

from datetime import datetime, timedelta
from typing import Literal

from kvstack.terms.principal import PrincipalType
from kvstack.terms.scope import Scope
from kvstack.vault.table import Row, Table

RequestStatus = Literal["pending", "active", "denied", "withdrawn"]


class EligibleAssignment(Row, frozen=True, kw_only=True):
    """A role its principal may activate. id: a GUID; role_id, principal_id: in lower case; starts, expires: when it may
    be activated, and beyond which no activation lasts; max_duration: of one activation; justification, mfa: whether
    an activation needs words, or a sign-in with more than one factor; approvers: ids of those of whom one has to
    approve it, groups too, empty where nobody has to."""

    id: str
    scope: Scope
    role_id: str
    principal_id: str
    principal_type: PrincipalType
    starts: datetime | None = None
    expires: datetime | None = None
    max_duration: timedelta = timedelta(hours=8)
    justification: bool = True
    mfa: bool = False
    approvers: frozenset[str] = frozenset()
    condition: str = ""
    description: str = ""
    created: datetime
    created_by: str = ""

    def open_at(self, now: datetime) -> bool:
        """Tell whether it may be activated."""
        return (self.starts is None or self.starts <= now) and (self.expires is None or now < self.expires)


class ActivationRequest(Row, frozen=True, kw_only=True):
    """One activation. eligible_id: of what; principal_id: who asked, and has the role while it lasts; duration: for how
    long; status: `pending` waits for an approver; assignment_id: of the role assignment it became, which ends at
    `expires`; decided_by: the approver."""

    id: str
    eligible_id: str
    principal_id: str
    principal_type: PrincipalType
    justification: str
    duration: timedelta
    status: RequestStatus
    asked: datetime
    assignment_id: str = ""
    expires: datetime | None = None
    decided: datetime | None = None
    decided_by: str = ""
    decision: str = ""


ELIGIBLE = Table("eligible_assignments", EligibleAssignment, ("id",))
REQUESTS = Table("activation_requests", ActivationRequest, ("id",), (("eligible_id",),))
