"""Where a server listens, and the change of its certificate while it does, without a request lost.

Granian takes a certificate at its start only. So the port's socket is held here, and a second HTTP server on the same
socket takes over with the new certificate: connections that wait to be accepted belong to the socket, not to a server.
The first one cannot be told to accept no more and go on answering, so its descriptor is made one where nobody comes.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from kvstack.server.certificate import CertificateFiles
from kvstack.server.listening import BACKLOG, ended_by_itself, until_ended
from kvstack.server.request import Receive, Scope, Send
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from granian.server.embed import Server

# A connection that is used within this time is told to close with its next answer; one that is not is closed after it.
_SECONDS_TO_PART: Final = 3.0
_LONGEST_HEADERS: Final = 64 << 10
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
_CLOSE: Final = (b"connection", b"close")


class _Parting:
    """An application whose clients are told to come back by another connection, once it is to end."""

    def __init__(self, application: Asgi) -> None:
        self._application = application
        self.ends = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Answer one request."""
        return self._application(scope, receive, self._closing(send) if self.ends else send)

    def _closing(self, send: Send) -> Send:
        async def sent(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], _CLOSE]}
            await send(message)

        return sent


class _Serving:
    """One HTTP server with one certificate."""

    def __init__(self, application: Asgi, held: socket.socket, files: CertificateFiles) -> None:
        self._parting = _Parting(application)
        self._descriptor = os.dup(held.fileno())
        self._left = False
        try:
            self._server = _granian(self._parting, held, self._descriptor, files)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.future = asyncio.ensure_future(self._server.serve())

    async def begun(self) -> None:
        """Return when it accepts connections. Raises KvstackError where it ended instead."""
        # What Granian needs to accept is made in its task's first steps, on this loop; what is wrong ends it there.
        for _ in range(5):
            await asyncio.sleep(0)
        if self.future.done():
            raise ended_by_itself()

    async def part(self) -> None:
        """Accept no more, have the clients leave, then stop."""
        self._parting.ends = True
        self._leave()
        await asyncio.wait((self.future,), timeout=_SECONDS_TO_PART)
        await self.stop()

    async def stop(self) -> None:
        """Accept nothing any more, and return when the requests in flight have ended, at the latest after a while."""
        self._leave()  # the port is free at once, whatever is still to be answered
        self._server.stop()  # type: ignore[no-untyped-call]  # Granian's own
        await until_ended(self.future)

    def _leave(self) -> None:
        """Accept no more."""
        if self.future.done() or self._left:
            return
        self._left = True
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as nobody:
            nobody.setblocking(False)
            nobody.bind(("127.0.0.1", 0))
            nobody.listen(1)
            # The descriptor is Granian's, which closes it. It accepts by its number only.
            os.dup2(nobody.fileno(), self._descriptor, inheritable=False)


class Listener:
    """One listening socket, which other processes may have as well, and who answers there at the moment."""

    def __init__(self, application: Asgi, listening: socket.socket) -> None:
        self._application = application
        self._socket = listening
        self._now: _Serving | None = None
        self._changed = asyncio.Event()

    async def serve(self, files: CertificateFiles) -> None:
        """Answer with this certificate from now on; return when nothing answers with the one before any more. Raises
        KvstackError, and goes on with the one before, where that cannot be."""
        try:
            coming = _Serving(self._application, self._socket, files)
        except (OSError, ValueError) as error:
            raise KvstackError(f"TLS cannot use the certificate {files.certificate} with its key: {error}") from None
        await coming.begun()
        going, self._now = self._now, coming
        self._changed.set()
        if going is not None:
            await going.part()

    async def ended(self) -> None:
        """Return never, unless who answers has ended by itself: then raises KvstackError."""
        while self._now is not None:
            now = self._now
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait((now.future, changed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            if now is self._now:
                raise ended_by_itself()

    async def stop(self) -> None:
        """Accept nothing any more, and return when the requests in flight have ended, at the latest after a while."""
        now, self._now = self._now, None
        self._socket.close()
        if now is not None:
            await now.stop()


def _granian(application: _Parting, held: socket.socket, descriptor: int, files: CertificateFiles) -> "Server":
    """Return an HTTP server that accepts from a socket which is held. descriptor: for it, of the server's own."""
    try:
        from granian.constants import HTTPModes, Interfaces, SSLProtocols
        from granian.http import HTTP1Settings
        from granian.net import SocketHolder  # type: ignore[attr-defined]
        from granian.server.embed import Server
    except ImportError:
        raise KvstackError(
            "`kvstack serve` needs Granian, which is not installed", "Install it: `pip install 'kvstack[server]'`."
        ) from None

    class OnSocket(Server):
        """Listens on a descriptor that it is given, and closes it at its end."""

        def _init_shared_socket(self) -> None:
            self._shd = SocketHolder(descriptor, False, BACKLOG)  # type: ignore[call-arg, assignment]

    address, port = held.getsockname()[:2]
    return OnSocket(
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=_LONGEST_HEADERS),
        websockets=False,
        backlog=BACKLOG,
        log_enabled=False,
        ssl_cert=files.certificate,
        ssl_key=files.key,
        ssl_protocol_min=SSLProtocols.tls12,
    )
