"""Who wants which events: subscriptions made, changed, listed and taken away."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from kvstack.terms import contact
from kvstack.terms.event import EVENT_NAME, EVENT_TYPES, Filter, StackEvent, ThingData
from kvstack.terms.name import folded
from kvstack.terms.scope import Scope
from kvstack.terms.webhook import webhook_problem
from kvstack.vault import errors, outbox
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, near
from kvstack.vault.errors import BadParameter, Conflict, Forbidden
from kvstack.vault.events import emit
from kvstack.vault.items import ItemOperations
from kvstack.vault.outbox import ALERT_STATES, SUBSCRIPTIONS, AlertRule, AlertState, Subscription
from kvstack.vault.secrets import GET

READ_EVENTS = "Microsoft.EventGrid/eventSubscriptions/read"
WRITE_EVENTS = "Microsoft.EventGrid/eventSubscriptions/write"
DELETE_EVENTS = "Microsoft.EventGrid/eventSubscriptions/delete"
_NAME = re.compile(EVENT_NAME)


class SubscriptionOperations(ItemOperations):
    """What can be done with subscriptions; the rights are resource manager's, at their vault, or at the top."""

    def put_subscription(
        self,
        caller: Caller,
        name: str,
        *,
        webhook: str = "",
        command: Sequence[str] = (),
        mail: Sequence[str] = (),
        wanted: Filter = Filter(),  # noqa: B008  # frozen
        secret: tuple[str, str] = ("", ""),
        stack: str = "",
        new: bool = False,
    ) -> Subscription:
        """Make a subscription, or change one that is there. webhook, command, mail: where they go, one of the three; a
        command is the operator's alone to name. secret: vault and name of what signs its events: the caller
        has to have the right to read it, as whoever gets events signed by it could try values against them. new: raise
        Conflict for one that is there. What already waits for it goes to where it then points."""
        if "/" in name:
            raise BadParameter(f"`{name}` is no name of a subscription: letters, digits and hyphens, at most 64")
        return self._put_subscriber(
            caller,
            ("EventSubscriptionPut", "", name),
            endpoint=(webhook, tuple(command), tuple(mail)),
            wanted=wanted,
            secret=secret,
            stack=stack,
            new=new,
        )

    def _put_subscriber(
        self,
        caller: Caller,
        what: tuple[str, str, str],
        *,
        endpoint: tuple[str, tuple[str, ...], tuple[str, ...]],
        wanted: Filter,
        secret: tuple[str, str],
        stack: str,
        new: bool,
        alert: AlertRule | None = None,
    ) -> Subscription:
        """Keep a subscription or an alert. what: the operation, what its row's key begins with, and its name; endpoint:
        webhook, command and mail."""
        operation, kind, name = what
        webhook, command, mail = endpoint
        with self._attempt(caller, operation, self.top) as attempt, attempt.transaction():
            there = SUBSCRIPTIONS.get(attempt.tx, kind + folded(name))
            for vault in {wanted.vault, *((there.wanted.vault,) if there is not None else ())}:
                attempt.require(WRITE_EVENTS, self._wanted_scope(attempt, vault), data=False)
            if there is not None and new:
                raise Conflict(f"there is {'an alert' if kind else 'an event subscription'} `{there.name}` already")
            found = list(_problems(name, endpoint, secret, wanted))
            if found:
                raise BadParameter.of(found)
            if command and caller.id != self._settings.operator_id:
                raise Forbidden(
                    "a program that is run on this machine is for the operator of its store to name",
                    "Post the events to a webhook, or run it without `--as`.",
                    inner="ForbiddenByStore",
                )
            if any(secret):
                home = attempt.registry.vault(secret[0])
                attempt.require(GET, self._scope(home or secret[0], f"secrets/{secret[1]}"), data=True)
                if home is not None:
                    attempt.require_let_in(home)
            put = Subscription(
                folded=kind + folded(name),
                name=there.name if there is not None else name,
                wanted=msgspec.structs.replace(wanted, vault=folded(wanted.vault)),
                webhook=webhook,
                secret_vault=secret[0],
                secret=secret[1],
                command=command,
                mail=mail,
                alert=alert,
                stack=stack,
                by=caller.id,
                created=there.created if there is not None else attempt.now,
                updated=attempt.now,
            )
            attempt.details["subscription"] = put.name
            SUBSCRIPTIONS.put(attempt.tx, put)
            watched = there is not None and there.alert is not None and not there.alert.event
            if alert is not None and (not watched or ALERT_STATES.get(attempt.tx, put.folded) is None):
                # What was recorded while it was no alert on the audit is not its business.
                newest = next((row[0] for row in self._audit.rows(newest_first=True)), 0)
                ALERT_STATES.put(attempt.tx, AlertState(subscription=put.folded, position=newest))
            return put

    def get_subscription(self, caller: Caller, name: str) -> Subscription:
        """Return a subscription. Raises NotFound."""
        with self._attempt(caller, "EventSubscriptionGet", self.top) as attempt, attempt.reading():
            return self._subscription(attempt, name, READ_EVENTS)

    def list_subscriptions(self, caller: Caller) -> tuple[Subscription, ...]:
        """Return the subscriptions the caller may see, by name."""
        with self._attempt(caller, "EventSubscriptionList", self.top) as attempt, attempt.reading():
            return self._seen_subscriptions(attempt)

    def delete_subscription(self, caller: Caller, name: str) -> Subscription:
        """Take a subscription away, with everything on its way to it."""
        return self._delete_subscriber(caller, ("EventSubscriptionDelete", "", name))

    def _delete_subscriber(self, caller: Caller, what: tuple[str, str, str]) -> Subscription:
        operation, kind, name = what
        with self._attempt(caller, operation, self.top) as attempt, attempt.transaction():
            there = self._subscription(attempt, kind + name, DELETE_EVENTS)
            attempt.details["subscription"] = there.name
            outbox.remove(attempt.tx, there)
            return there

    def tell_of_stack(self, caller: Caller, what: StackEvent, stack: str) -> bool:
        """Tell those who want to know what became of a stack. Returns whether it was told: not where nobody wants to
        know, or where the caller may not tell everybody something."""
        with self._store.transaction() as tx:
            if not SUBSCRIPTIONS.count(tx):
                return False
        with self._attempt(caller, "EventSend", self.top) as attempt, attempt.transaction():
            attempt.details.update(event=what, stack=stack)
            if not attempt.may(WRITE_EVENTS, self.top, data=False):
                return False
            data = ThingData(
                id=f"{self.top.path}/stacks/{stack}", vault_name="", object_type="Stack", object_name=stack
            )
            emit(attempt, f"kvstack.{what}", self.top, data)
            return True

    def _seen_subscriptions(self, attempt: Attempt) -> tuple[Subscription, ...]:
        return tuple(
            one
            for one in outbox.subscriptions(attempt.tx)
            if attempt.may(READ_EVENTS, self._wanted_scope(attempt, one.wanted.vault), data=False)
        )

    def _subscription(self, attempt: Attempt, name: str, action: str) -> Subscription:
        there = SUBSCRIPTIONS.get(attempt.tx, folded(name))
        vault = there.wanted.vault if there is not None else ""
        attempt.require(action, self._wanted_scope(attempt, vault), data=False)
        if there is None:
            names = [one.name for one in self._seen_subscriptions(attempt)]
            raise errors.not_found("event subscription", name, "", near(name, names))
        return there

    def _wanted_scope(self, attempt: Attempt, vault: str) -> Scope:
        """Return where the right to events of a vault is given; to those of all vaults, at the top."""
        return self._scope(attempt.registry.vault(vault) or vault) if vault else self.top


def _problems(
    name: str, endpoint: tuple[str, Sequence[str], Sequence[str]], secret: tuple[str, str], wanted: Filter
) -> Iterator[tuple[str, str]]:
    webhook, _, mail = endpoint
    if not _NAME.search(name):
        yield "name", f"`{name}` is no name of a subscription: letters, digits and hyphens, at most 64"
    if sum(map(bool, endpoint)) != 1:
        yield "endpoint", "events go to a webhook, to a command, or to mail addresses: to one of them"
    if any(secret) and not webhook:
        yield "secret", "a secret signs what is posted to a webhook"
    for address in mail:
        yield from contact.problems(address, "", "")
    if webhook and (problem := webhook_problem(webhook)):
        yield "webhook", f"`{webhook}` is no address to post events to: {problem}"
    for one in wanted.types:
        if one not in EVENT_TYPES:
            yield "types", f"`{one}` is no type of event"
