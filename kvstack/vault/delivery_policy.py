"""When an event that was not taken is sent again, and when it is given up: pure functions of what was tried."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from msgspec.structs import replace

from kvstack.vault.outbox import Delivery, Endpoint

# Seconds: Event Grid's own schedule, up to an hour: it waits longer, and nobody tells when a receiver is back.
PAUSES = (10, 30, 60, 300, 600, 1800, 3600)
GIVEN_UP_AFTER = timedelta(hours=24)
# From here on the receiver is not tried with other events either.
MOST_FAILURES_IN_A_ROW = 3
_LONGEST_WORDS = 300
_LONGEST_WAIT = 86_400.0


class Answer(msgspec.Struct, frozen=True):
    """What became of one try. outcome: taken, to be tried again, or never to be sent again; why: of what was not taken,
    without anything the receiver said; wait: seconds it asks to be left alone for."""

    outcome: Literal["taken", "later", "gone"]
    why: str = ""
    wait: float | None = None


TAKEN = Answer("taken")


class Trouble(msgspec.Struct, frozen=True):
    """That a subscriber did not take something, and why."""

    subscription: str
    why: str


class DeliveryReport(msgspec.Struct, frozen=True):
    """What became of the events. waiting: those that still do; busy: another process delivers just now; troubles: one a
    subscriber, the last one."""

    delivered: int = 0
    waiting: int = 0
    dead: int = 0
    busy: bool = False
    troubles: tuple[Trouble, ...] = ()

    def with_more(self, other: "DeliveryReport") -> "DeliveryReport":
        """Return this report and another one as one."""
        return DeliveryReport(
            self.delivered + other.delivered,
            self.waiting + other.waiting,
            self.dead + other.dead,
            self.busy or other.busy,
            self.troubles + other.troubles,
        )

    def with_settled(self, rows: Iterable[Delivery]) -> "DeliveryReport":
        """Return this report with events that no longer wait."""
        states = [row.state for row in rows]
        delivered, dead = states.count("delivered"), states.count("dead")
        return replace(
            self,
            delivered=self.delivered + delivered,
            dead=self.dead + dead,
            waiting=self.waiting - delivered - dead,
        )

    def told(self, subscription: str, why: str) -> "DeliveryReport":
        """Return this report with what a subscriber did not take."""
        others = tuple(one for one in self.troubles if one.subscription != subscription)
        return replace(self, troubles=(*others, Trouble(subscription, why)))


def after_failure(row: Delivery, answer: Answer, now: datetime) -> Delivery:
    """Return an event as it is after a try that took nothing: it waits for the next one, or is dead."""
    first = row.first_tried or now
    tried = replace(row, attempts=row.attempts + 1, first_tried=first, failure=answer.why[:_LONGEST_WORDS])
    if answer.outcome == "gone" or overdue(first, now):
        return replace(tried, state="dead", settled=now, next_try=None)
    return replace(tried, next_try=min(now + _pause(row.attempts, answer), first + GIVEN_UP_AFTER))


def endpoint_after(endpoint: Endpoint, answer: Answer, now: datetime, *, pause: bool) -> Endpoint:
    """Return what is known of a receiver after a failure. pause: leave it alone for a while, whatever waits for it; one
    that asks for it by Retry-After is."""
    wait = _pause(endpoint.failures, answer) if pause or answer.wait is not None else None
    return replace(
        endpoint,
        failures=endpoint.failures + 1,
        failing_since=endpoint.failing_since or now,
        paused_until=now + wait if wait is not None else None,
        failure=answer.why[:_LONGEST_WORDS],
    )


def asked_to_wait(written: str, now: datetime) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), at most a day; None where it says nothing."""
    text = written.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    from email.utils import parsedate_to_datetime  # needed by few answers, and not by those who only list events

    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # numbers beyond those a date is made of, too
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT)


def overdue(since: datetime, now: datetime) -> bool:
    """Tell whether it is given up by now."""
    return now - since >= GIVEN_UP_AFTER


def _pause(failures: int, answer: Answer) -> timedelta:
    if answer.wait is not None:
        return timedelta(seconds=answer.wait)
    return timedelta(seconds=PAUSES[min(failures, len(PAUSES) - 1)])
