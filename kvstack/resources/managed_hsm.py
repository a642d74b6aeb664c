"""A Managed HSM: tokens of its own, for HSM keys only, whose security domain its custodians hold."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from kvstack.resources import tags
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE, fixed, one_way
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import limits, name


class ManagedHsm(Resource, frozen=True, kw_only=True, kind="managed_hsm", collection="managed_hsms"):
    """A Managed HSM: tokens of its own, for HSM keys only, with roles of its own.

    Once it is made, `kvstack hsm security-domain download` activates it for its custodians; before that nothing can be
    put into it. Deleting one keeps it recoverable, with its keys, until retention ends; its name stays taken as long.
    """

    location: Annotated[str, doc("The region; `local` for an embedded vault.", "westeurope"), REPLACE] = "local"
    resource_group: Annotated[
        name.ResourceGroupName | None,
        doc("The resource group; by default the backend's own.", "payments"),
        REPLACE,
    ] = None
    soft_delete_retention_days: Annotated[
        int,
        doc("Days a deleted thing can be recovered for.", 90, ge=limits.RETENTION_DAYS[0], le=limits.RETENTION_DAYS[1]),
        fixed("Retention is set once, when a Managed HSM is created."),
    ] = 90
    purge_protection: Annotated[
        bool,
        doc("Nobody can purge a deleted thing before its retention ends. Can be switched on, never off.", True),
        one_way(True, "Purge protection can be switched on, never off."),
    ] = False
    administrators: Annotated[
        frozenset[str],
        doc(
            "Who administers it from the start, by names from `principals` or object ids; by default whoever makes it. "
            "Others come later, by `access`.",
            ["on-call"],
        ),
        fixed("The first administrators are set once; give others the role `Managed HSM Administrator` in `access`."),
    ] = frozenset()
    tokens: Annotated[
        int,
        doc("How many tokens it has: keys are in none of them alone, and one that is lost is no loss.", 2, ge=1, le=10),
    ] = 1
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    def problems(self) -> Iterator[Problem]:
        """Yield everything a backend would refuse about this Managed HSM."""
        if wrong := name.vault_name_problem(self.name):
            yield Problem(("name",), wrong)
        yield from tags.problems(self.tags)

    def comes_first(self) -> str:
        """Return what has to be done once it is made, before anything can be put into it."""
        return (
            f"it is to be activated first: `kvstack hsm security-domain download {self.name} --custodian FILE... "
            "--quorum N --file F`"
        )

    def obstacle_to_change(self, declared: Resource, inside: Iterable[Resource]) -> Obstacle | None:
        """Return that tokens are never taken away, where there would be fewer."""
        if not isinstance(declared, ManagedHsm) or declared.tokens >= self.tokens:
            return None
        return Obstacle(
            f"it has {self.tokens} tokens, and none is ever taken away",
            f"Keep `tokens: {self.tokens}`: a token that is lost or broken stays in the list, the others work on.",
        )

    def obstacle_to_purge(self) -> Obstacle | None:
        """Return purge protection, where it is on."""
        if not self.purge_protection:
            return None
        return Obstacle(f"purge protection keeps its name taken for {self.soft_delete_retention_days} days")

    def left_to_the_vault(self) -> frozenset[str]:
        """Return `resource_group` where the backend's own is meant, and `administrators` where none are named."""
        left = {"resource_group"} if self.resource_group is None else set()
        return frozenset(left if self.administrators else {*left, "administrators"})

    def identity(self, vault: str) -> str:
        """Return its place among all vaults and Managed HSMs, alive or soft-deleted: they share one space of names."""
        return f"vaults/{self.name.lower()}"
