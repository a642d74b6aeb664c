"""When new versions are made, as a stack declares it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem
from kvstack.terms import rotation
from kvstack.terms.duration import Duration, DurationText, duration

_DURATIONS = ("every", "before_expiry", "expire_after", "notify_before_expiry", "keep_previous")


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rotation policy. Durations are ISO 8601: `P90D`, `P18M`."""

    every: Annotated[
        DurationText | None, doc("A new version this long after the newest was made; at least 7 days.", "P90D")
    ] = None
    before_expiry: Annotated[
        DurationText | None, doc("Or: a new version this long before the newest expires.", "P30D")
    ] = None
    expire_after: Annotated[DurationText | None, doc("How long a version lives; at least 28 days.", "P120D")] = None
    notify_before_expiry: Annotated[
        DurationText | None, doc("When the near-expiry event is sent; by default 30 days before.", "P30D")
    ] = None
    enabled: Annotated[bool, doc("Whether it is carried out; `false` keeps the policy and rotates nothing.")] = True
    keep_previous: Annotated[
        DurationText | None,
        doc(
            "How long a version stays enabled once the next one is there; then it is disabled, never deleted. For ever "
            "where it is not said.",
            "P30D",
        ),
    ] = None

    @property
    def trigger(self) -> str | None:
        """The attribute that makes new versions; None where the policy makes none."""
        return "every" if self.every is not None else "before_expiry" if self.before_expiry is not None else None

    def resolved(self) -> "Rotation":
        """Return the same policy with every duration in one spelling: `P12W` is `P84D`."""
        return written(policy(self))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this policy."""
        parsed = True
        for field in _DURATIONS:
            try:
                _parsed(getattr(self, field))
            except ValueError as error:
                parsed = False
                yield Problem(("rotation", field), str(error))
        if parsed:
            for field, summary in rotation.problems(policy(self)):
                yield Problem(("rotation", field), summary)


def problems_of_expiry(rotation: Rotation | None, expires: datetime | None) -> Iterator[Problem]:
    """Yield that two say when a version expires: after the first rotation they would never agree again."""
    if rotation is not None and rotation.expire_after is not None and expires is not None:
        yield Problem(
            ("expires",),
            "the rotation policy says when each version expires, by `expire_after`",
            "Take `expires` out, or `expire_after`.",
        )


def policy(declared: Rotation) -> rotation.RotationPolicy:
    """Return the policy as a vault keeps it. Raises ValueError where a duration is none."""
    return rotation.RotationPolicy(
        every=_parsed(declared.every),
        before_expiry=_parsed(declared.before_expiry),
        expire_after=_parsed(declared.expire_after),
        notify_before_expiry=_parsed(declared.notify_before_expiry),
        enabled=declared.enabled,
        keep_previous=_parsed(declared.keep_previous),
    )


def written(kept: rotation.RotationPolicy) -> Rotation:
    """Return a vault's policy as a stack declares it."""
    return Rotation(
        every=_text(kept.every),
        before_expiry=_text(kept.before_expiry),
        expire_after=_text(kept.expire_after),
        notify_before_expiry=_text(kept.notify_before_expiry),
        enabled=kept.enabled,
        keep_previous=_text(kept.keep_previous),
    )


def _parsed(text: str | None) -> Duration | None:
    return None if text is None else duration(text)


def _text(length: Duration | None) -> str | None:
    return None if length is None else str(length)
