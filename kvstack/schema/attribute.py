"""One attribute of a resource type: its words, its change rule, and how it is compared."""

from typing import Any, Literal, Protocol

import msgspec

from kvstack.schema.change_rule import UPDATE, ChangeRule

# compared: against what is there. source: says where a value comes from; the value itself is compared, by fingerprint.
# meta: is about planning only and never reaches a vault.
Comparison = Literal["compared", "source", "meta"]


class Comparing(msgspec.Struct, frozen=True):
    """The marker that says how an attribute is compared."""

    how: Comparison


SOURCE = Comparing("source")
META = Comparing("meta")


class Attribute(msgspec.Struct, frozen=True):
    """One attribute, read off a resource type's annotations. type: with the markers taken off; meta: msgspec's
    constraints."""

    name: str
    written: str
    type: Any
    description: str
    examples: tuple[Any, ...]
    rule: ChangeRule
    comparison: Comparison
    required: bool
    default: Any


class _Annotated(Protocol):
    __metadata__: tuple[Any, ...]
    __origin__: Any


def doc(description: str, *examples: Any, **constraints: Any) -> msgspec.Meta:
    """Return the words (and constraints: ge, le, pattern, max_length, ...) of an attribute, as editors show them."""
    return msgspec.Meta(description=description, examples=list(examples) or None, **constraints)


def attribute(name: str, written: str, hint: Any, *, required: bool, default: Any) -> Attribute:
    """Return the attribute an annotation describes."""
    description, examples, rule, comparison = "", (), UPDATE, "compared"
    metadata: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    for marker in metadata:
        match marker:
            case msgspec.Meta():
                description = marker.description or description
                examples = tuple(marker.examples or examples)
            case ChangeRule():
                rule = marker
            case Comparing(how):
                comparison = how
    return Attribute(
        name=name,
        written=written,
        type=hint,
        description=description,
        examples=examples,
        rule=rule,
        comparison=comparison,  # type: ignore[arg-type]  # mypy widens the tuple assignment to str
        required=required,
        default=default,
    )
