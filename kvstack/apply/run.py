"""An apply: every change of a plan, what is independent at once, each recorded as it finishes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from kvstack.apply.step import Done, Step
from kvstack.backends.protocol import Backend
from kvstack.plan.change import Change
from kvstack.render.events import Event, Failed, Finished, Outcome, Skipped, Started, Waiting, outcome
from kvstack.state.state import Entry
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic, KvstackError
from kvstack.terms.secret import SecretValue

BATCH = 250  # changes that share one durable commit: beyond it nothing is gained, and a kill undoes more

Record = Callable[[Iterable[Entry]], None]
Tell = Callable[[Event], None]


class Run:
    """One apply of one plan. record: keeps finished changes in the state, durably; tell: hears what happens, on one
    thread; stop: set to finish what is in flight and begin nothing more; workers: slow changes at once; seconds: a
    steady clock."""

    def __init__(
        self,
        changes: Sequence[Change],
        *,
        backend: Backend,
        step: Step,
        record: Record,
        tell: Tell,
        stop: threading.Event,
        workers: int,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._step = step
        self._record = record
        self._hear = tell
        self._stop = stop
        self._workers = workers
        self._seconds = seconds
        self._events: list[Event] = []
        self._changes = {change.address: change for change in changes}
        self._waits_for = {
            change.address: {needed for needed in change.depends_on if needed in self._changes} for change in changes
        }
        self._needed_by: dict[Address, list[Address]] = {}
        for address, needed in self._waits_for.items():
            for other in needed:
                self._needed_by.setdefault(other, []).append(address)
        self._quick: deque[Change] = deque()
        self._slow: deque[tuple[Change, str]] = deque()
        self._running: dict[Future[Done], tuple[Change, float]] = {}

    def outcome(self) -> Outcome:
        """Do everything that can be done, and return what came of it."""
        for address, needed in self._waits_for.items():
            if not needed:
                self._enqueue(self._changes[address])
        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="apply") as pool:
            while not self._stop.is_set() and (self._quick or self._slow or self._running):
                while self._slow and len(self._running) < self._workers:
                    self._begin(pool, *self._slow.popleft())
                if self._quick:
                    self._batch([self._quick.popleft() for _ in range(min(BATCH, len(self._quick)))])
                    self._collect(0.0)
                else:
                    self._collect(0.2)
            interrupted = self._stop.is_set() and bool(self._waits_for)
            while self._running:
                self._collect(None)
        for address in list(self._waits_for):
            self._skip(self._changes[address], "interrupted")
        return outcome(self._events, interrupted=interrupted)

    def _enqueue(self, change: Change) -> None:
        waited_for = self._waited_for(change)
        if waited_for is None:
            self._quick.append(change)
        else:
            self._slow.append((change, waited_for))

    def _waited_for(self, change: Change) -> str | None:
        """Return what takes long about a change, None where nothing does."""
        makes = change.action in (Action.CREATE, Action.REPLACE) or change.new_version
        apart = self._backend.apart(change.kind)
        if apart is not None:
            return apart if makes else "waiting for its turn"
        node = change.node
        if node is None or not makes:
            return None
        source = node.resource.value_source
        if source is not None and source.waits_for is not None:
            return source.waits_for
        return self._backend.is_slow(change.kind, node.resource)

    def _begin(self, pool: ThreadPoolExecutor, change: Change, waited_for: str) -> None:
        self._tell(Started(change.address, change.kind, change.action))
        self._tell(Waiting(change.address, waited_for))
        self._intend([change])
        future = pool.submit(lambda: self._step.done(change, self._step.value(change)))
        self._running[future] = (change, self._seconds())

    def _collect(self, timeout: float | None) -> None:
        """Record what slow changes have finished meanwhile."""
        finished, _ = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED)
        ended: list[tuple[Change, float, Done | KvstackError]] = []
        for future in finished:
            change, since = self._running.pop(future)
            error = future.exception()
            if error is None:
                ended.append((change, since, future.result()))
            elif isinstance(error, KvstackError):
                ended.append((change, since, error))
            else:
                raise error
        self._end(ended)

    def _batch(self, changes: list[Change]) -> None:
        """Do quick changes in one durable commit; one that fails undoes only itself."""
        since = self._seconds()
        values: list[SecretValue | KvstackError | None] = []
        for change in changes:
            self._tell(Started(change.address, change.kind, change.action))
            try:
                values.append(self._step.value(change))
            except KvstackError as error:
                values.append(error)
        self._intend(changes)
        ended: list[tuple[Change, float, Done | KvstackError]] = []
        try:
            with self._backend.batch():
                for change, value in zip(changes, values, strict=True):
                    ended.append((change, since, self._tried(change, value)))
        except KvstackError as error:
            # The commit itself failed, and with it everything in it.
            ended = [(change, since, error) for change in changes]
        self._end(ended)

    def _intend(self, changes: list[Change]) -> None:
        """Keep, before they are made, which values are made now: a run that is killed in between makes none twice."""
        intents = [intent for change in changes if (intent := self._step.intent(change)) is not None]
        if intents:
            self._record(intents)

    def _tried(self, change: Change, value: SecretValue | KvstackError | None) -> Done | KvstackError:
        if isinstance(value, KvstackError):
            return value
        try:
            with self._backend.batch():
                return self._step.done(change, value)
        except KvstackError as error:
            return error

    def _end(self, ended: list[tuple[Change, float, Done | KvstackError]]) -> None:
        """Record and tell what ended, and let go or give up what waited for it."""
        entries = [entry for _, _, result in ended if isinstance(result, Done) for entry in result.entries]
        if entries:
            self._record(entries)
        now = self._seconds()
        for change, since, result in ended:
            del self._waits_for[change.address]
            if isinstance(result, Done):
                self._tell(Finished(change.address, change.kind, change.action, now - since))
                self._release(change.address)
            else:
                diagnostics = tuple(_addressed(diagnostic, change.address) for diagnostic in result.diagnostics)
                self._tell(Failed(change.address, change.kind, change.action, now - since, diagnostics))
                self._give_up(change.address)

    def _release(self, address: Address) -> None:
        for other in self._needed_by.get(address, ()):
            needed = self._waits_for.get(other)
            if needed is not None:
                needed.discard(address)
                if not needed:
                    self._enqueue(self._changes[other])

    def _give_up(self, address: Address) -> None:
        for other in self._needed_by.get(address, ()):
            if other in self._waits_for:
                self._skip(self._changes[other], f"{address} failed")
                self._give_up(other)

    def _skip(self, change: Change, because: str) -> None:
        del self._waits_for[change.address]
        self._tell(Skipped(change.address, change.kind, change.action, because))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._hear(event)


def _addressed(diagnostic: Diagnostic, address: Address) -> Diagnostic:
    return Diagnostic(
        severity=diagnostic.severity,
        summary=diagnostic.summary,
        detail=diagnostic.detail,
        place=diagnostic.place,
        address=diagnostic.address or address,
    )
