"""Tokens for managed identities: App Service's endpoint with its secret header, and the machine's own without one.

Source: Azure App Service, managed identities, REST endpoint reference (2019-08-01); Azure Instance Metadata Service,
`/metadata/identity/oauth2/token` (2018-02-01).
"""

from collections.abc import Mapping
from typing import Any, Final

from kvstack.server.answer import Answer, Refusal
from kvstack.server.identity.issuing import Issuer, never_kept
from kvstack.server.identity.sign_ins import SignIns
from kvstack.server.names import ServerNames
from kvstack.server.request import Request
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import SignedIn, SignInRefused

APP_SERVICE: Final = "2019-08-01"
# What a client may name an identity by beside its client id, in App Service's words and in the metadata service's.
_OBJECT_ID: Final = ("object_id", "principal_id")
_RESOURCE_ID: Final = ("mi_res_id", "msi_res_id")


def app_service_token(request: Request, vault: SignIns, issuer: Issuer, names: ServerNames) -> Answer:
    """Answer a program that has an identity's header. Raises Refusal."""
    query = request.query
    if query.get("api-version") != APP_SERVICE:
        raise _refusal(400, f"The query has to name the version of the API: api-version={APP_SERVICE}.")
    audience = names.audience(query.get("resource", ""))
    if audience is None:
        raise _refusal(400, f"This tenant has no such resource; it has {' or '.join(names.audiences)}.")
    by = CallerRequest(client=request.client, uri=request.uri, correlation_id=request.correlation_id)
    try:
        signed_in = vault.signed_in_by_header(
            SecretValue(request.identity_header), query.get("client_id", ""), address=request.address, request=by
        )
    except SignInRefused:
        raise _refusal(
            401, "The identity header is not right, or not that of the identity that is asked for."
        ) from None
    if not is_named(query, signed_in):
        raise _refusal(400, "The identity that is asked for is not the one whose header this is.")
    return never_kept(token_document(issuer, signed_in, audience, request.id))


def is_named(query: Mapping[str, str], signed_in: SignedIn) -> bool:
    """Tell whether a query is about this identity, or names none. A resource id nobody here is known by."""
    if any(name in query for name in _RESOURCE_ID):
        return False
    client_id = query.get("client_id", "").lower()
    asked = [query[name].lower() for name in _OBJECT_ID if name in query]
    return client_id in ("", signed_in.client_id) and all(one == signed_in.caller.id for one in asked)


def token_document(issuer: Issuer, signed_in: SignedIn, audience: str, identifier: str) -> dict[str, Any]:
    """Return a token as both endpoints tell it: numbers as text."""
    made = issuer.token(signed_in, audience, identifier)
    return {name: str(value) for name, value in made.items()} | {"client_id": signed_in.client_id}


def _refusal(status: int, words: str) -> Refusal:
    return Refusal(never_kept({"statusCode": status, "message": words}, status))
