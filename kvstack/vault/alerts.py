"""Alerts: who is told when the audit shows something, found by reading what was recorded since it was read last."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from kvstack.terms.duration import duration
from kvstack.terms.event import EVENT_TYPES, Filter, event_matches
from kvstack.vault import errors
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.audit_search import Wanted, found
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.events import ALERTED, counted, raise_alert
from kvstack.vault.outbox import ALERT, ALERT_STATES, AlertRule, AlertState, Subscription, subscriptions
from kvstack.vault.subscriptions import SubscriptionOperations
from kvstack.vault.superseded import used_after

_AT_ONCE = 5_000


class AlertOperations(SubscriptionOperations):
    """What can be done with alerts. One is a subscriber of its own, under a name no subscription can have."""

    def put_alert(
        self,
        caller: Caller,
        name: str,
        rule: AlertRule,
        *,
        webhook: str = "",
        command: Sequence[str] = (),
        mail: Sequence[str] = (),
        secret: tuple[str, str] = ("", ""),
        vault: str = "",
        stack: str = "",
        new: bool = False,
    ) -> Subscription:
        """Make an alert, or change one that is there; rights and endpoints are those of a subscription. What is
        recorded, or happens, from then on counts."""
        if rule.count < 1 or rule.seconds < 1 or not rule.says_something:
            raise BadParameter("an alert says what counts, of the audit or of the events, how often, and in which time")
        if rule.event and not any(event_matches(rule.event, kind) for kind in EVENT_TYPES - {ALERTED}):
            raise BadParameter(f"event: `{rule.event}` stands for no type of event an alert can be on")
        if rule.superseded:
            try:
                duration(rule.superseded)
            except ValueError as error:
                raise BadParameter(f"superseded: {error}") from None
        return self._put_subscriber(
            caller,
            ("AlertPut", ALERT, name),
            endpoint=(webhook, tuple(command), tuple(mail)),
            wanted=Filter(types=(ALERTED,), vault=vault),
            secret=secret,
            stack=stack,
            new=new,
            alert=rule,
        )

    def delete_alert(self, caller: Caller, name: str) -> Subscription:
        """Take an alert away, with everything on its way to it."""
        return self._delete_subscriber(caller, ("AlertDelete", ALERT, name))

    def watch_audit(self, caller: Caller) -> int:
        """Look at what was recorded since this was done last, as the system, and put what it comes to into the outbox,
        once. Returns how many alerts that were."""
        with self._store.transaction() as tx:
            alerts = [one for one in subscriptions(tx) if one.alert is not None and not one.alert.event]
        if not alerts:
            return 0
        if caller != SYSTEM:
            with self._attempt(caller, "AlertWatch", self.top) as attempt, attempt.look():
                raise errors.denied_plainly()
        end = next((row[0] for row in self._audit.rows(newest_first=True)), 0)
        return sum(self._watched(alert, end) for alert in alerts)

    def _watched(self, alert: Subscription, end: int) -> int:
        """Look at the records up to a position, some at a time: what was told and how far it came are one."""
        told = 0
        with self._store.transaction() as tx:
            state = ALERT_STATES.get(tx, alert.folded)
        while rows := list(islice(self._audit.rows(after=state.position if state is not None else end), _AT_ONCE)):
            rows = [row for row in rows if row[0] <= end]
            if not rows:
                break
            with self._attempt(SYSTEM, "AlertWatch", self.top) as attempt, attempt.transaction():
                attempt.details["alert"] = alert.name
                state = ALERT_STATES.get(attempt.tx, alert.folded)
                rule = alert.alert
                if state is None or rule is None or state.position >= rows[-1][0]:
                    break  # taken away, or somebody else was faster
                times: Sequence[datetime] = state.times
                by = duration(rule.superseded) if rule.superseded else None
                for position, record in found(rows, self._pattern(attempt, alert, rule)):
                    if position <= state.position or _own(record):
                        continue
                    if by is not None and not used_after(record, by, any_use=bool(rule.operation)):
                        continue
                    times, raised = counted(times, record.time, rule)
                    if raised:
                        told += 1
                        raise_alert(attempt, alert, record.resource, f"{record.operation} {record.result}")
                state = AlertState(subscription=alert.folded, position=rows[-1][0], times=tuple(times))
                ALERT_STATES.put(attempt.tx, state)
        return told

    def _pattern(self, attempt: Attempt, alert: Subscription, rule: AlertRule) -> Wanted:
        place = self._wanted_scope(attempt, alert.wanted.vault).path if alert.wanted.vault else ""
        return Wanted(principal=rule.principal, operation=rule.operation, result=rule.result, resource=place)


def _own(record: AuditRecord) -> bool:
    """Tell whether a record is of handing events over, or of watching: that is nobody's deed."""
    return record.caller == SYSTEM.id and record.operation.startswith(("Event", "Alert", "DueRun"))
