"""The certificate of a running server, taken anew when it is told to, and looked at every hour."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol

from kvstack.server.certificate import CertificateFiles, Certified
from kvstack.server.log import Log
from kvstack.terms.diagnostic import KvstackError

_EVERY: Final = 3600.0


class Certificate(Protocol):
    """Where the certificate comes from."""

    def ready(self, now: datetime) -> Certified:
        """Return what is to be served. Raises KvstackError."""
        ...


class Renewal:
    """Serves whatever certificate there is. What cannot be used is told, and the one before goes on. serve: has it be
    answered with; raises KvstackError."""

    def __init__(
        self,
        certificate: Certificate,
        serve: Callable[[CertificateFiles], Awaitable[None]],
        log: Log,
        now: Callable[[], datetime],
        every: float = _EVERY,
    ) -> None:
        self._certificate = certificate
        self._serve = serve
        self._log = log
        self._now = now
        self._every = every
        self._served: Certified | None = None
        self._told = asyncio.Event()

    @property
    def files(self) -> CertificateFiles:
        """The certificate that is served; there is one once it has begun."""
        assert self._served is not None  # noqa: S101
        return self._served.files

    async def begin(self) -> None:
        """Serve the first one. Raises KvstackError."""
        found = await asyncio.to_thread(self._certificate.ready, self._now())
        await self._serve(found.files)
        self._served = found
        if found.unnamed:
            self._log.tell("warning", "clients will not accept the certificate for these names", names=found.unnamed)

    def reload(self, certificate: Certificate) -> None:
        """Take the certificate anew as soon as can be. certificate: where it comes from now."""
        self._certificate = certificate
        self._told.set()

    async def forever(self) -> None:
        """Wait to be told, or for the hour."""
        while True:
            told = True
            try:
                async with asyncio.timeout(self._every):
                    await self._told.wait()
            except TimeoutError:
                told = False
            self._told.clear()
            await self._again(told=told)

    async def _again(self, *, told: bool) -> None:
        try:
            found = await asyncio.to_thread(self._certificate.ready, self._now())
            if not told and self._served is not None and found.pem == self._served.pem:
                return
            await self._serve(found.files)
        except KvstackError as error:
            self._log.wrong("the certificate was not changed; the one before goes on", error)
            return
        self._served = found
        self._log.tell("info", "certificate", until=found.until.isoformat())
        if found.unnamed:
            self._log.tell("warning", "clients will not accept the certificate for these names", names=found.unnamed)
