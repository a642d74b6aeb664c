"""The words of OAuth: a form that was sent, a client's credentials in it, and a refusal.

Source: RFC 6749, 2.3 and 5.2.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from kvstack.server.answer import JSON, Answer, Refusal, answered
from kvstack.server.identity.issuing import NEVER_KEPT
from kvstack.server.request import Request

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 40
# OpenID Connect's own scopes, which clients ask for beside a resource's: Java's does so for programs, too.
_NOT_RESOURCES: Final = frozenset({"openid", "profile", "email", "offline_access"})


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, each once. Raises Refusal."""
    if request.content_type.partition(";")[0].strip().lower() != _FORM:
        raise oauth_refusal(request, 400, "invalid_request", 900144, f"The body has to be of type {_FORM}.")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise oauth_refusal(request, 400, "invalid_request", 900144, "The body cannot be read.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise oauth_refusal(request, 400, "invalid_request", 900144, "A field stands twice in the body.")
    return form


def resource_scopes(scope: str) -> list[str]:
    """Return the scopes that are a resource's."""
    return [one for one in scope.split() if one.lower() not in _NOT_RESOURCES]


def client_secret_of(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return the client's id and secret, from the body or from its `Authorization` header."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if not secret and request.authorization[:6].lower() == b"basic ":
        from base64 import b64decode
        from urllib.parse import unquote

        try:
            text = b64decode(request.authorization[6:], validate=True).decode()
        except ValueError:
            raise oauth_refusal(
                request, 401, "invalid_client", 7000215, "The client or its secret is not right."
            ) from None
        given, _, secret = text.partition(":")
        client_id, secret = unquote(given), unquote(secret)
    if not client_id or not secret:
        raise oauth_refusal(request, 401, "invalid_client", 7000216, "The client's id and its secret are both needed.")
    return client_id, secret


def oauth_refusal(request: Request, status: int, error: str, number: int, words: str) -> Refusal:
    """Return a refusal as RFC 6749, 5.2 has it, with the numbers Azure's clients know."""
    document = {
        "error": error,
        "error_description": f"AADSTS{number}: {words}",
        "error_codes": [number],
        "timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}",
        "trace_id": request.id,
        "correlation_id": request.correlation_id or str(uuid.uuid4()),
    }
    found = answered(document, status)
    return Refusal(Answer(status, found.body, (JSON, *NEVER_KEPT)))
