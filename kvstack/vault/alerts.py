"""Alerts: who is told when the audit shows something, found by reading what was recorded since it was read last."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from kvstack.terms.event import Filter, ThingData
from kvstack.vault import errors
from kvstack.vault.audit_record import AuditRecord
from kvstack.vault.audit_search import Wanted, found
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter
from kvstack.vault.events import put_event, wanting
from kvstack.vault.outbox import ALERT, ALERT_STATES, AlertRule, AlertState, Subscription, subscriptions
from kvstack.vault.subscriptions import SubscriptionOperations

KIND = "kvstack.Alert"
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
        recorded from then on counts."""
        if rule.count < 1 or rule.seconds < 1 or not (rule.operation or rule.result or rule.principal):
            raise BadParameter("an alert says what counts, how often, and in which time")
        return self._put_subscriber(
            caller,
            ("AlertPut", ALERT, name),
            endpoint=(webhook, tuple(command), tuple(mail)),
            wanted=Filter(types=(KIND,), vault=vault),
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
            alerts = [one for one in subscriptions(tx) if one.alert is not None]
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
                times = list(state.times)
                for position, record in found(rows, self._pattern(attempt, alert, rule)):
                    if position <= state.position or _own(record):
                        continue
                    times = [time for time in times if record.time - time < timedelta(seconds=rule.seconds)]
                    times.append(record.time)
                    if len(times) >= rule.count:
                        times.clear()
                        told += 1
                        self._tell(attempt, alert, record)
                state = AlertState(subscription=alert.folded, position=rows[-1][0], times=tuple(times))
                ALERT_STATES.put(attempt.tx, state)
        return told

    def _pattern(self, attempt: Attempt, alert: Subscription, rule: AlertRule) -> Wanted:
        place = self._wanted_scope(attempt, alert.wanted.vault).path if alert.wanted.vault else ""
        return Wanted(principal=rule.principal, operation=rule.operation, result=rule.result, resource=place)

    def _tell(self, attempt: Attempt, alert: Subscription, record: AuditRecord) -> None:
        """Tell of the record that was one too many: its operation and its resource, names both."""
        data = ThingData(
            id=record.resource,
            vault_name=alert.wanted.vault,
            object_type="Alert",
            object_name=alert.name,
            version=f"{record.operation} {record.result}",
        )
        others = wanting(attempt, KIND, alert.name, alert.wanted.vault)
        put_event(attempt, KIND, self.top, data, [alert, *others])


def _own(record: AuditRecord) -> bool:
    """Tell whether a record is of handing events over, or of watching: that is nobody's deed."""
    return record.caller == SYSTEM.id and record.operation.startswith(("Event", "Alert", "DueRun"))
