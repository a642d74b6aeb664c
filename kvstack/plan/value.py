"""Whether a secret's value has to be set anew, decided without ever knowing a value."""

from typing import Literal

from kvstack.backends.protocol import Actual
from kvstack.plan.change import AttributeChange, KnownAfterApply, Sensitive
from kvstack.schema.obstacle import ValueSource
from kvstack.schema.resource import Resource
from kvstack.state.state import Intend, Record

Verdict = Literal["same", "changed", "specification changed", "drifted", "compared at apply"]

# The verdicts that make a new version, and why.
REASONS: dict[Verdict, str] = {
    "changed": "the value it comes from is another",
    "specification changed": "what generates its value changed",
    "drifted": "somebody set another value since the last apply",
}


def verdict(
    declared: Resource, record: Record | None, intent: Intend | None, actual: Actual[Resource], offered: str | None
) -> Verdict:
    """Return how a declared value stands against the one that is there.

    intent: what a run that ended early was about to make; offered: fingerprint of the value that `env` or `file`
    offers now, None where it is not there to read.
    """
    source = declared.value_source
    if source is None or {"all", "value", "value_from"} & set(declared.lifecycle.ignore_changes):
        return "same"
    if source.read_at_plan:
        if offered is None or actual.fingerprint is None:
            return "compared at apply"
        if offered == actual.fingerprint:
            return "same"
        return "drifted" if record is not None and record.fingerprint == offered else "changed"
    # A generated value, or a command's, was made once: it stands until its specification changes or somebody sets
    # another.
    if record is None:
        return "same"
    if intent is not None and intent.version != actual.version and intent.resource.value_source == source:
        return "same"
    if record.resource.value_source != source:
        return "specification changed"
    return "drifted" if has_drifted(record, actual) else "same"


def has_drifted(record: Record, actual: Actual[Resource]) -> bool:
    """Tell whether somebody set another value since the last apply; a rotation is nobody's doing."""
    return (
        record.fingerprint is not None
        and actual.fingerprint is not None
        and record.fingerprint != actual.fingerprint
        and not actual.by_rotation
    )


def attribute_change(source: ValueSource | None, before: str | None, after: str | None) -> AttributeChange:
    """Return the change of a value as a plan shows it. before, after: fingerprints, None where unknown."""
    becomes: Sensitive | KnownAfterApply = Sensitive(after)
    if after is None and source is not None:
        becomes = (
            KnownAfterApply(f"read at apply: {source} is not there now") if source.read_at_plan else KnownAfterApply()
        )
    return AttributeChange("value", Sensitive(before) if before is not None else None, becomes, "new version")
