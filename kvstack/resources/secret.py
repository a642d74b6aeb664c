"""A secret in a vault."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Self

import msgspec

from kvstack.resources import tags
from kvstack.resources.rotation import SecretRotation, problems_of_expiry
from kvstack.resources.validity import Moment, problems_of_validity
from kvstack.resources.value_source import ValueFrom
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import SOURCE, doc
from kvstack.schema.change_rule import NEW_VERSION
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import limits, name

_LITERAL = (
    "A secret's value never stands in a file. Write `value_from: {env: NAME}`, `{file: PATH}`, "
    "`{generate: {length: 48}}` or `{command: [PROGRAM]}`, and change the value that was written here: it is known now."
)


class Secret(
    Resource,
    frozen=True,
    kw_only=True,
    kind="secret",
    collection="secrets",
    parent=Vault,
    forbidden={"value": _LITERAL},
):
    """A secret. Setting a new value makes a new version; old versions stay and keep working."""

    value_from: Annotated[
        ValueFrom | None,
        doc(
            "Where the value comes from. Without it the secret has to be there, and only what is around its value is "
            "managed.",
            {"env": "DB_PASSWORD"},
        ),
        SOURCE,
        NEW_VERSION,
    ] = None
    content_type: Annotated[
        Annotated[str, msgspec.Meta(max_length=limits.CONTENT_TYPE_CHARACTERS)] | None,
        doc("What the value is.", "text/plain"),
    ] = None
    enabled: Annotated[bool, doc("Whether the current version can be read.")] = True
    not_before: Annotated[Moment | None, doc("The current version is meant for use from then on.")] = None
    expires: Annotated[Moment | None, doc("The current version is meant for use until then.")] = None
    rotation: Annotated[
        SecretRotation | None, doc("When a new value is made; for generated values.", {"every": "P30D"})
    ] = None
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    def resolved(self) -> Self:
        """Return the secret with its rotation policy in one spelling."""
        return self if self.rotation is None else msgspec.structs.replace(self, rotation=self.rotation.resolved())

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this secret."""
        if wrong := name.item_name_problem(self.name):
            yield Problem(("name",), wrong)
        if self.value_from is not None:
            yield from self.value_from.problems()
        if self.rotation is not None:
            yield from self.rotation.problems()
            generated = self.value_from is not None and self.value_from.generate is not None
            trigger = self.rotation.trigger or ("rotator" if self.rotation.rotator is not None else None)
            if not generated and trigger is not None:
                yield Problem(
                    ("rotation",),
                    "only a generated value can be rotated",
                    f"Write `value_from: {{generate: {{...}}}}`, or take `{trigger}` out of `rotation`.",
                )
        yield from problems_of_validity(self.not_before, self.expires)
        yield from problems_of_expiry(self.rotation, self.expires)
        yield from tags.problems(self.tags, secret=True)

    def problems_within(self, container: Resource) -> Iterator[Problem]:
        """Yield that its rotator's calls would be signed with the value that they are about to change."""
        if self.rotation is None:
            return
        vault, name = self.rotation.signed_by
        if (vault.lower(), name.lower()) == (container.name.lower(), self.name.lower()):
            yield Problem(("rotation", "rotator", "secret"), "calls are not signed by the secret they are about")

    def with_real_vaults(self, real: Callable[[str], str]) -> Self:
        """Return it with the real name of the vault its rotator's secret is in."""
        if self.rotation is None:
            return self
        return msgspec.structs.replace(self, rotation=self.rotation.with_real_vaults(real))

    def made_after(self) -> tuple[str, ...]:
        """Return the secret that signs its rotator's calls, and its vault."""
        vault, name = self.rotation.signed_by if self.rotation is not None else ("", "")
        return (f"vaults/{vault}".lower(), f"vaults/{vault}/secrets/{name}".lower()) if name else ()

    @property
    def value_source(self) -> ValueFrom | None:
        """Where the value comes from."""
        return self.value_from

    def obstacle_to_creation(self, now: datetime) -> Obstacle | None:
        """Return that there is no value, where nothing says what it is."""
        if self.value_from is not None:
            return None
        return Obstacle(
            "the secret is not there, and nothing says what its value is",
            "Write `value_from`, or set the secret by other means first.",
        )

    def left_to_the_vault(self) -> frozenset[str]:
        """Return `expires` where the rotation policy sets it."""
        by_policy = self.expires is None and self.rotation is not None and self.rotation.expire_after is not None
        return frozenset({"expires"}) if by_policy else frozenset()

    def identity(self, vault: str) -> str:
        """Return the secret's place among all secrets."""
        return f"vaults/{vault.lower()}/secrets/{self.name.lower()}"
