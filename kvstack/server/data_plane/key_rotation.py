"""The rotation policies of keys, in Azure's words: actions with triggers, where the vault has attributes."""

from typing import Final

import msgspec

from kvstack.server.answer import Answer, answered, bad_parameter
from kvstack.server.data_plane.api import Operation
from kvstack.server.data_plane.context import Asked
from kvstack.terms.duration import Duration, duration
from kvstack.terms.rotation import RotationPolicy

_NOTICE: Final = "P30D"


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """When something is done: ISO 8601 durations."""

    timeAfterCreate: str | None = None  # noqa: N815
    timeBeforeExpiry: str | None = None  # noqa: N815


class Action(msgspec.Struct, frozen=True):
    """What is done: `Rotate` or `Notify`."""

    type: str


class LifetimeAction(msgspec.Struct, frozen=True):
    """One thing that is done in a version's life."""

    action: Action
    trigger: Trigger = Trigger()


class PolicyAttributes(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long a version lives."""

    expiryTime: str | None = None  # noqa: N815


class GivenRotationPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy as clients give it and get it."""

    id: str | None = None
    lifetimeActions: list[LifetimeAction] | None = None  # noqa: N815
    attributes: PolicyAttributes | None = None


def get_rotation_policy(asked: Asked, names: tuple[str, ...]) -> Answer:
    """GetKeyRotationPolicy: of a key that has none, what Azure has by default."""
    policy = asked.service.get_rotation_policy(asked.caller, asked.vault, "keys", names[0])
    return answered(told(asked, names[0], policy or RotationPolicy()))


def update_rotation_policy(asked: Asked, names: tuple[str, ...]) -> Answer:
    """UpdateKeyRotationPolicy: in place of the one that is there."""
    policy = policy_of(asked.request.document(GivenRotationPolicy))
    kept = asked.service.set_rotation_policy(asked.caller, asked.vault, "keys", names[0], policy)
    return answered(told(asked, names[0], kept or RotationPolicy()))


def policy_of(given: GivenRotationPolicy) -> RotationPolicy:
    """Return the policy a client gives. Raises Refusal."""
    every = before = notify = None
    seen: set[str] = set()
    for one in given.lifetimeActions or ():
        kind = one.action.type.lower()
        if kind in seen or kind not in ("rotate", "notify"):
            raise bad_parameter("`lifetimeActions` has `Rotate` and `Notify`, each at most once.")
        seen.add(kind)
        after, ahead = _duration(one.trigger.timeAfterCreate), _duration(one.trigger.timeBeforeExpiry)
        if kind == "rotate":
            every, before = after, ahead
            continue
        if after is not None:
            raise bad_parameter("`Notify` is triggered by `timeBeforeExpiry` only.")
        notify = ahead
    expires = _duration(given.attributes.expiryTime if given.attributes is not None else None)
    # Clients send back the notice they got, of a key whose versions never expire, too.
    return RotationPolicy(every, before, expires, notify if expires is not None else None)


def told(asked: Asked, name: str, policy: RotationPolicy) -> GivenRotationPolicy:
    """Return a policy as clients get it."""
    actions = []
    if policy.every is not None or policy.before_expiry is not None:
        trigger = Trigger(_text(policy.every), _text(policy.before_expiry))
        actions.append(LifetimeAction(Action("Rotate"), trigger))
    notice = _text(policy.notify_before_expiry) or _NOTICE
    actions.append(LifetimeAction(Action("Notify"), Trigger(timeBeforeExpiry=notice)))
    return GivenRotationPolicy(
        f"{asked.base}/keys/{name}/rotationpolicy", actions, PolicyAttributes(_text(policy.expire_after))
    )


def _duration(text: str | None) -> Duration | None:
    if not text:
        return None
    try:
        return duration(text)
    except ValueError as error:
        raise bad_parameter(f"A rotation policy: {error}.") from None


def _text(given: Duration | None) -> str | None:
    return str(given) if given is not None else None


OPERATIONS: Final = (
    Operation("GetKeyRotationPolicy", "GET", ("keys", "{}", "rotationpolicy"), get_rotation_policy, "reading", "7.3"),
    Operation("UpdateKeyRotationPolicy", "PUT", ("keys", "{}", "rotationpolicy"), update_rotation_policy, since="7.3"),
)
