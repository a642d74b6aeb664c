"""A key vault: the place keys, secrets and certificates live in, and what protects them there."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

import msgspec

from kvstack.resources import tags
from kvstack.schema.attribute import doc
from kvstack.schema.change_rule import REPLACE, fixed, one_way
from kvstack.schema.obstacle import Obstacle
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import limits, name
from kvstack.terms.access_policy import AccessModel
from kvstack.terms.approval import APPROVABLE, Approvable

Sku = Literal["standard", "premium"]


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who may reach a vault over a network."""

    default_action: Annotated[Literal["allow", "deny"], doc("What happens to a caller no rule names.", "deny")] = (
        "allow"
    )
    bypass: Annotated[
        Literal["trusted_services", "none"], doc("Whether the platform's own services pass without a rule.")
    ] = "trusted_services"
    ip_rules: Annotated[
        frozenset[str],
        doc("Addresses and ranges (CIDR) that may call.", ["203.0.113.0/24"], max_length=limits.IP_RULES),
    ] = frozenset()


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which changes of a vault somebody else has to approve first."""

    by: Annotated[
        frozenset[str],
        doc(
            "Who may approve, by names from `principals` or object ids; any member of a group. Nobody his own plan.",
            ["alice", "on-call"],
            min_length=1,
        ),
    ]
    operations: Annotated[
        frozenset[Approvable],
        doc(
            "`delete` and `purge`: of the vault and of what is in it; `access`: of who may do what there, the members "
            "of groups included. The rule itself changes with approval only.",
            ["delete", "purge", "access"],
            min_length=1,
        ),
    ] = msgspec.field(default=frozenset(APPROVABLE), name="for")


class Vault(Resource, frozen=True, kw_only=True, kind="vault", collection="vaults"):
    """A key vault, with its soft delete, its protection and its network rules.

    Deleting one keeps it recoverable, with everything in it, until retention ends; its name stays taken as long.
    """

    sku: Annotated[Sku, doc("`premium` has HSM keys, `standard` has not.", "premium")] = "standard"
    location: Annotated[str, doc("The region; `local` for an embedded vault.", "westeurope"), REPLACE] = "local"
    resource_group: Annotated[
        name.ResourceGroupName | None,
        doc("The resource group; by default the backend's own.", "payments"),
        REPLACE,
    ] = None
    soft_delete_retention_days: Annotated[
        int,
        doc("Days a deleted thing can be recovered for.", 90, ge=limits.RETENTION_DAYS[0], le=limits.RETENTION_DAYS[1]),
        fixed("Retention is set once, when a vault is created."),
    ] = 90
    purge_protection: Annotated[
        bool,
        doc("Nobody can purge a deleted thing before its retention ends. Can be switched on, never off.", True),
        one_way(True, "Purge protection can be switched on, never off."),
    ] = False
    network: Annotated[Network, doc("Who may reach the vault over a network.")] = Network()
    lock: Annotated[
        Literal["delete"] | None, doc("`delete` refuses the vault's deletion until the lock is lifted.", "delete")
    ] = None
    approval: Annotated[
        Approval | None,
        doc("Changes that wait until somebody has approved the very plan that makes them. Embedded vaults only."),
    ] = None
    access_model: Annotated[
        AccessModel,
        doc(
            "What gives a right to what is in it: `rbac` roles, or `access_policies`, the vault's own `policies`. The "
            "change takes the right to give roles.",
            "access_policies",
        ),
    ] = "rbac"
    tags: Annotated[dict[str, str], doc("Up to 13 tags; a plan shows them in clear.", {"team": "payments"})] = {}  # noqa: RUF012  # msgspec copies it

    def resolved(self) -> Self:
        """Return the vault with its network rules in one spelling: `203.0.113.7` is `203.0.113.7/32`."""
        if not self.network.ip_rules:
            return self
        rules = frozenset(network_range(rule) or rule for rule in self.network.ip_rules)
        return msgspec.structs.replace(self, network=msgspec.structs.replace(self.network, ip_rules=rules))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a backend would refuse about this vault."""
        if wrong := name.vault_name_problem(self.name):
            yield Problem(("name",), wrong)
        for rule in sorted(self.network.ip_rules):
            if network_range(rule) is None:
                yield Problem(
                    ("network", "ip_rules"),
                    f"`{rule}` is no IPv4 address or range",
                    "Write an address such as 203.0.113.7 or a range such as 203.0.113.0/24.",
                )
        yield from tags.problems(self.tags)

    def obstacle_to_change(self, declared: Resource, inside: Iterable[Resource]) -> Obstacle | None:
        """Return the HSM keys in it, where it would no longer be premium."""
        if not isinstance(declared, Vault) or self.sku == declared.sku or declared.sku == "premium":
            return None
        # A key's type is what tells; this file cannot know the key's, which knows this one.
        stranded = sorted(thing.name for thing in inside if str(getattr(thing, "type", "")).endswith("-HSM"))
        if not stranded:
            return None
        named = ", ".join(f"`{name}`" for name in stranded[:5]) + (", ..." if len(stranded) > 5 else "")
        return Obstacle(
            f"HSM keys need a premium vault, and it holds {named}",
            "Keep `sku: premium`; or delete the keys, have them purged, and change it then.",
        )

    def obstacle_to_deletion(self) -> Obstacle | None:
        """Return the lock, where there is one."""
        if self.lock != "delete":
            return None
        return Obstacle("the vault is locked against deletion", "Take its `lock` out and apply that first.")

    def obstacle_to_purge(self) -> Obstacle | None:
        """Return purge protection, where it is on."""
        if not self.purge_protection:
            return None
        return Obstacle(f"purge protection keeps its name taken for {self.soft_delete_retention_days} days")

    def left_to_the_vault(self) -> frozenset[str]:
        """Return `resource_group` where the backend's own is meant."""
        return frozenset({"resource_group"}) if self.resource_group is None else frozenset()

    def identity(self, vault: str) -> str:
        """Return the vault's place among all vaults, alive or soft-deleted."""
        return f"vaults/{self.name.lower()}"


def network_range(rule: str) -> str | None:
    """Return an address or range in one spelling, or None where it is neither. Host bits must be zero."""
    import ipaddress  # costs 5 ms, and most vaults have no rules

    try:
        return str(ipaddress.IPv4Network(rule))
    except ValueError:
        return None
