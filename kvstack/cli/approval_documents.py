"""Approvals of plans: as JSON for programs, as names and values for people."""

from typing import TYPE_CHECKING, Any

from kvstack.cli.directory import Directory
from kvstack.cli.words import base64url

if TYPE_CHECKING:
    from kvstack.vault.approvals import PlanApproval


def approval_document(found: "PlanApproval", known: Directory) -> dict[str, Any]:
    """Return an approval, with all that is needed to check its signature elsewhere: ES256 over `statement`."""
    approval = found.approval
    return {
        "id": approval.id,
        "status": status(found),
        "plan": approval.plan,
        "stack": approval.stack,
        "approver": known.name(approval.approver),
        "approver_id": approval.approver,
        "made_by": known.name(approval.made_by),
        "made_by_id": approval.made_by,
        "approved": approval.approved,
        "until": approval.expires,
        "begun": approval.begun,
        "ended": approval.ended,
        "revoked": approval.revoked,
        "revoked_by": known.name(approval.revoked_by) if approval.revoked_by else None,
        "reason": approval.reason,
        "deeds": [
            {
                "operation": row.deed.operation,
                "where": row.deed.where,
                "what": row.deed.what,
                "used": row.used,
            }
            for row in found.deeds
        ],
        "key": approval.key or None,
        "public": {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(approval.public.x),
            "y": base64url(approval.public.y),
        },
        "statement": approval.statement.decode(),
        "signature": base64url(approval.signature),
    }


def status(found: "PlanApproval") -> str:
    """Return how an approval stands, in one word."""
    approval = found.approval
    if approval.revoked is not None:
        return "revoked"
    if approval.ended is not None:
        return "used"
    if found.problem:
        return "expired"
    return "begun" if approval.begun is not None else "live"
