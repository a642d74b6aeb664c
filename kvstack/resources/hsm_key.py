"""A cryptographic key in a Managed HSM."""

from collections.abc import Iterator
from typing import Annotated, Literal

from kvstack.resources.key import Key
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.rotation import policy
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import NEW_VERSION
from kvstack.schema.resource import Problem, Resource
from kvstack.terms.rotation import managed_hsm_problems


class HsmKey(Key, frozen=True, kw_only=True, kind="hsm_key", collection="keys", parent=ManagedHsm):
    """A cryptographic key in a Managed HSM: any of its tokens opens it, and nothing else does."""

    looks_at_in_a_vault = frozenset()

    type: Annotated[
        Literal["RSA-HSM", "EC-HSM", "oct-HSM"],
        doc("Key type; a Managed HSM has HSM keys only.", "RSA-HSM"),
        NEW_VERSION,
    ]

    def problems(self) -> Iterator[Problem]:
        """Yield everything a Managed HSM would refuse about this key."""
        found = list(super().problems())
        yield from found
        if self.rotation is None or any(problem.path[:1] == ("rotation",) for problem in found):
            return
        for attribute, summary in managed_hsm_problems(policy(self.rotation)):
            yield Problem(("rotation", attribute), summary)

    def problems_within(self, container: Resource) -> Iterator[Problem]:
        """Yield nothing: a Managed HSM takes every HSM key."""
        yield from ()
