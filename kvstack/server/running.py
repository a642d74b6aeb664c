"""A server from its start to its end: what it holds alone, where it listens, and how it stops."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kvstack.hsm.private_file import write_private
from kvstack.server.assembly import Assembly
from kvstack.server.certificate import CertificateFiles, GivenCertificate, OwnCertificate
from kvstack.server.configuration import ServerConfiguration
from kvstack.server.control import Start
from kvstack.server.identity.metadata_listeners import MetadataListeners
from kvstack.server.listener import Listener
from kvstack.server.listening import listening_socket, no_port
from kvstack.server.log import Log
from kvstack.server.names import PORTAL
from kvstack.server.options import changed
from kvstack.server.proxy import Proxy
from kvstack.server.renewal import Certificate, Renewal
from kvstack.server.scheduler import Scheduler
from kvstack.server.trust import TrustFiles, ready_folder, trust_files
from kvstack.server.workers import Workers
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.exclusive import exclusive

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What others may know of a running server: where it is. proxy_port: of its CONNECT proxy, None for none.
    own_certificate: whether its certificate is by its own authority."""

    address: str
    port: int
    domain: str
    tenant_id: str
    subscription_id: str
    proxy_port: int | None
    process: int
    own_certificate: bool = True


def running_file(root: Path) -> Path:
    """Return where it is written, beside the server's certificate."""
    return trust_files(root).folder / "running.json"


def read_running(root: Path) -> Running:
    """Return where the server of a vault is. root: the folder `.kvstack`. Raises KvstackError where none runs."""
    try:
        return msgspec.json.decode(running_file(root).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        raise KvstackError("no server of this vault is running", "Start it: `kvstack serve`.") from None


def portal_address(running: Running) -> str:
    """Return where the page for people is."""
    return f"https://{PORTAL}.{running.domain}:{running.port}/portal"


def serve(
    unlocked: "Unlocked",
    configuration: Callable[[], ServerConfiguration],
    log: Log,
    *,
    isolated: bool,
    pin: Mapping[str, str],
) -> None:
    """Serve a vault until the process is told to stop. configuration: returns how, as the operator has it then;
    isolated, pin: how workers open the vault, see `Start`. Raises KvstackError where it cannot start: another server of
    the same vault runs, the port is taken, the certificate cannot be made."""
    root = unlocked.paths.root
    files = trust_files(root)
    try:
        ready_folder(files)
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
        asyncio.run(_Run(unlocked, configuration, files, log, isolated=isolated, pin=pin).until_stopped())


class _Run:
    """One run."""

    def __init__(
        self,
        unlocked: "Unlocked",
        configuration: Callable[[], ServerConfiguration],
        files: TrustFiles,
        log: Log,
        *,
        isolated: bool,
        pin: Mapping[str, str],
    ) -> None:
        self._configured = configuration
        self._configuration = configuration()
        self._files = files
        self._log = log
        self._isolated = isolated
        self._pin = dict(pin)
        self._root = unlocked.paths.root
        self._tenant = unlocked.settings.tenant_id
        self._assembly = Assembly(unlocked, self._configuration, log, self._why_not_ready)
        self._service = self._assembly.service
        self._scheduler = Scheduler(self._service, log, longest=self._configuration.due_every)

    async def until_stopped(self) -> None:
        """Start, serve, and stop when told to."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        # Made now rather than by the first client, so that what is wrong with the HSM is told at the start.
        self._service.token_signing()
        configuration, assembly = self._configuration, self._assembly
        listening = listening_socket(configuration.address, configuration.port, shared=configuration.workers > 1)
        port = int(listening.getsockname()[1])
        listener = Listener(assembly.answer, listening)
        proxy = Proxy(assembly.names, (configuration.address, port))
        metadata = MetadataListeners(
            self._service, assembly.issuer, assembly.names, assembly.threads, self._log, configuration.imds
        )
        workers = Workers(configuration.workers - 1, self._log, self._why_not_ready)

        async def served(files: CertificateFiles) -> None:
            # Workers first: they read the files, too, and this one answers some seconds longer with what was before.
            workers.serve(files)
            await listener.serve(files)

        renewal = Renewal(self._certificate(), served, self._log, lambda: datetime.now(UTC))
        try:
            await renewal.begin()
            loop.add_signal_handler(signal.SIGHUP, self._reconfigure, workers, renewal)
            proxy_port = await self._proxy(proxy)
            await metadata.start()
            workers.start(lambda: self._worker(port, renewal.files))
            with self._told(port, proxy_port):
                self._scheduler.start()
                await _first(stop.wait(), listener.ended(), renewal.forever())
                assembly.state.stopping = True
                self._log.tell("info", "stopping", in_flight=assembly.state.in_flight)
                await asyncio.to_thread(self._scheduler.stop)
        finally:
            await asyncio.gather(workers.stop(), listener.stop())
            await metadata.stop()
            await proxy.stop()
            assembly.close()
        self._log.tell("info", "stopped")

    def _reconfigure(self, workers: Workers, renewal: Renewal) -> None:
        """Go on as the operator's files say now, without a start."""
        try:
            now, waiting = changed(self._configuration, self._configured())
            self._assembly.reconfigure(now)
        except KvstackError as error:
            self._log.wrong("the configuration was not changed; the one before goes on", error)
        else:
            self._configuration = now
            self._scheduler.longest = now.due_every
            workers.reconfigure(now)
            self._log.tell("info", "configured")
            if waiting:
                self._log.tell("warning", "these options hold from the next start on", options=waiting)
        renewal.reload(self._certificate())

    def _worker(self, port: int, files: CertificateFiles) -> Start:
        """Return what a worker is to be that starts now."""
        return Start(
            folder=self._root.parent,
            isolated=self._isolated,
            pin=self._pin,
            configuration=self._configuration,
            port=port,
            files=files,
            not_ready=self._why_not_ready(),
        )

    def _certificate(self) -> Certificate:
        """Return where the certificate comes from."""
        given, domain = self._configuration.certificate, self._configuration.domain
        certified = self._assembly.names.certified
        if given is None:
            return OwnCertificate(self._files, domain, certified)
        return GivenCertificate(given, domain, certified)

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
            own_certificate=self._configuration.certificate is None,
        )
        path = running_file(self._root)
        write_private(path, msgspec.json.encode(running), replace=True)
        self._log.tell(
            "info",
            "serving",
            address=running.address,
            port=port,
            domain=running.domain,
            portal=portal_address(running),
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


async def _first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return when the first of these ends, and end the others. Raises what it raised."""
    begun = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in begun:
            one.cancel()
        await asyncio.wait(begun)
    for one in done:
        one.result()
