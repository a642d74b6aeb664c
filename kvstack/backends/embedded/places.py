"""Identities and scopes of a stack, as the embedded vault writes them, and back."""

from kvstack.terms.identity import identity_scope
from kvstack.terms.scope import Scope
from kvstack.vault.settings import StoreSettings


class Places:
    """Knows which resource group each vault is in. groups: by folded vault name; managed_hsms: folded names of those
    that are Managed HSMs."""

    def __init__(self, settings: StoreSettings, groups: dict[str, str]) -> None:
        self._settings = settings
        self.groups = groups
        self.managed_hsms: set[str] = set()

    @property
    def resource_group(self) -> str:
        """Where things are made that name none."""
        return self._settings.resource_group

    @property
    def subscription(self) -> str:
        """The subscription all of these vaults are in."""
        return self._settings.subscription_id

    def vault(self, name: str, item: str = "", *, managed_hsm: bool = False) -> Scope:
        """Return the scope of a vault or Managed HSM, or of a thing in it; of one that is not there yet, where it would
        be by default."""
        group = self.groups.get(name.lower(), self._settings.resource_group)
        pool = managed_hsm or name.lower() in self.managed_hsms
        return Scope(self._settings.subscription_id, group, name, item, managed_hsm=pool)

    def scope(self, written: str) -> Scope:
        """Return a declared scope as the vault writes it."""
        match written.split("/", 2):
            case ["subscription"]:
                return Scope(self._settings.subscription_id)
            case ["resource_group", group]:
                return Scope(self._settings.subscription_id, group)
            case ["vault", name]:
                return self.vault(name)
            case ["vault", name, item]:
                return self.vault(name, item)
            case _:
                raise ValueError(f"`{written}` is no scope")

    def of_identity(self, identity: str) -> Scope | None:
        """Return the scope of what has this identity: of a vault, of a thing in one, or of a managed identity; None for
        roles and who has them."""
        match identity.split("/"):
            case ["vaults", name]:
                return self.vault(name)
            case ["vaults", name, "keys" | "secrets" | "certificates" | "issuers" as collection, item]:
                return self.vault(name, f"{collection}/{item}")
            case ["vaults", name, "contacts"]:
                return self.vault(name, "contacts")
            case ["identities", group, name]:
                return identity_scope(self._settings.subscription_id, group, name)
            case _:
                return None
