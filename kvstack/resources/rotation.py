"""When new versions are made, as a stack declares it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem
from kvstack.terms import rotation
from kvstack.terms import rotator as rotators
from kvstack.terms.duration import Duration, DurationText, duration
from kvstack.terms.webhook import signing_secret

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


class Rotator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who makes a secret's new values known outside, one of both: asked to create, set, test and finish each."""

    command: Annotated[
        tuple[str, ...],
        doc(
            "A program with its arguments, run by `run-due` with each call on its standard input; the operator's alone "
            "to name.",
            ["./rotate.py", "app_a", "app_b"],
        ),
    ] = ()
    webhook: Annotated[
        str, doc("An https address that each call is posted to.", "https://rotator.example.com/database")
    ] = ""
    secret: Annotated[
        str, doc("The secret whose newest version signs the calls: `VAULT/secrets/NAME`.", "payments-dev/secrets/hook")
    ] = ""

    @property
    def rotator(self) -> rotators.Rotator:
        """The same as a vault keeps it."""
        vault, name = signing_secret(self.secret)
        return rotators.Rotator(self.command, self.webhook, vault, name)

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about it."""
        if self.secret and not any(signing_secret(self.secret)):
            summary = f"`{self.secret}` names no secret: write `VAULT/secrets/NAME`"
            yield Problem(("rotation", "rotator", "secret"), summary)
            return
        for attribute, summary in rotators.problems(self.rotator):
            yield Problem(("rotation", "rotator", *filter(None, (attribute,))), summary)
        if self.webhook.startswith("http://"):
            yield Problem(
                ("rotation", "rotator", "webhook"),
                "values are sent over https",
                "The operator may allow a host without TLS, in `.kvstack/events.json`.",
                severity="warning",
            )


class SecretRotation(Rotation, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A secret's rotation policy. Durations are ISO 8601: `P90D`, `P18M`."""

    rotator: Annotated[
        Rotator | None,
        doc(
            "Who makes a new value known outside before it is the newest version; where none is named the vault draws "
            "it, and it is up to whoever reads it.",
            {"command": ["./rotate.py"]},
        ),
    ] = None

    def resolved(self) -> "SecretRotation":
        """Return the same policy with every duration in one spelling, and names as they are compared."""
        return secret_written(policy(self))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this policy."""
        yield from super().problems()
        if self.rotator is not None:
            yield from self.rotator.problems()

    def with_real_vaults(self, real: Callable[[str], str]) -> "SecretRotation":
        """Return it with the real name of its rotator's secret's vault. real: returns it for what is written."""
        vault, name = signing_secret(self.rotator.secret) if self.rotator is not None else ("", "")
        if self.rotator is None or not name:
            return self
        signed = msgspec.structs.replace(self.rotator, secret=f"{real(vault)}/secrets/{name}".lower())
        return msgspec.structs.replace(self, rotator=signed)

    @property
    def signed_by(self) -> tuple[str, str]:
        """Vault and name of the secret that signs, both empty for none."""
        return signing_secret(self.rotator.secret) if self.rotator is not None else ("", "")


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
        rotator=declared.rotator.rotator
        if isinstance(declared, SecretRotation) and declared.rotator is not None
        else None,
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


def secret_written(kept: rotation.RotationPolicy) -> SecretRotation:
    """Return a vault's policy of a secret as a stack declares it."""
    asked = kept.rotator
    return SecretRotation(
        **msgspec.structs.asdict(written(kept)),
        rotator=Rotator(command=asked.command, webhook=asked.webhook, secret=asked.signed_by.lower())
        if asked is not None
        else None,
    )


def _parsed(text: str | None) -> Duration | None:
    return None if text is None else duration(text)


def _text(length: Duration | None) -> str | None:
    return None if length is None else str(length)
