"""The workers of a server, as its first process has them: started, told what changes, started again, ended."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

from kvstack.server.certificate import CertificateFiles
from kvstack.server.configuration import ServerConfiguration
from kvstack.server.control import NotReady, Reconfigure, Serve, Start, Stop, Told, line
from kvstack.server.log import Log

_SECONDS_TO_END: Final = 30.0
# A worker that lived this long ended for a reason of its own; one that did not may do the same again.
_SECONDS_TO_PROVE: Final = 10.0
_LONGEST_WAIT: Final = 30.0
_LOOK_EVERY: Final = 1.0


class _Started:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self._writer = writer

    def tell(self, told: Told) -> None:
        """Tell it something. One that is gone is found to be so by whoever waits for it."""
        self._writer.write(line(told))

    def close(self) -> None:
        """Let go of its socket."""
        self._writer.close()


class Workers:
    """So many processes that answer beside the first one.

    not_ready: as in `ServerState`.
    """

    def __init__(self, count: int, log: Log, not_ready: Callable[[], str]) -> None:
        self._count = count
        self._log = log
        self._not_ready = not_ready
        self._running: dict[int, _Started] = {}
        self._kept: list[asyncio.Future[None]] = []
        self._stopping = False

    def start(self, told: Callable[[], Start]) -> None:
        """Start them. They answer a little later. told: returns what one is to be, as things stand then."""
        self._kept = [asyncio.ensure_future(self._keep(number, told)) for number in range(self._count)]
        if self._count:
            self._kept.append(asyncio.ensure_future(self._tell_ready()))

    def serve(self, files: CertificateFiles) -> None:
        """Have them answer with this certificate."""
        self._tell(Serve(files))

    def reconfigure(self, configuration: ServerConfiguration) -> None:
        """Have them answer as this says."""
        self._tell(Reconfigure(configuration))

    async def stop(self) -> None:
        """Have them answer what was begun, and return when they have ended."""
        self._stopping = True
        self._tell(Stop())
        running = [one.process for one in self._running.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_TO_END):
                await asyncio.gather(*(one.wait() for one in running))
        for one in running:
            if one.returncode is None:
                self._log.tell("warning", "a worker did not end in time and is killed", process=one.pid)
                one.kill()
                await one.wait()
        for kept in self._kept:
            kept.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)

    def _tell(self, told: Told) -> None:
        for one in self._running.values():
            one.tell(told)

    async def _tell_ready(self) -> None:
        """Tell whether the server is ready whenever that changes."""
        told = self._not_ready()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if (found := self._not_ready()) != told:
                told = found
                self._tell(NotReady(found))

    async def _keep(self, number: int, told: Callable[[], Start]) -> None:
        """Have one run, and another one in its place whenever it ends."""
        loop, waited = asyncio.get_running_loop(), 0.0
        while True:
            began = loop.time()
            try:
                code = await self._ended(number, told)
            except OSError as error:
                code = error.strerror or "the system did not start it"
            if self._stopping:
                return
            self._log.tell("error", "a worker ended by itself and is started again", code=code)
            waited = 0.0 if loop.time() - began > _SECONDS_TO_PROVE else min(max(1.0, 2 * waited), _LONGEST_WAIT)
            await asyncio.sleep(waited)

    async def _ended(self, number: int, told: Callable[[], Start]) -> int | str:
        """Start one, and return how it ended. Raises OSError where it cannot be started."""
        ours, theirs = socket.socketpair()
        with theirs:
            _, writer = await asyncio.open_unix_connection(sock=ours)
            try:
                # Out of the terminal's group: it is the first process that is interrupted, and tells the workers.
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "kvstack.server.worker", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
                    process_group=0,
                )
            except BaseException:
                writer.close()
                raise
        started = self._running[number] = _Started(process, writer)
        try:
            started.tell(told())
            if self._stopping:
                started.tell(Stop())
            return await process.wait()
        finally:
            del self._running[number]
            started.close()
