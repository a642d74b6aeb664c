"""Where a right holds: a subscription, a resource group, a vault, or one thing in a vault."""

import re
from typing import Literal

import msgspec

ItemCollection = Literal["keys", "secrets", "certificates"]


class Scope(msgspec.Struct, frozen=True, order=True):
    """A place in the tree of scopes; an empty part means all below. item: `keys/signing`; without a vault, a managed
    identity (`userAssignedIdentities/batch`); managed_hsm: the vault is a Managed HSM; the two share one space of
    names."""

    subscription: str
    resource_group: str = ""
    vault: str = ""
    item: str = ""
    managed_hsm: bool = False

    @property
    def level(self) -> Literal["subscription", "resource_group", "vault", "item"]:
        """How deep the scope is."""
        if self.item:
            return "item"
        if self.vault:
            return "vault"
        return "resource_group" if self.resource_group else "subscription"

    @property
    def path(self) -> str:
        """The scope as Azure Resource Manager writes it."""
        text = f"/subscriptions/{self.subscription}"
        if self.resource_group:
            text += f"/resourceGroups/{self.resource_group}"
        if self.vault:
            kind = "managedHSMs" if self.managed_hsm else "vaults"
            text += f"/providers/Microsoft.KeyVault/{kind}/{self.vault}"
        elif self.item:
            text += "/providers/Microsoft.ManagedIdentity"
        if self.item:
            text += f"/{self.item}"
        return text

    @property
    def folded(self) -> "Scope":
        """The same scope in lower case: scopes differ by more than case."""
        group, vault, item = self.resource_group.lower(), self.vault.lower(), self.item.lower()
        return Scope(self.subscription.lower(), group, vault, item, self.managed_hsm)

    def contains(self, other: "Scope") -> bool:
        """Tell whether the other is this scope or lies below it; case does not count."""
        mine, theirs = self.folded, other.folded
        return (
            mine.subscription == theirs.subscription
            and mine.resource_group in ("", theirs.resource_group)
            and mine.vault in ("", theirs.vault)
            and mine.item in ("", theirs.item)
        )

    def chain(self) -> "tuple[Scope, ...]":
        """Return this scope and all above it, nearest first."""
        found = [self]
        if self.item:
            found.append(Scope(self.subscription, self.resource_group, self.vault, managed_hsm=self.managed_hsm))
        if self.vault:
            found.append(Scope(self.subscription, self.resource_group))
        if self.resource_group:
            found.append(Scope(self.subscription))
        return tuple(found)


_PATH = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)"
    r"(?:/resourceGroups/(?P<resource_group>[^/]+)"
    r"(?:/providers/Microsoft\.KeyVault/(?P<kind>vaults|managedHSMs)/(?P<vault>[^/]+)"
    r"(?:/(?P<item>(?:keys|secrets|certificates)/[^/]+))?)?)?/?",
    re.IGNORECASE,
)


def scope(path: str) -> Scope:
    """Parse a resource manager path. Raises ValueError."""
    matched = _PATH.fullmatch(path)
    if matched is None:
        raise ValueError(
            f"`{path}` is no scope: /subscriptions/ID[/resourceGroups/NAME"
            "[/providers/Microsoft.KeyVault/vaults|managedHSMs/NAME[/keys|secrets|certificates/NAME]]]"
        )
    parts = {part: text or "" for part, text in matched.groupdict().items()}
    kind = parts.pop("kind")
    return Scope(**parts, managed_hsm=kind.lower() == "managedhsms")


def written_scope(scope: Scope) -> str:
    """Return a scope as a stack declares it, in full: `vault/NAME/keys/NAME`."""
    match scope.level:
        case "subscription":
            return "subscription"
        case "resource_group":
            return f"resource_group/{scope.resource_group}"
        case "vault":
            return f"{'managed_hsm' if scope.managed_hsm else 'vault'}/{scope.vault}"
        case "item":
            return f"{'managed_hsm' if scope.managed_hsm else 'vault'}/{scope.vault}/{scope.item}"
