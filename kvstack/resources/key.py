"""A cryptographic key in a vault."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

import msgspec

from kvstack.resources import tags
from kvstack.resources.release_policy import KeyReleasePolicy
from kvstack.resources.rotation import Rotation, problems_of_expiry
from kvstack.resources.validity import Moment, problems_of_validity
from kvstack.resources.vault import Vault
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import NEW_VERSION, fixed
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import key, name
from kvstack.terms.key import Curve, KeySpecification, KeyType, Operation


class Key(Resource, frozen=True, kw_only=True, kind="key", collection="keys", parent=Vault):
    """A cryptographic key. Versions accumulate; the newest one is current."""

    versions_by_vault = True
    looks_at_in_a_vault = frozenset({"sku"})

    type: Annotated[
        KeyType,
        doc(
            "Key type; `-HSM` keys are generated in the HSM and never leave it. `oct`, `ML-DSA-*` and `ML-KEM-*` are "
            "ahead of Azure, which has no such keys.",
            "RSA-HSM",
        ),
        NEW_VERSION,
    ]
    size: Annotated[
        Literal[128, 192, 256, 2048, 3072, 4096] | None,
        doc("Bits: of an RSA modulus (2048 by default), or of an oct key (256 by default).", 3072),
        NEW_VERSION,
    ] = None
    curve: Annotated[Curve | None, doc("The curve of an EC key; P-256 by default.", "P-256"), NEW_VERSION] = None
    operations: Annotated[
        frozenset[Operation] | None,
        doc("What the key may be used for; by default all its type can do.", ["sign", "verify"]),
    ] = None
    enabled: Annotated[bool, doc("Whether the current version may be used.")] = True
    not_before: Annotated[Moment | None, doc("The current version may not sign, encrypt or wrap before.")] = None
    expires: Annotated[
        Moment | None,
        doc("The current version may not sign, encrypt or wrap afterwards; a rotation policy sets it by itself."),
    ] = None
    rotation: Annotated[Rotation | None, doc("When new versions are made, and when they expire.")] = None
    exportable: Annotated[
        bool,
        doc("Whether the key may leave the vault, wrapped for an environment its release policy names."),
        fixed("Whether a key is exportable is decided when it is made."),
    ] = False
    release_policy: Annotated[
        KeyReleasePolicy | None,
        doc("To whom an exportable key is released; it needs one.", {"file": "policies/enclave.json"}),
    ] = None
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    @property
    def specification(self) -> KeySpecification:
        """What to generate, with Key Vault's defaults filled in."""
        return key.specification(self.type, self.size, self.curve)

    def resolved(self) -> Self:
        """Return the key with size, curve and operations as they will be."""
        spec = self.specification
        return msgspec.structs.replace(
            self,
            size=spec.size,
            curve=spec.curve,
            operations=self._operations,
            rotation=self.rotation.resolved() if self.rotation else None,
        )

    @property
    def _operations(self) -> frozenset[Operation]:
        if self.operations is not None:
            return self.operations
        possible = key.possible_operations(self.type)
        return possible | {"export"} if self.exportable else possible

    def named_file(self) -> tuple[tuple[str, ...], str] | None:
        """Return the file with the release policy."""
        named = self.release_policy
        if named is None or named.file is None or named.policy is not None:
            return None
        return ("release_policy", "file"), named.file

    def with_content(self, content: bytes) -> Self:
        """Return the key with the release policy its file holds. Raises ValueError."""
        named = self.release_policy
        return self if named is None else msgspec.structs.replace(self, release_policy=named.with_content(content))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about this key."""
        if wrong := name.item_name_problem(self.name):
            yield Problem(("name",), wrong)
        for attribute, summary in key.problems(self.specification, self.operations):
            yield Problem((attribute,), summary)
        if key.ahead_of_azure(self.type):
            yield Problem(
                ("type",),
                f"{self.type} keys are ahead of Azure: no Azure Key Vault has them",
                "The embedded vault does; the same declaration is refused in a plan for Azure.",
                severity="warning",
            )
        if self.rotation is not None:
            yield from self.rotation.problems()
        yield from self._problems_of_release()
        yield from problems_of_validity(self.not_before, self.expires)
        yield from problems_of_expiry(self.rotation, self.expires)
        yield from tags.problems(self.tags)

    def _problems_of_release(self) -> Iterator[Problem]:
        if self.exportable and self.release_policy is None:
            yield Problem(
                ("exportable",), "an exportable key needs a `release_policy`", "It says who may have the key."
            )
        if self.release_policy is not None:
            if not self.exportable:
                yield Problem(
                    ("release_policy",),
                    "a key that is not exportable has no release policy",
                    "Write `exportable: true`.",
                )
            yield from self.release_policy.problems()
        if not self.exportable:
            return
        if "export" not in self._operations:
            yield Problem(
                ("operations",),
                "the key is exportable and is never released: `export` is not among its operations",
                "Add `export`, or leave `operations` out.",
                severity="warning",
            )
        if not key.in_hsm(self.type):
            yield Problem(
                ("exportable",),
                f"exportable {self.type} keys are ahead of Azure, where only `-HSM` keys are exportable",
                "The embedded vault has them; the same declaration is refused in a plan for Azure.",
                severity="warning",
            )

    def obstacle_to_change(self, declared: Resource, inside: Iterable[Resource]) -> Obstacle | None:
        """Return why this key cannot become what is declared."""
        before = self.release_policy
        if not isinstance(declared, Key) or before is None or not before.immutable or before == declared.release_policy:
            return None
        return Obstacle(
            "its release policy is immutable: it can never be changed",
            "Declare it as it is, or make a key of another name with another policy.",
        )

    def problems_within(self, container: Resource) -> Iterator[Problem]:
        """Yield what this vault would refuse about this key."""
        if key.in_hsm(self.type) and isinstance(container, Vault) and container.sku != "premium":
            yield Problem(
                ("type",),
                f"an {self.type} key needs a premium vault, this one is {container.sku}",
                f"Write `sku: premium` in the vault, or `type: {key.family(self.type)}` for a software key.",
            )

    def left_to_the_vault(self) -> frozenset[str]:
        """Return `expires` where the rotation policy sets it."""
        by_policy = self.expires is None and self.rotation is not None and self.rotation.expire_after is not None
        return frozenset({"expires"}) if by_policy else frozenset()

    def identity(self, vault: str) -> str:
        """Return the key's place among all keys."""
        return f"vaults/{vault.lower()}/keys/{self.name.lower()}"
