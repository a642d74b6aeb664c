"""Rules of the stack's own, and warnings that are silenced: what a stack says about what may be declared."""

from typing import Annotated, Literal

import msgspec

from kvstack.resources.catalog import RESOURCES
from kvstack.schema.attribute import doc

Scalar = str | int | bool
_RULE_ID = r"^(?!KV\d)[A-Z][A-Z0-9-]{1,30}$(?!\n)"
KINDS = tuple(resource.kind for resource in RESOURCES)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a stack file that is no resource."""


class Requirement(_Part, frozen=True):
    """What one attribute has to be: all that is said here, at once. Of a set or list, every entry has to be."""

    equals: Annotated[Scalar | None, doc("Exactly this.", "premium")] = None
    one_of: Annotated[tuple[Scalar, ...], doc("One of these.", ["RSA-HSM", "EC-HSM"])] = ()
    none_of: Annotated[tuple[Scalar, ...], doc("None of these.", ["subscription"])] = ()
    like: Annotated[str | None, doc("A text in which `*` stands for anything.", "payments-*")] = None
    at_least: Annotated[Scalar | None, doc("A number, a duration or a date that is not less.", 3072)] = None
    at_most: Annotated[Scalar | None, doc("A number, a duration or a date that is not more.", "P90D")] = None
    present: Annotated[bool | None, doc("Whether there is a value at all.", True)] = None


class Rule(_Part, frozen=True, kw_only=True):
    """A rule of the stack's own: what things of one kind have to be like. It runs no code."""

    id: Annotated[str, doc("What it is called; capitals, digits and hyphens.", "ACME-1", pattern=_RULE_ID)]
    says: Annotated[str, doc("The rule in a sentence, for who breaks it.", "Keys of production are in the HSM.")]
    kind: Annotated[
        Literal[KINDS],  # type: ignore[valid-type]  # the kinds are known when this is run
        doc("What it is about.", "key"),
    ]
    at: Annotated[str, doc("Addresses it is about; `*` stands for anything.", "payments-prod/keys/*")] = "*"
    production: Annotated[
        bool | None, doc("Only where the environment is marked `production: true`, or only where it is not.")
    ] = None
    where: Annotated[
        dict[str, Requirement], doc("Only things whose attributes are so.", {"enabled": {"equals": True}})
    ] = {}
    require: Annotated[
        dict[str, Requirement],
        doc("What their attributes have to be, by dotted names.", {"type": {"one_of": ["RSA-HSM", "EC-HSM"]}}),
    ]
    severity: Annotated[
        Literal["error", "warning"], doc("An `error` refuses the plan, a `warning` is told.", "error")
    ] = "error"


class Silence(_Part, frozen=True):
    """A warning that is not told any more, for things at and below an address, and why."""

    warning: Annotated[str, doc("Its id.", "KV007")]
    at: Annotated[str, doc("The address; with everything below it.", "payments-dev")]
    reason: Annotated[
        str, doc("Why that is right here, for who reviews it.", "Build agents have no fixed addresses.", min_length=1)
    ]
