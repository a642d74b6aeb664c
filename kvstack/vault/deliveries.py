"""Events on their way: listed, those that are dead sent again, and all that wait handed over."""

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Protocol

from msgspec.structs import replace

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import errors, outbox
from kvstack.vault.alerts import AlertOperations
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.certificates.rows import CONTACTS
from kvstack.vault.delivery_policy import (
    MOST_FAILURES_IN_A_ROW,
    Answer,
    DeliveryReport,
    after_failure,
    endpoint_after,
    overdue,
)
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import NotFound
from kvstack.vault.event_configuration import EventConfiguration, event_configuration
from kvstack.vault.exclusive import alone
from kvstack.vault.outbox import DELIVERIES, ENDPOINTS, Delivery, Endpoint, State, Subscription
from kvstack.vault.records import Vault
from kvstack.vault.signing_keys import SigningKeyOperations
from kvstack.vault.subscriptions import READ_EVENTS, WRITE_EVENTS
from kvstack.vault.transaction import Transaction

_TOGETHER = 100
_LONGEST_UNSETTLED = 1.0  # seconds: what was taken and not yet noted is sent again after a crash


class Receiver(Protocol):
    """What takes events, one by one."""

    def validated(self) -> Answer:
        """Tell whether it wants any."""
        ...

    def post(self, identifier: str, event: bytes) -> Answer:
        """Hand one over."""
        ...

    def close(self) -> None:
        """Let go of what was opened for it."""
        ...


class DeliveryOperations(AlertOperations, SigningKeyOperations):
    """What is done with events once they are in the outbox."""

    def list_events(
        self, caller: Caller, *, subscription: str | None = None, state: State | None = None
    ) -> tuple[Delivery, ...]:
        """Return the events of the subscriptions the caller may see, oldest first: those that wait, those that are
        dead, and what was delivered in the last days."""
        with self._attempt(caller, "EventList", self.top) as attempt, attempt.reading():
            if subscription is None:
                seen: Sequence[Subscription] = self._seen_receivers(attempt)
            else:
                seen = (self._subscription(attempt, subscription, READ_EVENTS),)
            found: list[Delivery] = []
            for one in seen:
                within = {"subscription": one.folded, **({"state": state} if state is not None else {})}
                if DELIVERIES.count(attempt.tx, **within):
                    found += DELIVERIES.scan(attempt.tx, **within)
            return tuple(sorted(found, key=lambda each: (each.sequence, each.subscription)))

    def replay_events(
        self, caller: Caller, *, subscription: str | None = None, identifier: str | None = None
    ) -> tuple[Delivery, ...]:
        """Send dead events again, from the next delivery on: of a subscription, of one id, or all. They come after what
        was sent meanwhile. Raises NotFound for an id no dead event has."""
        with self._attempt(caller, "EventReplay", self.top) as attempt, attempt.transaction():
            if subscription is None:
                chosen: Sequence[Subscription] = self._seen_receivers(attempt)
            else:
                chosen = (self._subscription(attempt, subscription, WRITE_EVENTS),)
            done = []
            for one in chosen:
                dead = DELIVERIES.scan(attempt.tx, subscription=one.folded, state="dead")
                dead = [row for row in dead if identifier is None or row.id == identifier]
                if dead:
                    attempt.require(WRITE_EVENTS, self._wanted_scope(attempt, one.wanted.vault), data=False)
                for row in sorted(dead, key=lambda each: each.sequence):
                    waiting = replace(
                        row, state="waiting", attempts=0, first_tried=None, next_try=None, settled=None, failure=""
                    )
                    DELIVERIES.put(attempt.tx, waiting)
                    done.append(waiting)
                there = ENDPOINTS.get(attempt.tx, one.folded)
                if dead and there is not None:
                    ENDPOINTS.put(attempt.tx, Endpoint(subscription=one.folded, validated=there.validated))
            if identifier is not None and not done:
                raise NotFound(f"there is no dead event `{identifier}`", "`kvstack events dead` lists them.")
            attempt.details["events"] = str(len(done))
            return tuple(done)

    def deliver_events(self, caller: Caller) -> DeliveryReport:
        """Hand over what waits, as the system: at least once, and in order for each thing. Only one process does it at
        a time. Raises KvstackError where the operator's configuration cannot be read."""
        if caller != SYSTEM:
            with self._attempt(caller, "EventDeliver", self.top) as attempt, attempt.look():
                raise errors.denied_plainly()
        self.watch_audit(SYSTEM)
        with self._store.transaction() as tx:
            if not DELIVERIES.count(tx):
                return DeliveryReport()
        with alone(self._paths.root / "events.lock") as held:
            if not held:
                return DeliveryReport(busy=True)
            configuration = event_configuration(self._paths)
            with self._store.transaction() as tx:
                homes = self._current_registry(tx).vaults.values()
                everybody = [*outbox.subscriptions(tx), *_contacts(tx, homes)]
                there = [one for one in everybody if outbox.waits(tx, one.folded)]
            report = DeliveryReport()
            for subscription in there:
                report = report.with_more(self._hand_over(subscription, configuration))
            self._prune()
            return report

    def _seen_receivers(self, attempt: Attempt) -> tuple[Subscription, ...]:
        """Return who is told of what the caller may see."""
        homes = [
            home for home in attempt.registry.vaults.values() if attempt.may(READ_EVENTS, self._scope(home), data=False)
        ]
        return (*self._seen_subscriptions(attempt), *_contacts(attempt.tx, homes))

    def _hand_over(self, subscription: Subscription, configuration: EventConfiguration) -> DeliveryReport:
        with self._store.transaction() as tx:
            rows = outbox.pending(tx, subscription.folded)
            endpoint = ENDPOINTS.get(tx, subscription.folded) or Endpoint(subscription=subscription.folded)
            now = self._clock.now()
        if endpoint.paused_until is not None and now < endpoint.paused_until:
            return DeliveryReport(waiting=len(rows))
        try:
            key = None
            if subscription.secret:
                where = subscription.secret_vault, subscription.secret
                key = self._signing_key(*where, "EventSigningKeyGet", subscription=subscription.name)
        except KvstackError as error:
            answer = Answer("later", f"cannot be signed for: {error.diagnostics[0].summary}")
            return self._unreachable(subscription, endpoint, rows, answer)
        receiver = self._receiver(subscription, configuration, key)
        try:
            if endpoint.validated != subscription.target:
                answer = receiver.validated()
                if answer.outcome != "taken":
                    return self._unreachable(subscription, endpoint, rows, answer)
                endpoint = replace(endpoint, validated=subscription.target)
            return self._post_all(subscription, endpoint, rows, receiver)
        finally:
            receiver.close()

    def _receiver(self, subscription: Subscription, configuration: EventConfiguration, key: bytes | None) -> Receiver:
        """Return what hands a subscriber's events over. HTTP, TLS and mail are loaded for those who send something."""
        if subscription.command:
            from kvstack.vault.event_command import EventCommand

            return EventCommand(subscription.command, self._paths.root.parent)
        if subscription.mail:
            from kvstack.vault.mailing import Mailing

            return Mailing(subscription.mail, configuration.smtp, configuration.ca_file)
        from kvstack.vault.webhook import Webhook

        return Webhook(subscription.webhook, configuration, key, now=self._clock.now, random=self._random)

    def _post_all(
        self, subscription: Subscription, endpoint: Endpoint, rows: Sequence[Delivery], receiver: Receiver
    ) -> DeliveryReport:
        """Post what can be posted now. The next event of a thing waits for the one before it."""
        blocked: set[str] = set()
        settled: list[Delivery] = []
        report, failed_in_a_row, began = DeliveryReport(waiting=len(rows)), 0, monotonic()
        for row in rows:
            now = self._clock.now()
            if row.thing in blocked:
                continue
            if row.next_try is not None and now < row.next_try:
                blocked.add(row.thing)
                continue
            answer = receiver.post(row.id, row.event)
            if answer.outcome == "taken":
                settled.append(
                    replace(row, state="delivered", attempts=row.attempts + 1, settled=now, failure=answer.why)
                )
                failed_in_a_row = 0
                endpoint = Endpoint(subscription=endpoint.subscription, validated=endpoint.validated)
            else:
                after = after_failure(row, answer, now)
                settled.append(after)
                failed_in_a_row += 1
                report = report.told(subscription.name, answer.why)
                if after.state == "waiting":
                    blocked.add(row.thing)
                endpoint = endpoint_after(endpoint, answer, now, pause=failed_in_a_row >= MOST_FAILURES_IN_A_ROW)
            if len(settled) >= _TOGETHER or monotonic() - began > _LONGEST_UNSETTLED:
                report = report.with_settled(self._settle(subscription, endpoint, settled))
                settled, began = [], monotonic()
            if endpoint.paused_until is not None and now < endpoint.paused_until:
                break
        report = report.with_settled(self._settle(subscription, endpoint, settled))
        return report.with_settled(self._bury(subscription, endpoint))

    def _unreachable(
        self, subscription: Subscription, endpoint: Endpoint, rows: Sequence[Delivery], answer: Answer
    ) -> DeliveryReport:
        endpoint = endpoint_after(endpoint, answer, self._clock.now(), pause=True)
        self._settle(subscription, endpoint, ())
        report = DeliveryReport(waiting=len(rows)).told(subscription.name, answer.why)
        return report.with_settled(self._bury(subscription, endpoint))

    def _bury(self, subscription: Subscription, endpoint: Endpoint) -> list[Delivery]:
        """Give up what has waited for a day while its receiver took nothing for a day."""
        now = self._clock.now()
        if endpoint.failing_since is None or not overdue(endpoint.failing_since, now):
            return []
        with self._store.transaction() as tx:
            rows = outbox.pending(tx, subscription.folded)
        dead = [
            replace(row, state="dead", settled=now, failure=row.failure or endpoint.failure)
            for row in rows
            if overdue(row.created, now)
        ]
        return self._settle(subscription, endpoint, dead)

    def _settle(self, subscription: Subscription, endpoint: Endpoint, rows: Iterable[Delivery]) -> list[Delivery]:
        """Note what became of some events. Returns them, without those whose subscription was taken away meanwhile."""
        rows = list(rows)
        with self._attempt(SYSTEM, "EventDeliver", self.top) as attempt, attempt.transaction():
            attempt.details.update(subscription=subscription.name, events=str(len(rows)))
            if not outbox.there(attempt.tx, subscription):
                return []
            kept = [
                row for row in rows if DELIVERIES.generation(attempt.tx, row.subscription, row.sequence) is not None
            ]
            for row in kept:
                DELIVERIES.put(attempt.tx, row)
            if ENDPOINTS.get(attempt.tx, endpoint.subscription) != endpoint:
                ENDPOINTS.put(attempt.tx, endpoint)
            return kept

    def _prune(self) -> None:
        with self._store.transaction() as tx:
            outbox.prune(tx, self._clock.now())


def _contacts(tx: Transaction, homes: Iterable[Vault]) -> Iterator[Subscription]:
    """Yield who is told of the certificates of some vaults."""
    if not CONTACTS.count(tx):
        return
    for home in homes:
        told = CONTACTS.get(tx, home.id)
        if told is not None and told.contacts:
            yield outbox.contacts(home, tuple(one.email for one in told.contacts))
