"""What an operation of resource manager is given: the vault, the caller, the request; and how answers are written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from kvstack.server.answer import Answer, answered
from kvstack.server.paging import page_size, page_start, part, token_of
from kvstack.server.request import Request
from kvstack.server.resource_manager.errors import bad_request, subscription_not_found
from kvstack.terms.identity import identity_scope_of
from kvstack.terms.scope import Scope
from kvstack.terms.scope import scope as scope_of
from kvstack.vault.caller import Caller
from kvstack.vault.identities import ManagedIdentity
from kvstack.vault.records import Vault

if TYPE_CHECKING:
    from kvstack.vault.service import VaultService

T = TypeVar("T")
PAGE: Final = 100
_MOST: Final = 1000
VAULTS: Final = "Microsoft.KeyVault/vaults"
MANAGED_HSMS: Final = "Microsoft.KeyVault/managedHSMs"
IDENTITIES: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"


class Asked(msgspec.Struct, frozen=True):
    """One request of somebody who is known. service: the vaults; names: those in the path; domain: the server's."""

    service: "VaultService"
    caller: Caller
    request: Request
    names: Mapping[str, str]
    domain: str

    @property
    def group(self) -> str:
        """The resource group in the path."""
        return self.names["group"]

    @property
    def name(self) -> str:
        """The name in the path."""
        return self.names["name"]

    @property
    def version(self) -> str:
        """The version of the API."""
        return self.request.query["api-version"].lower()

    @property
    def base(self) -> str:
        """Resource manager's own address, as the client has it."""
        return f"https://{self.request.host.authority}"

    @property
    def subscription(self) -> str:
        """The path of the subscription."""
        return self.service.top.path

    @property
    def scope(self) -> Scope:
        """The scope at the start of the path; the subscription where there is none. Raises Refusal."""
        path = self.names.get("scope", "")
        if not path:
            return self.service.top
        found = identity_scope_of(path)
        try:
            found = scope_of(path) if found is None else found
        except ValueError:
            raise bad_request(f"'{path}' is no scope of anything that is kept here.", "InvalidScope") from None
        if found.subscription.lower() != self.service.top.subscription.lower():
            raise subscription_not_found(found.subscription)
        return found

    def document(self, kind: type[T]) -> T:
        """Return the body as one of these. Raises Refusal."""
        return self.request.document(kind, "InvalidRequestContent")

    def vault_uri(self, vault: Vault) -> str:
        """Return where a vault's clients ask for what is in it: at the port this client came to."""
        _, colon, port = self.request.host.authority.rpartition(":")
        kind = "vault" if vault.pool is None else "managedhsm"
        return f"https://{vault.name.lower()}.{kind}.{self.domain}{colon}{port if colon else ''}/"


def path_of(thing: Vault | ManagedIdentity, subscription: str) -> str:
    """Return a resource's id. subscription: its path."""
    kind = IDENTITIES
    if isinstance(thing, Vault):
        kind = VAULTS if thing.pool is None else MANAGED_HSMS
    return f"{subscription}/resourceGroups/{thing.resource_group}/providers/{kind}/{thing.name}"


def system_data(thing: Vault | ManagedIdentity) -> dict[str, Any]:
    """Return when a resource was made and changed."""
    return {"createdAt": timestamp(thing.created), "lastModifiedAt": timestamp(thing.updated)}


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment as resource manager writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z" if moment is not None else None


def listed(asked: Asked, things: Iterable[T], key: Callable[[T], str], item: Callable[[T], Any]) -> Answer:
    """Return one page of a list, and where the next one is. key: what tells one from another, in one case."""
    query = asked.request.query
    size = page_size(query, "$top", _MOST, PAGE)
    ordered: Sequence[T] = sorted(things, key=key)
    found = part(ordered, key, page_start(query), size)
    document: dict[str, Any] = {"value": [item(one) for one in found.things]}
    if found.after is not None:
        path = asked.request.uri.partition("?")[0]
        document["nextLink"] = f"{path}?{urlencode({**query, '$skiptoken': token_of(found.after)})}"
    return answered(document)


def empty(_: Asked) -> Answer:
    """Return a list with nothing in it."""
    return answered({"value": []})
