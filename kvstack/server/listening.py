"""Ports: which one is free, when a server listens on it, and when it has ended."""

import asyncio
import contextlib
import socket
from typing import Final

from kvstack.terms.diagnostic import KvstackError

BACKLOG: Final = 1024
_SECONDS_TO_END: Final = 20.0
_LOOK_AGAIN: Final = 0.005


def listening_socket(address: str, port: int, *, shared: bool = False, joins: bool = False) -> socket.socket:
    """Return a socket that listens, at a free port for 0. shared: others may listen at the port as well, and each gets
    a part of the connections; joins: one does already. Raises KvstackError."""
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][0]
    except OSError:
        raise KvstackError(f"`--address {address}` is no IP address", "Leave it out for 127.0.0.1.") from None
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if joins:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((address, port))
        if shared:
            # After it was bound: who does not join must not come to a port that somebody else shares.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise no_port(address, port, error) from None
    return made


def free_port(address: str, port: int) -> int:
    """Return the port to listen on, one that is free for 0. Granian shares a port with whoever else does: that another
    server has it has to be found out here. Raises KvstackError."""
    with listening_socket(address, port) as probe:
        return int(probe.getsockname()[1])


def no_port(address: str, port: int, error: OSError) -> KvstackError:
    """Return what is told of a port that cannot be had."""
    return KvstackError(
        f"the server cannot listen on {address}:{port}: {error.strerror}", "Name another port: `--port NUMBER`."
    )


async def until_listening(serving: "asyncio.Future[None]", address: str, port: int) -> None:
    """Return when the port answers. Raises KvstackError where the server ended instead."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104  # compared, not listened on
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(here, port)
        except OSError:
            await asyncio.sleep(_LOOK_AGAIN)
            continue
        writer.close()
        return
    raise ended_by_itself()


def ended_by_itself() -> KvstackError:
    """Return what is told of a server that stopped although nobody told it to."""
    return KvstackError("the HTTP server has ended by itself", "Its port may have been taken: start it again.")


async def until_ended(serving: "asyncio.Future[None]") -> None:
    """Return when the requests in flight have ended, or at the latest after a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS_TO_END):
            await asyncio.wait((serving,))
