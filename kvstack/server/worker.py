"""`python -m kvstack.server.worker`: a worker of a server, started by its first process and by nobody else.

It opens the vault for itself, and listens where the first process does: the system gives each a part of the
connections. What may be done by one process only, the first one does.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from kvstack.server.assembly import Assembly
from kvstack.server.control import NotReady, Reconfigure, Serve, Start, Stop, Told, told_by
from kvstack.server.listener import Listener
from kvstack.server.listening import listening_socket
from kvstack.server.log import Log
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.unlock import unlock

_LONGEST: Final = 1 << 20


class _Worker:
    """One worker."""

    def __init__(self, told: asyncio.StreamReader, log: Log) -> None:
        self._told = told
        self._log = log
        self._not_ready = ""

    async def until_stopped(self) -> None:
        """Open the vault, serve, and stop when told to, or when there is nobody left to tell. Raises KvstackError."""
        start = await self._next()
        if not isinstance(start, Start):
            return  # the first process has ended meanwhile
        self._not_ready = start.not_ready
        unlocked = unlock(start.folder, isolated=start.isolated, environ={**os.environ, **start.pin})
        try:
            # As in the first process: what is there by now stays to the end.
            gc.enable()
            gc.freeze()
            assembly = Assembly(unlocked, start.configuration, self._log, lambda: self._not_ready)
            await self._served(assembly, start)
        finally:
            unlocked.close()

    async def _served(self, assembly: Assembly, start: Start) -> None:
        listener = Listener(
            assembly.answer, listening_socket(start.configuration.address, start.port, shared=True, joins=True)
        )
        try:
            await listener.serve(start.files)
            self._log.tell("info", "a worker answers", process=os.getpid())
            terminated = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
            waits = [
                asyncio.ensure_future(one)
                for one in (self._obey(assembly, listener), terminated.wait(), listener.ended())
            ]
            done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in pending:
                one.cancel()
            for one in done:
                one.result()
        finally:
            assembly.state.stopping = True
            await listener.stop()
            assembly.close()

    async def _obey(self, assembly: Assembly, listener: Listener) -> None:
        """Do what is told until it is to stop."""
        while True:
            match await self._next():
                case Serve(files):
                    try:
                        await listener.serve(files)
                    except KvstackError as error:
                        self._log.wrong("a worker did not change the certificate; the one before goes on", error)
                case Reconfigure(configuration):
                    try:
                        assembly.reconfigure(configuration)
                    except KvstackError as error:
                        self._log.wrong("a worker did not change its configuration; the one before goes on", error)
                case NotReady(reason):
                    self._not_ready = reason
                case Stop() | Start() | None:
                    return

    async def _next(self) -> Told | None:
        """Return what is told next, None where the first process is gone."""
        received = await self._told.readline()
        return told_by(received) if received.endswith(b"\n") else None


async def _worked(control: int, log: Log) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=control), limit=_LONGEST)
    try:
        await _Worker(reader, log).until_stopped()
    finally:
        writer.close()


def main(arguments: Sequence[str]) -> int:
    """Work. arguments: the descriptor of the socket to be told by. Returns the exit code."""
    log = Log()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_worked(int(arguments[0]), log))
    except Exception as error:  # noqa: BLE001  # the last resort: told in the log
        log.wrong("a worker could not go on", error, process=os.getpid())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
