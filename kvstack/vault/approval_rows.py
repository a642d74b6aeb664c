"""What the store keeps of approvals: a vault's rule, the approvals given, the deeds they cover, the approvers' keys."""

from datetime import datetime

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.approval import Approvable, Deed
from kvstack.terms.key import KeySpecification
from kvstack.vault.table import Row, Table

APPROVERS = "approvers"  # whose data key the approvers' own keys are sealed under


class ApprovalRule(msgspec.Struct, frozen=True):
    """Which changes of a vault wait for whose approval. by: ids of principals and groups, in lower case, sorted;
    operations: sorted."""

    by: tuple[str, ...]
    operations: tuple[Approvable, ...]


class Approval(Row, frozen=True, kw_only=True):
    """One principal's approval of one plan. plan: the plan file's digest; made_by: who made the plan; stack: which it
    is of, in words; deeds: the digest of all deeds it covers; begun: when the plan was first applied under it; ended:
    when all of the plan was done; key: `VAULT/NAME/VERSION` of the key that signed it, empty for the approver's own."""

    id: str
    plan: str
    approver: str
    made_by: str
    stack: str
    deeds: str
    approved: datetime
    expires: datetime
    reason: str = ""
    key: str = ""
    public: PublicKey
    signature: bytes
    begun: datetime | None = None
    begun_by: str = ""
    ended: datetime | None = None
    revoked: datetime | None = None
    revoked_by: str = ""

    @property
    def statement(self) -> bytes:
        """What is signed, in the same bytes each time."""
        said = {
            "approval": self.id,
            "plan": self.plan,
            "approver": self.approver,
            "made_by": self.made_by,
            "stack": self.stack,
            "deeds": self.deeds,
            "approved": self.approved,
            "expires": self.expires,
            "reason": self.reason,
        }
        return b"kvstack approval 1\n" + msgspec.json.encode(said, order="deterministic")


class ApprovedDeed(Row, frozen=True, kw_only=True):
    """One deed that an approval covers. digest: of the deed's text; used: when it was done, which is once; settled: the
    approver was one when the plan itself changed who is, and counts as one to the plan's end."""

    approval: str
    digest: str
    deed: Deed
    used: datetime | None = None
    settled: bool = False


class ApproverKey(Row, frozen=True, kw_only=True):
    """The key a principal approves with, of the vault's making. sealed: what its provider wants kept."""

    principal: str
    specification: KeySpecification
    public: PublicKey
    provider: str
    sealed: bytes
    created: datetime

    def __repr__(self) -> str:
        return f"ApproverKey({self.principal}, ****)"


APPROVALS = Table("approvals", Approval, ("id",), (("plan",),))
APPROVED_DEEDS = Table("approved_deeds", ApprovedDeed, ("approval", "digest"))
APPROVER_KEYS = Table("approver_keys", ApproverKey, ("principal",))


def deed_digest(deed: Deed) -> str:
    """Return the SHA-256 of a deed's text, in hex."""
    import hashlib

    return hashlib.sha256(deed.text.encode()).hexdigest()


def deeds_digest(digests: list[str]) -> str:
    """Return the SHA-256 over the digests of deeds, whatever order they come in."""
    import hashlib

    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def approver_context(principal: str) -> tuple[str, ...]:
    """Return the place of an approver's key."""
    return APPROVERS, "keys", principal, "", "material"
