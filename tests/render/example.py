"""A plan in which everything occurs: what the examples beside this file are renderings of."""

from datetime import UTC, datetime

from kvstack.plan.access import AccessChange, AccessEffects, Hold, NobodyAnyMore, PrincipalAccess, Through
from kvstack.plan.change import (
    AttributeChange,
    Change,
    Drifted,
    GivenApproval,
    KnownAfterApply,
    NeedsApproval,
    Plan,
    Sensitive,
    UnreadThing,
)
from kvstack.render.events import Event, Failed, Finished, Skipped, Started, Waiting, outcome
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.approval import Deed
from kvstack.terms.diagnostic import Diagnostic, Place

WAS = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
BECOMES = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

RICH = Plan(
    stack="payments",
    environment="prod",
    changes=(
        Change(
            address=Address("payments-prod"),
            kind="vault",
            action=Action.UPDATE,
            irreversible=True,
            reasons=("Purge protection can be switched on, never off.",),
            attributes=(
                AttributeChange("purge_protection", False, True, "one way"),
                AttributeChange("network.default_action", "allow", "deny"),
                AttributeChange(
                    "network.ip_rules", ["198.51.100.0/24", "203.0.113.7/32"], ["203.0.113.0/24", "203.0.113.7/32"]
                ),
                AttributeChange("tags", {"team": "payments", "cost centre": "12"}, {"team": "pay", "env": "prod"}),
            ),
        ),
        Change(
            address=Address("payments-prod/keys/signing"),
            kind="key",
            action=Action.CREATE,
            attributes=(
                AttributeChange("type", None, "RSA-HSM", "new version"),
                AttributeChange("size", None, 3072, "new version"),
                AttributeChange("operations", None, ["sign", "verify"]),
                AttributeChange("rotation.every", None, "P90D"),
                AttributeChange("rotation.expire_after", None, "P120D"),
            ),
            depends_on=(Address("payments-prod"),),
        ),
        Change(
            address=Address("payments-prod/secrets/session-key"),
            kind="secret",
            action=Action.CREATE,
            attributes=(
                AttributeChange("value", None, KnownAfterApply("generated")),
                AttributeChange("content_type", None, "text/plain"),
            ),
        ),
        Change(
            address=Address("payments-prod/secrets/db-password"),
            kind="secret",
            action=Action.ROTATE,
            reasons=("the environment variable DB_PASSWORD holds another value",),
            attributes=(AttributeChange("value", Sensitive(WAS), Sensitive(BECOMES), "new version"),),
        ),
        Change(
            address=Address("payments-prod/secrets/api-token"),
            kind="secret",
            action=Action.RECOVER,
            reasons=("it was deleted on 2026-10-30, and is still ours",),
            attributes=(AttributeChange("enabled", False, True),),
            compared_at_apply=True,
        ),
        Change(
            address=Address("payments-prod/access/on-call/key-vault-crypto-officer/keys/signing"),
            kind="role_assignment",
            action=Action.REPLACE,
            reasons=("a role assignment's scope cannot be changed in place",),
            attributes=(
                AttributeChange("scope", "", "keys/signing", "replace"),
                AttributeChange("until", None, "2027-01-31T00:00:00Z"),
            ),
        ),
        Change(
            address=Address("payments-prod/secrets/web-hook"),
            kind="secret",
            action=Action.MOVE,
            moved_from=Address("payments-prod/secrets/webhook"),
        ),
        Change(address=Address("payments-prod/keys/legacy-ca"), kind="key", action=Action.IMPORT),
        Change(
            address=Address("payments-prod/keys/encryption"),
            kind="key",
            action=Action.REFUSE,
            reasons=(
                "somebody else's key `encryption` is soft-deleted under this name",
                "To take it over, run `kvstack import payments-prod/keys/encryption`; or give yours another `name:`.",
            ),
            place=Place("kvstack.yaml", 42, 7),
        ),
        Change(
            address=Address("payments-old"),
            kind="vault",
            action=Action.DELETE,
            reasons=("it is no longer declared; it can be recovered for 90 days",),
        ),
        Change(address=Address("payments-old/keys/signing"), kind="key", action=Action.DELETE, with_vault=True),
        Change(address=Address("payments-old/secrets/db"), kind="secret", action=Action.DELETE, with_vault=True),
        Change(
            address=Address("payments-prod/keys/test"),
            kind="key",
            action=Action.PURGE,
            irreversible=True,
            reasons=("`removed` asks for it: `purge: true`",),
        ),
        Change(
            address=Address("access/batch/key-vault-reader/subscription"),
            kind="role_assignment",
            action=Action.FORGET,
            reasons=("`removed` asks for it: `destroy: false`",),
        ),
    ),
    unchanged=31,
    compared_at_apply=(Address("payments-prod/secrets/smtp-password"),),
    drift=(
        Drifted(
            address=Address("payments-prod/keys/wrapping"),
            kind="key",
            what="changed",
            attributes=(
                AttributeChange("enabled", True, False),
                AttributeChange("operations", ["wrapKey", "unwrapKey"], ["unwrapKey"]),
            ),
            by="operator",
            at=datetime(2026, 11, 2, 9, 14, 31, tzinfo=UTC),
            operation="KeyUpdate",
        ),
        Drifted(address=Address("payments-prod/secrets/api-token"), kind="secret", what="deleted", by="alice"),
        Drifted(address=Address("payments-prod/secrets/smtp-user"), kind="secret", what="new version"),
    ),
    unread=(
        UnreadThing(
            Address("payments-prod/keys/tokens"), "ForbiddenByFirewall: 192.0.2.1 is no address of the vault's rules"
        ),
    ),
    diagnostics=(
        Diagnostic(
            severity="warning",
            summary="the assignment to on-call has ended",
            detail="Take the line out: it gives no access any more.",
            place=Place("kvstack.yaml", 18, 9),
            address="payments-prod/access/on-call/key-vault-reader",
        ),
        Diagnostic(
            summary="the embedded backend has no resource type `certificate`",
            detail="Take it out of this environment.",
            place=Place("kvstack.yaml", 51, 5),
        ),
    ),
    access=AccessEffects(
        principals=(
            PrincipalAccess(
                id="0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22",
                name="on-call",
                type="group",
                members=("alice", "bob"),
                changes=(
                    AccessChange(
                        verb="gains",
                        rights=("keys/sign", "keys/verify"),
                        words="sign, verify with keys",
                        scope="vault/payments-prod/keys/signing",
                        through=Through("Key Vault Crypto User", "vault/payments-prod/keys/signing"),
                        hold=Hold(until=datetime(2027, 1, 31, tzinfo=UTC)),
                    ),
                    AccessChange(
                        verb="keeps",
                        rights=("secrets/get",),
                        words="read secrets",
                        scope="vault/payments-prod",
                        through=Through("Key Vault Secrets User", "vault/payments-prod"),
                        hold=Hold(on_request=True, conditional=True),
                        before=Hold(),
                    ),
                ),
            ),
            PrincipalAccess(
                id="6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11",
                name="payments-api",
                type="service_principal",
                changes=(
                    AccessChange(
                        verb="loses",
                        rights=("secrets/get", "secrets/set"),
                        words="read, set secrets",
                        scope="subscription",
                        through=Through(
                            "Key Vault Secrets Officer", "subscription", "11111111-1b1f-4c3e-8f58-7a9f2f0b6c22"
                        ),
                        hold=Hold(),
                        still_at=("vault/payments-prod/secrets/db-password",),
                    ),
                ),
            ),
        ),
        nobody=(NobodyAnyMore(("secrets/purge",), "purge secrets", "vault/payments-prod", "purge protection"),),
        names={"11111111-1b1f-4c3e-8f58-7a9f2f0b6c22": "apps"},
    ),
    needs_approval=(
        NeedsApproval(
            address=Address("payments-old"),
            vault="payments-old",
            deed=Deed("delete", "vault/payments-old"),
            by=("91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10", "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"),
            names=("alice", "on-call"),
        ),
        NeedsApproval(
            address=Address("principals/on-call"),
            vault="payments-prod",
            deed=Deed("access", "subscription", "group 0c3c, members 91aa", group="0c3c"),
            by=("91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10",),
            names=("al*ice\x1b[31m",),
            declared=True,
        ),
    ),
    approvals=(
        GivenApproval("alice", datetime(2026, 11, 4, 8, 0, tzinfo=UTC)),
        GivenApproval("`bob`", datetime(2026, 11, 3, 8, 0, tzinfo=UTC), "ended on 2026-11-03 08:00 UTC"),
    ),
    made_at=datetime(2026, 11, 3, 8, 0, tzinfo=UTC),
)

NOTHING = Plan(stack="payments", environment=None, changes=(), unchanged=12)

SIGNING = Address("payments-prod/keys/signing")
PASSWORD = Address("payments-prod/secrets/db-password")
ACCESS = Address("payments-prod/access/on-call/key-vault-crypto-officer/keys/signing")
EVENTS: tuple[Event, ...] = (
    Started(Address("payments-prod"), "vault", Action.UPDATE),
    Finished(Address("payments-prod"), "vault", Action.UPDATE, 0.02),
    Started(SIGNING, "key", Action.CREATE),
    Waiting(SIGNING, "generating RSA-4096 key"),
    Started(PASSWORD, "secret", Action.ROTATE),
    Finished(PASSWORD, "secret", Action.ROTATE, 0.013),
    Failed(
        SIGNING,
        "key",
        Action.CREATE,
        4.2,
        (
            Diagnostic(
                summary="the HSM has no room for another object (CKR_DEVICE_MEMORY)",
                detail="Delete what is no longer needed from the token, then apply again.",
                address=SIGNING,
            ),
        ),
    ),
    Skipped(ACCESS, "role_assignment", Action.REPLACE, "payments-prod/keys/signing failed"),
    Started(Address("payments-old"), "vault", Action.DELETE),
    Finished(Address("payments-old"), "vault", Action.DELETE, 65.4),
)
OUTCOME = outcome(EVENTS)
