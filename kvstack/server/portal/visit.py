"""One request of somebody who is signed in: the vaults, who he is to them, and what he sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from kvstack.server.answer import Answer, Header, bad_parameter
from kvstack.server.portal.frame import Around, Who, page
from kvstack.server.portal.html import Content
from kvstack.server.request import Request
from kvstack.terms.principal import Principal
from kvstack.terms.scope import Scope
from kvstack.vault.caller import Caller, CallerRequest

if TYPE_CHECKING:
    from kvstack.vault.records import Vault
    from kvstack.vault.service import VaultService

CLIENT: Final = "kvstack-portal"
READ_PRINCIPALS: Final = "Microsoft.Authorization/principals/read"
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 300


class Visit(msgspec.Struct, frozen=True):
    """One request. caller: as the vault knows him, with the address he comes from; form: what he sent, each name with
    all its values; now: by the vault's clock."""

    service: "VaultService"
    caller: Caller
    request: Request
    who: Who
    form: Mapping[str, list[str]]
    now: datetime

    def sent(self, name: str) -> str:
        """Return what was sent under a name, empty for nothing. Raises Refusal where it is there twice."""
        found = self.form.get(name, [""])
        if len(found) != 1:
            raise bad_parameter(f"`{name}` stands more than once in the form.")
        return found[0]

    def page(
        self,
        title: str,
        *content: Content,
        around: Around,
        status: int = 200,
        chips: Content = None,
        more: tuple[Header, ...] = (),
    ) -> Answer:
        """Return a page for him."""
        return page(title, *content, who=self.who, around=around, status=status, chips=chips, more=more)

    def may(self, action: str, scope: Scope, *, data: bool) -> bool:
        """Ask the vault whether he may do something, as everybody may ask of himself: it is no attempt to do it."""
        return self.service.explain_access(self.caller, self.caller.id, action, scope, data=data).allowed

    def scope(self, home: "Vault", item: str = "") -> Scope:
        """Return the scope of a vault, or of a thing in it."""
        return Scope(
            self.service.top.subscription,
            home.resource_group,
            home.name,
            item,
            managed_hsm=home.pool is not None,
        )

    def principals(self) -> Sequence[Principal]:
        """Return the principals he may see: all, or himself."""
        if not self.may(READ_PRINCIPALS, self.service.top, data=False):
            return (Principal(id=self.caller.id, type="user", name=self.caller.name),)
        return self.service.list_principals(self.caller)

    def names(self) -> Mapping[str, str]:
        """Return the names of principals by id, of those he may see."""
        return {one.id: one.name for one in self.principals() if one.name}


def asked_by(request: Request) -> CallerRequest:
    """Return what the audit keeps of a request: that it came by the portal, and through which program."""
    return CallerRequest(f"{CLIENT} {request.client}".rstrip(), request.uri, "", request.correlation_id)


def form_of(request: Request) -> dict[str, list[str]]:
    """Return what a form sent, each name with its values. Raises Refusal."""
    if request.content_type.partition(";")[0].strip().lower() != _FORM:
        raise bad_parameter(f"A form has to be of type {_FORM}.")
    try:
        return parse_qs(
            request.body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise bad_parameter("The form cannot be read.") from None
