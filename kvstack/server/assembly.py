"""What answers requests, put together from an open vault: in a server's first process, and in each of its workers."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from kvstack.server.app import Application
from kvstack.server.configuration import ServerConfiguration
from kvstack.server.identity.callers import Callers
from kvstack.server.identity.external import ExternalTokens
from kvstack.server.identity.issuer_keys import IssuerKeys
from kvstack.server.identity.issuing import Issuer
from kvstack.server.identity.provider import Provider
from kvstack.server.log import Log
from kvstack.server.names import ServerNames
from kvstack.server.request import Receive, Scope, Send
from kvstack.server.state import ServerState
from kvstack.vault.identity_configuration import identity_configuration
from kvstack.vault.service import VaultService

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

# Changes wait for the disk, signatures for the HSM: while some wait, others work.
_THREADS: Final = 16


class Assembly:
    """One process's. not_ready: tells what keeps the server from answering, empty where nothing does."""

    def __init__(
        self, unlocked: "Unlocked", configuration: ServerConfiguration, log: Log, not_ready: Callable[[], str]
    ) -> None:
        self.names = ServerNames(configuration.domain)
        self.service = VaultService(unlocked)
        self.issuer = Issuer(self.service, self.names, unlocked.settings.tenant_id, time.time)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self.state = ServerState(not_ready)
        self._unlocked = unlocked
        self._log = log
        self._application = self._made(configuration)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        await self._application(scope, receive, send)

    def reconfigure(self, configuration: ServerConfiguration) -> None:
        """Answer as this says from the next request on, and by what the operator's files say now. Raises
        KvstackError, and nothing is changed, where they cannot be read."""
        self._application = self._made(configuration)

    def _made(self, configuration: ServerConfiguration) -> Application:
        unlocked = self._unlocked
        identity = identity_configuration(unlocked.paths)
        issuers = IssuerKeys(identity, time.monotonic, self._no_keys)
        provider = Provider(self.service, self.names, self.issuer, time.time, issuers)
        callers = Callers(
            self.service,
            provider.issuer,
            unlocked.settings.tenant_id,
            time.time,
            ExternalTokens(identity.providers, issuers),
        )
        return Application(
            self.service, callers, provider, self.names, configuration, self.state, self._log, self.threads
        )

    def close(self) -> None:
        """Wait for what is worked on."""
        self.threads.shutdown()

    def _no_keys(self, issuer: str, why: str) -> None:
        self._log.tell("warning", "the keys of an issuer cannot be fetched", issuer=issuer, why=why)
