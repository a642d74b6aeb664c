"""The instance metadata service's tokens: whoever reaches an address of this machine is the identity it stands for.

Off unless the operator says so, one identity an address, on loopback addresses only. A browser or a proxy on the same
machine is no program of the identity's: what they cannot help sending, or cannot send, is looked at.
Source: Azure Instance Metadata Service, `/metadata/identity/oauth2/token`; RFC 7230, 5.4.
"""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from kvstack.server.answer import Answer, Refusal
from kvstack.server.identity.issuing import Issuer, Signer, never_kept
from kvstack.server.identity.managed_identity import is_named, token_document
from kvstack.server.log import Log
from kvstack.server.names import ServerNames
from kvstack.server.request import Receive, Scope, Send, query_of
from kvstack.vault.caller import CallerRequest
from kvstack.vault.sign_in import SignedIn, SignInRefused

_PATH: Final = b"/metadata/identity/oauth2/token"
_VERSIONS: Final = frozenset({"2018-02-01", "2019-08-01", "2020-06-01", "2021-02-01"})
# Set by what forwards a request for somebody else, or by a browser for a page.
_NOT_THE_PROGRAM: Final = frozenset({b"x-forwarded-for", b"forwarded", b"origin", b"sec-fetch-site", b"referer"})


class SignsIn(Signer, Protocol):
    """What the endpoint needs of a vault."""

    def signed_in_by_address(
        self, principal: str, *, address: str | None = None, request: CallerRequest | None = None
    ) -> SignedIn:
        """Return the principal an address stands for."""
        ...


class MetadataService:
    """Answers at one address, as one principal."""

    def __init__(
        self,
        vault: SignsIn,
        issuer: Issuer,
        names: ServerNames,
        principal: str,
        authority: str,
        threads: ThreadPoolExecutor,
        log: Log,
    ) -> None:
        self._vault = vault
        self._issuer = issuer
        self._names = names
        self._principal = principal
        self._authority = authority.encode()
        self._threads = threads
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        identifier = str(uuid.uuid4())
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, scope, identifier)
        except Refusal:
            answer = _refused(400, "invalid_request", "The query cannot be read.")
        except Exception as error:  # noqa: BLE001  # the last resort: told in the log, and nothing to the client
            self._log.wrong("a request for an identity's token could not be answered", error, request=identifier)
            answer = _refused(500, "server_error", "The server could not do this. Its log says more.")
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, scope: Scope, identifier: str) -> Answer:
        given: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name, []).append(value)
        # A page whose name was made to mean this machine (DNS rebinding) asks by that name.
        if given.get(b"host") != [self._authority]:
            return _refused(400, "invalid_request", "This host is none of this service's.")
        if given.keys() & _NOT_THE_PROGRAM:
            return _refused(400, "invalid_request", "Requests are not taken from a browser, or through a proxy.")
        if [one.lower() for one in given.get(b"metadata", ())] != [b"true"]:
            return _refused(400, "invalid_request", "The header `Metadata: true` is required.")
        if scope["raw_path"] != _PATH:
            return _refused(404, "not_found", "There is nothing at this path.")
        if scope["method"] != "GET":
            return _refused(405, "method_not_allowed", "A token is asked for by GET.")
        return self._token(query_of(scope["query_string"]), scope, given, identifier)

    def _token(self, query: dict[str, str], scope: Scope, given: dict[bytes, list[bytes]], identifier: str) -> Answer:
        if query.get("api-version") not in _VERSIONS:
            return _refused(
                400, "invalid_request", "The query has to name a version of the API: api-version=2018-02-01."
            )
        audience = self._names.audience(query.get("resource", ""))
        if audience is None:
            known = " or ".join(self._names.audiences)
            return _refused(400, "invalid_resource", f"AADSTS500011: This tenant has no such resource; it has {known}.")
        client = given.get(b"user-agent", [b""])[0][:512].decode("latin-1")
        by = CallerRequest(client="".join(one if one.isascii() and one.isprintable() else "?" for one in client))
        try:
            signed_in = self._vault.signed_in_by_address(self._principal, address=scope["client"][0], request=by)
        except SignInRefused:
            return _refused(400, "invalid_request", "Identity not found.")
        if not is_named(query, signed_in):
            return _refused(400, "invalid_request", "Identity not found.")
        return never_kept(token_document(self._issuer, signed_in, audience, identifier))


def _refused(status: int, error: str, words: str) -> Answer:
    return never_kept({"error": error, "error_description": words}, status)
