"""The listeners of the metadata service: plain HTTP, as its clients speak it, on loopback addresses."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kvstack.server.identity.issuing import Issuer
from kvstack.server.identity.metadata import MetadataService
from kvstack.server.identity.metadata_endpoint import MetadataEndpoint
from kvstack.server.listening import free_port, until_ended, until_listening
from kvstack.server.log import Log
from kvstack.server.names import ServerNames

if TYPE_CHECKING:
    from kvstack.vault.service import VaultService


class MetadataListeners:
    """One listener for each identity that has an address."""

    def __init__(
        self,
        vault: "VaultService",
        issuer: Issuer,
        names: ServerNames,
        threads: ThreadPoolExecutor,
        log: Log,
        endpoints: Sequence[MetadataEndpoint],
    ) -> None:
        self._vault = vault
        self._issuer = issuer
        self._names = names
        self._threads = threads
        self._log = log
        self._endpoints = endpoints
        self._running: list[tuple[Any, asyncio.Future[None]]] = []

    async def start(self) -> None:
        """Listen. Raises KvstackError for an identity nobody knows, and for a port that is taken."""
        # All are looked at before the first one listens.
        principals = [self._vault.acting(one.identity).id for one in self._endpoints]
        for endpoint, principal in zip(self._endpoints, principals, strict=True):
            port = free_port(endpoint.address, endpoint.port)
            host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
            authority = host if port == 80 else f"{host}:{port}"
            service = MetadataService(
                self._vault, self._issuer, self._names, principal, authority, self._threads, self._log
            )
            server = _plain(service, endpoint.address, port)
            serving = asyncio.ensure_future(server.serve())
            self._running.append((server, serving))
            await until_listening(serving, endpoint.address, port)
            self._log.tell(
                "warning", "whoever reaches this address is this identity", identity=principal, address=authority
            )

    async def stop(self) -> None:
        """Listen no more."""
        for server, _ in self._running:
            server.stop()
        for _, serving in self._running:
            await until_ended(serving)


def _plain(application: MetadataService, address: str, port: int) -> Any:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    return Server(
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=16 << 10),
        websockets=False,
        log_enabled=False,
    )
