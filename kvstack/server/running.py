"""A server from its start to its end: what it holds alone, where it listens, and how it stops."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.hsm.private_file import write_private
from kvstack.server.app import Application
from kvstack.server.configuration import ServerConfiguration, require_valid
from kvstack.server.identity.callers import Callers
from kvstack.server.identity.external import ExternalTokens
from kvstack.server.identity.issuer_keys import IssuerKeys
from kvstack.server.identity.issuing import Issuer
from kvstack.server.identity.metadata_listeners import MetadataListeners
from kvstack.server.identity.provider import Provider
from kvstack.server.listening import ended_by_itself, free_port, no_port, until_ended, until_listening
from kvstack.server.log import Log
from kvstack.server.names import ServerNames
from kvstack.server.proxy import Proxy
from kvstack.server.scheduler import Scheduler
from kvstack.server.state import ServerState
from kvstack.server.trust import TrustFiles, ready_trust, trust_files
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.exclusive import exclusive
from kvstack.vault.identity_configuration import identity_configuration
from kvstack.vault.service import VaultService

if TYPE_CHECKING:
    from granian.server.embed import Server

    from kvstack.vault.unlock import Unlocked

# Changes wait for the disk, signatures for the HSM: while some wait, others work.
_THREADS: Final = 16
_LONGEST_HEADERS: Final = 64 << 10


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What others may know of a running server: where it is. proxy_port: of its CONNECT proxy, None for none."""

    address: str
    port: int
    domain: str
    tenant_id: str
    subscription_id: str
    proxy_port: int | None
    process: int


def running_file(root: Path) -> Path:
    """Return where it is written, beside the server's certificate."""
    return trust_files(root).folder / "running.json"


def read_running(root: Path) -> Running:
    """Return where the server of a vault is. root: the folder `.kvstack`. Raises KvstackError where none runs."""
    try:
        return msgspec.json.decode(running_file(root).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        raise KvstackError("no server of this vault is running", "Start it: `kvstack serve`.") from None


def serve(unlocked: "Unlocked", configuration: ServerConfiguration, log: Log) -> None:
    """Serve a vault until the process is told to stop. Raises KvstackError where it cannot start: another server of the
    same vault runs, the port is taken, the certificate cannot be made."""
    require_valid(configuration)
    root = unlocked.paths.root
    files = trust_files(root)
    names = ServerNames(configuration.domain)
    try:
        ready_trust(files, configuration.domain, names.certified, datetime.now(UTC))
    except OSError as error:
        raise KvstackError(f"the server's files in {files.folder} cannot be written: {error.strerror}") from None
    with (
        exclusive(
            files.folder / "serve.lock",
            f"another server of the vault in {root.parent} is running",
            "Stop that one first; its address is in `kvstack env`.",
        ),
        contextlib.suppress(asyncio.CancelledError),
    ):
        asyncio.run(_Run(unlocked, configuration, names, files, log).until_stopped())


class _Run:
    """One run."""

    def __init__(
        self,
        unlocked: "Unlocked",
        configuration: ServerConfiguration,
        names: ServerNames,
        files: TrustFiles,
        log: Log,
    ) -> None:
        self._configuration = configuration
        self._names = names
        self._files = files
        self._log = log
        self._root = unlocked.paths.root
        self._tenant = unlocked.settings.tenant_id
        self._identity = identity_configuration(unlocked.paths)
        self._service = VaultService(unlocked)
        self._issuer = Issuer(self._service, names, self._tenant, time.time)
        self._scheduler = Scheduler(self._service, log, longest=configuration.due_every)
        self._state = ServerState(self._why_not_ready)

    async def until_stopped(self) -> None:
        """Start, serve, and stop when told to."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        port = free_port(self._configuration.address, self._configuration.port)
        # Made now rather than by the first client, so that what is wrong with the HSM is told at the start.
        self._service.token_signing()
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        proxy = Proxy(self._names, (self._configuration.address, port))
        server = _granian(self._application(threads), self._configuration.address, port, self._files)
        metadata = MetadataListeners(
            self._service, self._issuer, self._names, threads, self._log, self._configuration.imds
        )
        serving = asyncio.ensure_future(server.serve())
        try:
            await until_listening(serving, self._configuration.address, port)
            proxy_port = await self._proxy(proxy)
            await metadata.start()
            with self._told(port, proxy_port):
                self._scheduler.start()
                await _first(serving, stop)
                self._state.stopping = True
                self._log.tell("info", "stopping", in_flight=self._state.in_flight)
                await asyncio.to_thread(self._scheduler.stop)
        finally:
            await metadata.stop()
            await proxy.stop()
            server.stop()  # type: ignore[no-untyped-call]  # Granian's own
            await until_ended(serving)
            threads.shutdown()
        self._log.tell("info", "stopped")

    def _application(self, threads: ThreadPoolExecutor) -> Application:
        issuers = IssuerKeys(self._identity, time.monotonic, self._no_keys)
        provider = Provider(self._service, self._names, self._issuer, time.time, issuers)
        callers = Callers(
            self._service,
            provider.issuer,
            self._tenant,
            time.time,
            ExternalTokens(self._identity.providers, issuers),
        )
        return Application(
            self._service, callers, provider, self._names, self._configuration, self._state, self._log, threads
        )

    def _no_keys(self, issuer: str, why: str) -> None:
        self._log.tell("warning", "the keys of an issuer cannot be fetched", issuer=issuer, why=why)

    async def _proxy(self, proxy: Proxy) -> int | None:
        wanted = self._configuration.proxy_port
        if wanted is None:
            return None
        try:
            return await proxy.start(wanted)
        except OSError as error:
            raise no_port("127.0.0.1", wanted, error) from None

    @contextlib.contextmanager
    def _told(self, port: int, proxy_port: int | None) -> Iterator[None]:
        """Tell where the server is, for as long as it is there."""
        running = Running(
            address=self._configuration.address,
            port=port,
            domain=self._configuration.domain,
            tenant_id=self._tenant,
            subscription_id=self._service.top.subscription,
            proxy_port=proxy_port,
            process=os.getpid(),
        )
        path = running_file(self._root)
        write_private(path, msgspec.json.encode(running), replace=True)
        self._log.tell(
            "info",
            "serving",
            address=running.address,
            port=port,
            domain=running.domain,
            tenant=self._tenant,
            proxy_port=proxy_port,
            process=running.process,
        )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def _why_not_ready(self) -> str:
        return "" if self._scheduler.alive else "the scheduler has ended"


def _granian(application: Application, address: str, port: int, files: TrustFiles) -> "Server":
    """Return an HTTP server for an application."""
    try:
        from granian.constants import HTTPModes, Interfaces, SSLProtocols
        from granian.http import HTTP1Settings
        from granian.server.embed import Server
    except ImportError:
        raise KvstackError(
            "`kvstack serve` needs Granian, which is not installed", "Install it: `pip install 'kvstack[server]'`."
        ) from None
    return Server(
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=_LONGEST_HEADERS),
        websockets=False,
        backlog=1024,
        log_enabled=False,
        ssl_cert=files.certificate,
        ssl_key=files.key,
        ssl_protocol_min=SSLProtocols.tls12,
    )


async def _first(serving: "asyncio.Future[None]", stop: asyncio.Event) -> None:
    """Return when the server is to stop. Raises KvstackError where it stopped by itself."""
    told = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
    if serving.done():
        raise ended_by_itself()
