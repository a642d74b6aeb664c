"""The JSON pipelines read, as types: what is here is the contract of design section 9, and the schemas come from it.

A key with a default is left out of a document where it has that default; all others are always there.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kvstack.terms.action import Action
from kvstack.terms.approval import Approvable

FORMAT_VERSION: Literal["1.0"] = "1.0"
KNOWN_AFTER_APPLY = "known after apply"

ActionName = Annotated[
    str,
    Meta(
        description="What happens to the thing.",
        extra_json_schema={"enum": [action.value for action in Action if action is not Action.NO_OP]},
    ),
]
Count = Annotated[int, Meta(ge=0)]
AddressText = Annotated[
    str, Meta(description="The path of the thing in the declaration.", examples=["payments/keys/signing"])
]
KindName = Annotated[str, Meta(description="The resource type.", examples=["vault", "role_assignment"])]
Value = Annotated[
    Any,
    Meta(
        description="The value; never that of a secret. null: it has none.",
        extra_json_schema={
            "anyOf": [
                {
                    "description": "A secret value: the same fingerprint means the same value, and nothing else.",
                    "type": "object",
                    "properties": {"sensitive": {"const": True}, "fingerprint": {"type": ["string", "null"]}},
                    "required": ["sensitive", "fingerprint"],
                    "additionalProperties": False,
                },
                {"description": "It is made, or can be read, in apply only.", "const": KNOWN_AFTER_APPLY},
                {"type": ["null", "boolean", "number", "string", "array", "object"]},
            ]
        },
    ),
]
Version = Annotated[
    Literal["1.0"],
    Meta(description="Keys may be added within 1.x, and are to be ignored where unknown; none changes or goes."),
]


class DiagnosticDocument(msgspec.Struct, frozen=True):
    """An error or a warning."""

    severity: Literal["error", "warning"]
    summary: Annotated[str, Meta(description="What is wrong.")]
    detail: Annotated[str, Meta(description="Why, and how to mend it.")]
    file: str | None
    line: Annotated[int, Meta(ge=1)] | None
    column: Annotated[int, Meta(ge=1)] | None
    address: str | None
    code: (
        Annotated[str, Meta(description="The id of a warning that can be silenced, or of a rule.", examples=["KV007"])]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class AttributeDocument(msgspec.Struct, frozen=True):
    """One attribute before and after."""

    path: Annotated[str, Meta(description="Its name, dotted where it is nested.", examples=["rotation.every"])]
    before: Value
    after: Value
    rule: Annotated[str, Meta(description="What changing it costs.", examples=["update", "new version", "replace"])]


class ChangeDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step for one thing."""

    address: AddressText
    kind: KindName
    action: ActionName
    irreversible: Annotated[bool, Meta(description="Whether it can never be undone.")]
    reasons: Annotated[tuple[str, ...], Meta(description="Why it happens, most important first.")]
    attributes: tuple[AttributeDocument, ...]
    moved_from: Annotated[str | None, Meta(description="The address the thing had.")] = None
    with_vault: Annotated[bool, Meta(description="It happens because it happens to the vault, in the same step.")] = (
        False
    )
    purge_first: Annotated[bool, Meta(description="The name has to be purged before the thing is made anew.")] = False
    compared_at_apply: Annotated[bool, Meta(description="The secret's value was not there to compare.")] = False


class DriftDocument(msgspec.Struct, frozen=True):
    """One thing that is not as it was applied."""

    address: AddressText
    kind: KindName
    what: Annotated[
        str,
        Meta(description="What happened to it.", examples=["changed", "deleted", "purged", "new version", "tags lost"]),
    ]
    attributes: Annotated[tuple[AttributeDocument, ...], Meta(description="before: as applied; after: as it is.")]
    by: Annotated[str | None, Meta(description="Who did it, where the vault's audit tells.")]
    at: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="When.")]
    operation: Annotated[str | None, Meta(description="By which operation.", examples=["KeyUpdate"])]


class HoldDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a right is had: for good, where nothing is said."""

    starts: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="It is in force from then on.")] = (
        None
    )
    until: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="It ends then.")] = None
    on_request: Annotated[bool, Meta(description="It has to be taken up first, each time for a while.")] = False
    conditional: Annotated[bool, Meta(description="It is had only where a condition holds.")] = False


class ThroughDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a right rests on."""

    role: Annotated[str, Meta(examples=["Key Vault Secrets User"])]
    scope: Annotated[str, Meta(description="Where the role was given.", examples=["vault/payments-prod"])]
    group: Annotated[str, Meta(description="The id of the group it was given to, where it was one.")] = ""


class AccessChangeDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Rights that somebody gains, loses, or keeps otherwise than before."""

    verb: Literal["gains", "loses", "keeps"]
    rights: Annotated[tuple[str, ...], Meta(examples=[["secrets/get", "secrets/list"]])]
    words: Annotated[str, Meta(description="The rights as people say them.", examples=["read, list secrets"])]
    scope: Annotated[str, Meta(description="Where.", examples=["vault/payments-prod/secrets/db-password"])]
    through: ThroughDocument
    hold: HoldDocument
    before: Annotated[HoldDocument | None, Meta(description="How it was had before, of what is kept.")] = None
    still_at: Annotated[
        tuple[str, ...], Meta(description="Of what is lost: narrower places where some of it is still had.")
    ] = ()


class PrincipalAccessDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What changes for one principal."""

    id: str
    name: str
    type: Annotated[str, Meta(description="Empty where it is not known.", examples=["service_principal"])]
    members: Annotated[tuple[str, ...], Meta(description="Of a group: the names of those who have it.")] = ()
    changes: tuple[AccessChangeDocument, ...]


class NobodyAnyMoreDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rights that somebody had, and that nobody will have."""

    rights: tuple[str, ...]
    words: str
    scope: str
    because: Annotated[str, Meta(description="What stands in the way.", examples=["purge protection"])] = ""


class AccessDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who gains and loses what."""

    principals: tuple[PrincipalAccessDocument, ...]
    nobody: tuple[NobodyAnyMoreDocument, ...]
    unread: Annotated[str, Meta(description="Why not all of it could be told; left out where it could.")] = ""
    names: Annotated[dict[str, str], Meta(description="Names of the groups rights come through, by id.")] = {}


class UnreadDocument(msgspec.Struct, frozen=True):
    """A declared thing that could not be read."""

    address: AddressText
    reason: str


class SummaryDocument(msgspec.Struct, frozen=True):
    """How many changes of each action there are."""

    create: Count
    recover: Count
    update: Count
    rotate: Count
    replace: Count
    delete: Count
    purge: Count
    forget: Count
    move: Count
    import_: Count = msgspec.field(name="import")
    refuse: Count


class NeedsApprovalDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something a change does that waits for somebody's approval."""

    address: AddressText
    vault: Annotated[str, Meta(description="Whose approval rule wants it, by its real name.")]
    operation: Annotated[Approvable, Meta(description="What the rule is for.")]
    where: Annotated[str, Meta(description="The scope it is done at.", examples=["vault/payments/secrets/db-password"])]
    what: Annotated[str, Meta(description="Of access: what changes, exactly.")] = ""
    group: Annotated[str, Meta(description="The group whose members change.")] = ""
    rule: Annotated[bool, Meta(description="The approval rule itself changes.")] = False
    by: Annotated[tuple[str, ...], Meta(description="Who may approve it, by name.")]
    by_ids: Annotated[tuple[str, ...], Meta(description="The same, by object id.")]
    declared: Annotated[bool, Meta(description="The rule is not there yet: this plan brings it.")] = False


class ApprovalDocument(msgspec.Struct, frozen=True):
    """An approval of this very plan."""

    approver: str
    until: Annotated[datetime, Meta(tz=True)]
    problem: Annotated[str, Meta(description="Why it does not count; empty where it does.")]


class PlanDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What would change: the answer of `kvstack plan --json`."""

    format_version: Version
    stack: str
    environment: str | None
    complete: Annotated[bool, Meta(description="Whether everything could be read.")]
    summary: SummaryDocument
    changes: Annotated[
        tuple[ChangeDocument, ...], Meta(description="In the order of the declaration, deletions at the end.")
    ]
    drift: Annotated[tuple[DriftDocument, ...], Meta(description="What moved since the last apply.")]
    unread: tuple[UnreadDocument, ...]
    diagnostics: tuple[DiagnosticDocument, ...]
    needs_approval: Annotated[
        tuple[NeedsApprovalDocument, ...],
        Meta(description="What waits for an approval: nothing of the plan is done without it."),
    ] = ()
    approvals: Annotated[tuple[ApprovalDocument, ...], Meta(description="Those this very plan has.")] = ()
    destroy: Annotated[bool, Meta(description="Whether everything declared is to go.")] = False
    refresh_only: Annotated[bool, Meta(description="Whether what is there is recorded, and nothing changed.")] = False
    targets: Annotated[tuple[str, ...], Meta(description="The addresses the plan is limited to.")] = ()
    access: Annotated[
        AccessDocument | None, Meta(description="Who gains and loses what; left out where nobody does.")
    ] = None
    compared_at_apply: Annotated[
        tuple[str, ...],
        Meta(description="Secrets whose value was not there to compare: apply may make a new version of them."),
    ] = ()


class DriftReportDocument(msgspec.Struct, frozen=True):
    """What moved since the last apply: the answer of `kvstack drift --json`."""

    format_version: Version
    stack: str
    environment: str | None
    complete: Annotated[bool, Meta(description="Whether everything could be read.")]
    drift: tuple[DriftDocument, ...]
    unread: tuple[UnreadDocument, ...]
    diagnostics: tuple[DiagnosticDocument, ...]


class ResultDocument(msgspec.Struct, frozen=True):
    """What became of one change."""

    address: AddressText
    kind: KindName
    action: ActionName
    outcome: Literal["done", "failed", "skipped"]
    seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="How long it took; null where it was skipped.")
    ]
    reason: Annotated[str | None, Meta(description="Why it was skipped or failed; null where it is done.")]


class ApplyDocument(msgspec.Struct, frozen=True):
    """What was changed: the answer of `kvstack apply --json`."""

    format_version: Version
    stack: str
    environment: str | None
    interrupted: Annotated[bool, Meta(description="Whether it was stopped before its end.")]
    summary: Annotated[SummaryDocument, Meta(description="How many changes of each action were made.")]
    failed: Count
    skipped: Count
    results: Annotated[tuple[ResultDocument, ...], Meta(description="In the order in which they ended.")]
    diagnostics: tuple[DiagnosticDocument, ...]


class DiagnosticsDocument(msgspec.Struct, frozen=True):
    """What `--json` prints where there is no answer."""

    diagnostics: tuple[DiagnosticDocument, ...]
