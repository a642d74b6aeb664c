"""When new versions are made, when they expire, and when people are told: a rotation policy and its rules."""

from collections.abc import Iterator

import msgspec

from kvstack.terms.duration import Duration
from kvstack.terms.rotator import Rotator

LEAST_DAYS = 7
LEAST_EXPIRY_DAYS = 28
LEAST_DAYS_IN_A_MANAGED_HSM = 28


class RotationPolicy(msgspec.Struct, frozen=True):
    """A key's or a secret's policy. every: rotate this long after creation; before_expiry: or this long before it
    expires; expire_after: how long a version lives; notify_before_expiry: when the near-expiry event is sent (default
    P30D); enabled: whether it is carried out; keep_previous: how long a version stays enabled once the next one is
    there, for ever where it is not said; rotator: who makes a secret's next value known outside the vault."""

    every: Duration | None = None
    before_expiry: Duration | None = None
    expire_after: Duration | None = None
    notify_before_expiry: Duration | None = None
    enabled: bool = True
    keep_previous: Duration | None = None
    rotator: Rotator | None = None


def rotates(policy: RotationPolicy | None) -> bool:
    """Tell whether a policy makes new versions at all, while it is switched on."""
    return policy is not None and (policy.every is not None or policy.before_expiry is not None)


def problems(policy: RotationPolicy) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) by the rules of a vault. Source: azure/facts.md, rotation policy (vault)."""
    every, before, expire, notify = (
        policy.every,
        policy.before_expiry,
        policy.expire_after,
        policy.notify_before_expiry,
    )
    if every is not None and before is not None:
        yield "before_expiry", "rotation is triggered by `every` or by `before_expiry`, not by both"
    if every is not None and every.least_days < LEAST_DAYS:
        yield "every", f"rotation every {every} is under the least of {LEAST_DAYS} days after creation"
    if before is not None and before.least_days < LEAST_DAYS:
        yield "before_expiry", f"rotation {before} before expiry is under the least of {LEAST_DAYS} days before expiry"
    if expire is not None and expire.least_days < LEAST_EXPIRY_DAYS:
        yield "expire_after", f"versions that expire after {expire} are under the least of {LEAST_EXPIRY_DAYS} days"
    if before is not None and expire is None:
        yield "before_expiry", "`before_expiry` needs `expire_after`: without it no version expires"
    if notify is not None and expire is None:
        yield "notify_before_expiry", "`notify_before_expiry` needs `expire_after`: without it no version expires"
    if expire is None:
        return
    if every is not None and every.about_days > expire.about_days - LEAST_DAYS:
        yield (
            "every",
            f"rotation every {every} comes less than {LEAST_DAYS} days before versions expire after {expire}",
        )
    if before is not None and before.about_days > expire.about_days - LEAST_DAYS:
        yield (
            "before_expiry",
            f"rotation {before} before expiry comes less than {LEAST_DAYS} days after creation, versions live {expire}",
        )
    if notify is not None and notify.about_days >= expire.about_days:
        yield "notify_before_expiry", f"notice {notify} before expiry is not within a version's life of {expire}"


def managed_hsm_problems(policy: RotationPolicy) -> Iterator[tuple[str, str]]:
    """Yield (attribute, what is wrong) by the rule a Managed HSM has beside a vault's. Source: azure/facts.md."""
    least, every, before, expire = LEAST_DAYS_IN_A_MANAGED_HSM, policy.every, policy.before_expiry, policy.expire_after
    if every is not None and every.least_days < least:
        yield (
            "every",
            f"rotation every {every} is under the least of {least} days between rotations in a Managed HSM",
        )
    if before is not None and expire is not None and expire.about_days - before.about_days < least:
        yield (
            "before_expiry",
            f"rotation {before} before versions expire after {expire} comes sooner than the {least} days there are "
            "between rotations in a Managed HSM",
        )
