"""Who the principals are, in Microsoft Graph's words: as much of it as `az` asks for when it gives and lists roles.

It is served at resource manager's host, by the same tokens. Source: Microsoft Graph v1.0, servicePrincipal, user, group
and directoryObject: getByIds.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, answered, refused
from kvstack.server.resource_manager.context import Asked
from kvstack.server.resource_manager.errors import bad_request
from kvstack.server.resource_manager.routes import Operation
from kvstack.terms.principal import Principal

VERSION: Final = "v1.0"
_MOST: Final = 1000
_COMPARED = re.compile(r"\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_ANY = re.compile(r"\s*servicePrincipalNames\s*/\s*any\s*\(\s*(\w+)\s*:\s*\1\s+eq\s+'([^']*)'\s*\)\s*", re.IGNORECASE)


class GivenIds(msgspec.Struct, frozen=True):
    """Whom a client asks for. ids: object ids; types: which kinds of object it wants, all where none is named."""

    ids: list[str]
    types: list[str] = []


def list_service_principals(asked: Asked) -> Answer:
    """List servicePrincipals, of which managed identities are some."""
    return _listed(asked, "servicePrincipal", ("id", "appId", "displayName"))


def list_users(asked: Asked) -> Answer:
    """List users."""
    return _listed(asked, "user", ("id", "userPrincipalName", "displayName"))


def list_groups(asked: Asked) -> Answer:
    """List groups."""
    return _listed(asked, "group", ("id", "displayName"))


def get_service_principal(asked: Asked) -> Answer:
    """Get servicePrincipal."""
    return _got(asked, "servicePrincipal")


def get_user(asked: Asked) -> Answer:
    """Get user, by the id or by the name it signs in with."""
    return _got(asked, "user", "userPrincipalName")


def get_group(asked: Asked) -> Answer:
    """Get group."""
    return _got(asked, "group")


def get_by_ids(asked: Asked) -> Answer:
    """Return directoryObject: getByIds. Who is not known is left out."""
    given = asked.document(GivenIds)
    if len(given.ids) > _MOST:
        raise bad_request(f"`ids` has {_MOST} ids at most.", "Request_BadRequest")
    ids, types = {one.lower() for one in given.ids}, {one.lower() for one in given.types}
    found = [
        one for one in _objects(asked) if one["id"] in ids and (not types or _kind(one["@odata.type"]).lower() in types)
    ]
    return answered({"value": found})


def _listed(asked: Asked, kind: str, compared: tuple[str, ...]) -> Answer:
    """Return those of a kind that the filter leaves. compared: what may be filtered by."""
    found = [one for one in _objects(asked) if _kind(one["@odata.type"]) == kind]
    text = asked.request.query.get("$filter", "")
    if text:
        spelled = {name.lower(): name for name in compared}
        by_name, by_any = _COMPARED.fullmatch(text), _ANY.fullmatch(text)
        if by_any is not None and kind == "servicePrincipal":
            found = [one for one in found if by_any[2].lower() in one["servicePrincipalNames"]]
        elif by_name is not None and by_name[1].lower() in spelled:
            name, value = spelled[by_name[1].lower()], by_name[2].replace("''", "'")
            found = [one for one in found if str(one[name]).lower() == value.lower()]
        else:
            raise bad_request(
                f"`$filter` compares one of {', '.join(compared)}: NAME eq 'VALUE'.", "Request_BadRequest"
            )
    return answered({"value": found})


def _got(asked: Asked, kind: str, *also: str) -> Answer:
    """Return one of a kind. also: what names it beside its id."""
    wanted = asked.names["id"].lower()
    for one in _objects(asked):
        if _kind(one["@odata.type"]) == kind and wanted in {one["id"], *(str(one[name]).lower() for name in also)}:
            return answered(one)
    raise Refusal(refused(404, "Request_ResourceNotFound", f"There is no such {kind} here."))


def _objects(asked: Asked) -> list[dict[str, Any]]:
    principals = asked.service.list_principals(asked.caller)
    clients = {one.principal_id: one.client_id for one in asked.service.list_identities(asked.caller)}
    return [_object(one, clients) for one in sorted(principals, key=lambda one: one.id)]


def _object(one: Principal, clients: Mapping[str, str]) -> dict[str, Any]:
    """Return a principal. clients: the client ids of managed identities; a service principal's is its object id."""
    common = {"id": one.id, "displayName": one.name or one.id}
    match one.type:
        case "user":
            return {"@odata.type": "#microsoft.graph.user", **common, "userPrincipalName": one.name or one.id}
        case "group":
            return {"@odata.type": "#microsoft.graph.group", **common, "securityEnabled": True}
        case "service_principal" | "managed_identity":
            client = clients.get(one.id, one.id)
            return {
                "@odata.type": "#microsoft.graph.servicePrincipal",
                **common,
                "appId": client,
                "servicePrincipalNames": [client],
                "servicePrincipalType": "Application" if one.type == "service_principal" else "ManagedIdentity",
            }


def _kind(odata_type: str) -> str:
    return odata_type.rpartition(".")[2]


def _operation(name: str, path: str, answer: Callable[[Asked], Answer], method: str = "GET") -> Operation:
    return Operation(name, method, f"/{VERSION}/{path}", answer, (VERSION,))


OPERATIONS: Final = (
    _operation("ServicePrincipals_List", "servicePrincipals", list_service_principals),
    _operation("ServicePrincipals_Get", "servicePrincipals/{id}", get_service_principal),
    _operation("Users_List", "users", list_users),
    _operation("Users_Get", "users/{id}", get_user),
    _operation("Groups_List", "groups", list_groups),
    _operation("Groups_Get", "groups/{id}", get_group),
    _operation("DirectoryObjects_GetByIds", "directoryObjects/getByIds", get_by_ids, "POST"),
)
