"""What the planes share: who asks is found out first, then the operation is done, and whatever it was is told."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Literal

from kvstack.server.answer import Answer, Refusal, refusal_of
from kvstack.server.identity.signed_json import TokenRefused
from kvstack.server.request import Request
from kvstack.server.together import Together
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.caller import Caller, CallerRequest

if TYPE_CHECKING:
    from kvstack.server.identity.callers import Callers, Principal
    from kvstack.server.identity.provider import Provider
    from kvstack.vault.service import VaultService

# A short read is done on the event loop, together with others; a change in a round of its own, which waits for the disk
# once; what takes long, as making a key does, on a thread, while the store is free for others; the use of a key where
# that key is best used.
Lane = Literal["reading", "changing", "working", "using"]


class Plane(ABC):
    """Answers at some hosts. threads: where work is done that changes something, or needs an HSM."""

    def __init__(
        self, service: "VaultService", callers: "Callers", provider: "Provider", threads: ThreadPoolExecutor
    ) -> None:
        self._service = service
        self._callers = callers
        self._provider = provider
        self._threads = threads
        self._reading = Together(partial(service.batch, reading=True))
        # Two: while one round waits for the disk, the next one is worked on.
        self._changing = Together(service.batch, threads, at_once=2)

    async def answer(self, request: Request) -> Answer:
        """Answer one request. Who asks is found out before anything else of it is looked at."""
        try:
            principal = await self._callers.of(request, self._threads)
        except TokenRefused as error:
            return self._told(request, self._challenge(request, error))
        try:
            return self._told(request, await self._done(request, principal))
        except Refusal as refusal:
            return self._told(request, refusal.answer)
        except KvstackError as error:
            answer = self._refusal(error)
            if answer.status >= 500:
                raise
            return self._told(request, answer)

    async def _worked(self, work: Callable[[], Answer], lane: Lane) -> Answer:
        """Do the work of an operation."""
        match lane:
            case "reading":
                return await self._reading.done(work)
            case "changing":
                return await self._changing.done(work)
            case "working" | "using":
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _authority(self, request: Request) -> str:
        """Return where tokens are given."""
        return f"https://{self._provider.authority(request.host)}"

    @abstractmethod
    async def _done(self, request: Request, principal: "Principal") -> Answer:
        """Do what a known principal asks for. Raises Refusal, KvstackError."""

    @abstractmethod
    def _challenge(self, request: Request, error: TokenRefused) -> Answer:
        """Answer who did not say who he is: where tokens are given, and what for."""

    @abstractmethod
    def _told(self, request: Request, answer: Answer) -> Answer:
        """Return an answer with the headers every answer of this plane has."""

    def _refusal(self, error: KvstackError) -> Answer:
        """Return what the vault refuses in this plane's words."""
        return refusal_of(error)


def caller_of(request: Request, principal: "Principal") -> Caller:
    """Return a request's principal as the vault's caller."""
    asked_by = CallerRequest(request.client, request.uri, "", request.correlation_id)
    return Caller(principal.id, principal.name, address=request.address, mfa=principal.mfa, request=asked_by)
