"""A CONNECT proxy for the names that do not resolve: it leads to this server's own hosts, and nowhere else.

It listens on this machine only and sees nothing of what goes through it: TLS is between client and server.
"""

import asyncio
from typing import Final

from kvstack.server.names import ServerNames

_LONGEST: Final = 8192
_SECONDS: Final = 10.0
_MOST: Final = 1024
_CHUNK: Final = 64 << 10


class Proxy:
    """Connects clients with a server. to: the server's own address and port."""

    def __init__(self, names: ServerNames, to: tuple[str, int]) -> None:
        self._names = names
        self._to = to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1. Returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port, limit=_LONGEST)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no more, and cut what is still open."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.transport.abort()
            await self._server.wait_closed()
            # Before Python 3.12 that waits for nobody, and whoever is not at his end would be torn off with the loop.
            if self._clients:
                await asyncio.wait(tuple(self._clients), timeout=_SECONDS)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST:
            writer.transport.abort()
            return
        self._open.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            refusal = self._refusal(head)
            if refusal:
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % refusal)
                await writer.drain()
                return
            await self._joined(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # a client that goes away, says nothing, or too much: there is nobody to tell
        finally:
            self._open.discard(writer)
            writer.close()

    def _refusal(self, head: bytes) -> bytes:
        """Return the status for what is not connected, empty for what is."""
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        target, _, version = rest.partition(b" ")
        if method != b"CONNECT" or version not in (b"HTTP/1.1", b"HTTP/1.0"):
            return b"405 Method Not Allowed"
        host = self._names.host(target)
        # An address of this machine is one of ours, too, but needs no proxy.
        if host is None or host.kind == "local":
            return b"403 Forbidden"
        return b""

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond_reader, beyond = await asyncio.open_connection(*self._to)
        self._open.add(beyond)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await asyncio.gather(_copied(reader, beyond), _copied(beyond_reader, writer))
        finally:
            self._open.discard(beyond)
            beyond.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until its end, then tell the other side that there is no more."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()
