"""The application: one request in, one answer out, whatever happens. Plain ASGI, with no framework on the hot path."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, bad_parameter, refusal_of, refused
from kvstack.server.backup_storage import BackupStorage
from kvstack.server.configuration import ServerConfiguration
from kvstack.server.data_plane.plane import DataPlane
from kvstack.server.identity.provider import Provider
from kvstack.server.log import Log
from kvstack.server.names import Host, ServerNames
from kvstack.server.portal.portal import Portal, refusal_page
from kvstack.server.remembered import Remembered
from kvstack.server.request import Receive, Request, Scope, Send, body_of, path_of, query_of
from kvstack.server.resource_manager.plane import ResourceManager
from kvstack.server.shared_counters import SharedCounters
from kvstack.server.state import ServerState
from kvstack.server.throttle import Throttle
from kvstack.server.throttle_limits import LIMITS
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.server.identity.callers import Callers
    from kvstack.vault.service import VaultService

_SECURITY: Final = (
    (b"strict-transport-security", b"max-age=31536000;includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
)
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ONCE: Final = frozenset(
    {b"host", b"authorization", b"content-length", b"content-type", b"x-identity-header", b"cookie", b"origin"}
)
_LONGEST_PATH: Final = 2048
_LONGEST_CLIENT: Final = 512
_LONGEST_ID: Final = 100
# A refused sign-in is answered this long after it was asked for, whatever was wrong with it.
_REFUSED_AFTER: Final = 0.1
_UNAUTHORISED: Final = 401
_SIGN_IN_THREADS: Final = 16


class Application:
    """Answers requests. threads: where work is done that takes longer than a short read; now: seconds since 1970."""

    def __init__(
        self,
        service: "VaultService",
        callers: "Callers",
        provider: Provider,
        names: ServerNames,
        configuration: ServerConfiguration,
        state: ServerState,
        log: Log,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._names = names
        self._configuration = configuration
        self._state = state
        self._log = log
        # Whoever signs in may have to wait for the keys of somebody else: nobody else's work waits with him.
        self._sign_in_threads = ThreadPoolExecutor(_SIGN_IN_THREADS, thread_name_prefix="sign-in")
        self._provider = provider
        self._data_plane = DataPlane(
            service, callers, provider, threads, BackupStorage(configuration.backups), throttle_of(configuration)
        )
        self._resource_manager = ResourceManager(service, callers, provider, threads, names.domain)
        self._portal = Portal(service, time.time)
        self._threads = threads
        self._ids: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        identifier = self._id()
        self._state.in_flight += 1
        try:
            answer = await self._answer(scope, receive, identifier)
        except Refusal as refusal:
            answer = self._for_whom(scope, refusal.answer)
        except KvstackError as error:
            answer = refusal_of(error)
            if answer.status >= 500:
                self._log.wrong("a request could not be answered", error, request=identifier)
            answer = self._for_whom(scope, answer)
        except Exception as error:  # noqa: BLE001  # the last resort: told in the log, and nothing to the client
            self._log.wrong("a request could not be answered", error, request=identifier)
            answer = refused(500, "InternalServerError", "The server could not do this. Its log says more.")
            answer = self._for_whom(scope, answer)
        finally:
            self._state.in_flight -= 1
        await self._send(send, scope["method"], answer, identifier)

    async def _answer(self, scope: Scope, receive: Receive, identifier: str) -> Answer:
        given: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in given and name in _ONCE:
                raise bad_parameter("A header stands twice in the request.")
            given[name] = value
        host = self._names.host(given.get(b"host", b""))
        if host is None:
            raise Refusal(refused(404, "NotFound", "This server has no such host."))
        raw: bytes = scope["raw_path"]
        if host.kind == "local":
            return self._local(scope["method"], raw)
        if self._state.stopping:
            raise Refusal(
                refused(503, "ServiceUnavailable", "The server is stopping.", headers=((b"connection", b"close"),))
            )
        request = await self._request(scope, given, receive, host, raw, identifier)
        if host.kind == "login":
            return await self._signed_in(self._provider.answer, request)
        if host.kind == "portal":
            if request.method == "POST" and request.path == ("portal", "sign-in"):
                return await self._signed_in(self._portal.answer, request)
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._portal.answer, request)
        if host.kind == "management":
            return await self._resource_manager.answer(request)
        return await self._data_plane.answer(request)

    async def _request(
        self, scope: Scope, given: dict[bytes, bytes], receive: Receive, host: Host, raw: bytes, identifier: str
    ) -> Request:
        parsed = _escaped_target if host.kind == "management" else _target
        target = parsed((raw, scope["query_string"]))
        method: str = scope["method"]
        body = b""
        if method in _WITH_BODY:
            body = await body_of(
                receive,
                given.get(b"content-length", b"").decode("latin-1"),
                self._configuration.longest_body,
                self._configuration.seconds_to_send,
            )
        correlation = given.get(b"x-ms-client-request-id")
        return Request(
            method=method,
            host=host,
            path=target.path,
            query=target.query,
            id=identifier,
            client=_client(given.get(b"user-agent", b"")),
            address=scope["client"][0],
            correlation_id=_printable(correlation, _LONGEST_ID) if correlation is not None else "",
            uri=f"https://{host.authority}{target.written}",
            authorization=given.get(b"authorization", b""),
            content_type=given.get(b"content-type", b"").decode("latin-1"),
            body=body,
            identity_header=given.get(b"x-identity-header", b""),
            cookie=given.get(b"cookie", b"").decode("latin-1"),
            origin=given.get(b"origin", b"").decode("latin-1"),
        )

    def _local(self, method: str, path: bytes) -> Answer:
        """Answer whoever watches the server, by an address of its machine."""
        match method, path:
            case "GET" | "HEAD", b"/health":
                return self._state.health()
            case "GET" | "HEAD", b"/ready":
                return self._state.readiness()
            case _:
                raise Refusal(refused(404, "NotFound", "There is nothing at this path."))

    def _for_whom(self, scope: Scope, answer: Answer) -> Answer:
        """Return a refusal as who asked can read it: at the portal's host as a page."""
        host = self._names.host(next((value for name, value in scope["headers"] if name == b"host"), b""))
        return refusal_page(answer) if host is not None and host.kind == "portal" else answer

    async def _signed_in(self, work: Callable[[Request], Answer], request: Request) -> Answer:
        """Answer whoever signs in; what is refused there takes one time, so that it tells nothing."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await loop.run_in_executor(self._sign_in_threads, work, request)
        except Refusal as refusal:
            if refusal.answer.status == _UNAUTHORISED:
                await asyncio.sleep(max(0.0, began + _REFUSED_AFTER - loop.time()))
            raise

    async def _send(self, send: Send, method: str, answer: Answer, identifier: str) -> None:
        headers = [
            *answer.headers,
            *_SECURITY,
            (b"x-ms-request-id", identifier.encode()),
            (b"content-length", b"%d" % len(answer.body)),
        ]
        if answer.status == 204:
            headers.pop()
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})

    def _id(self) -> str:
        """Return an id for a request. Drawn many at once: asking the system for each costs as much as parsing one."""
        if not self._ids:
            drawn = os.urandom(16 * 64).hex()
            self._ids = [
                f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}"
                for one in (drawn[at : at + 32] for at in range(0, len(drawn), 32))
            ]
        return self._ids.pop()


def throttle_of(configuration: ServerConfiguration) -> Throttle | None:
    """Return what counts this process's requests, None where nothing does. Raises KvstackError."""
    path = configuration.counters
    return None if path is None else Throttle(SharedCounters(path, len(LIMITS)))


class _Target(msgspec.Struct, frozen=True):
    """What a request is for at its host. path: in its parts; written: path and query as they were sent."""

    path: tuple[str, ...]
    query: Mapping[str, str]
    written: str


def _parsed(raw: tuple[bytes, bytes], *, escapes: bool = False) -> _Target:
    """Return what a path and a query mean. escapes: whether a name may need one: at vaults' hosts none does. Raises
    Refusal."""
    path, query = raw
    if len(path) > _LONGEST_PATH or len(query) > _LONGEST_PATH:
        raise Refusal(refused(404, "NotFound", "There is nothing at this path."))
    text = path.decode("latin-1")
    written = f"{text}?{query.decode('latin-1')}" if query else text
    return _Target(path_of(path, escapes=escapes), query_of(query), written)


_target: Final = Remembered(_parsed, most=4096)
_escaped_target: Final = Remembered(partial(_parsed, escapes=True), most=256)


def _named(header: bytes) -> str:
    return _printable(header, _LONGEST_CLIENT)


_client: Final = Remembered(_named, most=256)


def _printable(header: bytes, longest: int) -> str:
    """Return a header that goes into the audit and into headers: what is no printable ASCII has no place in either."""
    text = header[:longest].decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)
