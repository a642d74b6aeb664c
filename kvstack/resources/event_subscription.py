"""Who is told of events: a subscription of the stack's own."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Self

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import contact
from kvstack.terms import name as names
from kvstack.terms.event import EVENT_NAME, EventType
from kvstack.terms.webhook import signing_secret, webhook_problem


class Subjects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which things' events are wanted, by their names; case does not count."""

    prefix: Annotated[str, doc("How the name begins.", "db-", max_length=127)] = ""
    suffix: Annotated[str, doc("How it ends.", "-prod", max_length=127)] = ""


class EventEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where events go: one of three."""

    webhook: Annotated[
        str,
        doc("An https address, which is asked first whether it wants them.", "https://hooks.example.com/kvstack"),
    ] = ""
    secret: Annotated[
        str,
        doc("The secret whose newest version signs them: `VAULT/secrets/NAME`.", "payments-dev/secrets/hook-key"),
    ] = ""
    command: Annotated[
        tuple[str, ...],
        doc("A program with its arguments, run by `run-due` with each event on its standard input.", ["./reload.sh"]),
    ] = ()
    mail: Annotated[tuple[str, ...], doc("Who is sent a mail.", ["on-call@example.com"])] = ()

    def folded(self) -> "EventEndpoint":
        """Return it with the secret's names as they are compared."""
        return msgspec.structs.replace(self, secret=self.secret.lower()) if any(self.signed_by) else self

    def with_real_vault(self, real: Callable[[str], str]) -> "EventEndpoint":
        """Return it with the real name of the secret's vault. real: returns it for what is written."""
        vault, secret = self.signed_by
        return msgspec.structs.replace(self, secret=f"{real(vault)}/secrets/{secret}") if secret else self

    def made_after(self) -> tuple[str, ...]:
        """Return the secret that signs, and its vault: what is not there yet cannot be looked at."""
        vault, secret = self.signed_by
        return (f"vaults/{vault}".lower(), f"vaults/{vault}/secrets/{secret}".lower()) if secret else ()

    @property
    def signed_by(self) -> tuple[str, str]:
        """Vault and name of the secret, both empty for none."""
        return signing_secret(self.secret)


class EventSubscription(Resource, frozen=True, kw_only=True, kind="event_subscription", collection="events"):
    """Who is told of events: of new versions, of what expires, of access that changed, of what will be purged.

    Nothing is sent while a stack is looked at or applied: events are handed over by `kvstack run-due` and `kvstack
    events deliver`. What waits for a subscription goes with it when it is taken away.
    """

    soft_deleted = False

    types: Annotated[
        tuple[EventType, ...],
        doc("Which events; all where there are none.", ["Microsoft.KeyVault.SecretNewVersionCreated"]),
    ] = ()
    subject: Annotated[Subjects, doc("Which things, by their names; all where nothing is said.", {"prefix": "db-"})] = (
        Subjects()
    )
    vault: Annotated[str, doc("The vault; all vaults where none is named.", "payments-dev")] = ""
    endpoint: Annotated[EventEndpoint, doc("Where they go.", {"webhook": "https://hooks.example.com/kvstack"})]

    def resolved(self) -> "EventSubscription":
        """Return it with its types in order, and names as they are compared."""
        endpoint = self.endpoint.folded()
        types = tuple(sorted(set(self.types)))
        return msgspec.structs.replace(self, types=types, vault=self.vault.lower(), endpoint=endpoint)

    def with_real_vaults(self, real: Callable[[str], str]) -> Self:
        """Return it with the real names of vaults. real: returns one for what is written."""
        vault = real(self.vault) if self.vault else ""
        return msgspec.structs.replace(self, vault=vault, endpoint=self.endpoint.with_real_vault(real))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about it."""
        if not re.search(EVENT_NAME, self.name):
            yield Problem(("name",), f"`{self.name}` is no name for it: letters, digits and hyphens, at most 64")
        if self.vault and (wrong := names.vault_name_problem(self.vault)):
            yield Problem(("vault",), wrong)
        yield from endpoint_problems(self.endpoint)

    def made_after(self) -> tuple[str, ...]:
        """Return its vault, and the secret that signs its events: what is not there yet cannot be looked at."""
        return (*((f"vaults/{self.vault}".lower(),) if self.vault else ()), *self.endpoint.made_after())

    def identity(self, vault: str) -> str:
        """Return its place among all subscriptions: no two have one name."""
        return f"events/{self.name}".lower()


def endpoint_problems(endpoint: EventEndpoint) -> Iterator[Problem]:
    """Yield what is wrong with where something goes."""
    if sum(map(bool, (endpoint.webhook, endpoint.command, endpoint.mail))) != 1:
        yield Problem(("endpoint",), "events go to a `webhook`, to a `command`, or by `mail`: to one of them")
        return
    if endpoint.secret and not endpoint.webhook:
        yield Problem(("endpoint", "secret"), "a secret signs what is posted to a webhook")
    for index, address in enumerate(endpoint.mail):
        for _, wrong in contact.problems(address, "", ""):
            yield Problem(("endpoint", "mail", index), wrong)
    if not endpoint.webhook:
        return
    if wrong_url := webhook_problem(endpoint.webhook):
        where = ("endpoint", "webhook")
        yield Problem(where, f"`{endpoint.webhook}` is no address to post events to: {wrong_url}")
    elif not endpoint.webhook.startswith("https://"):
        yield Problem(
            ("endpoint", "webhook"),
            "events are posted over https",
            "The operator may allow a host without TLS, in `.kvstack/events.json`.",
            severity="warning",
        )
    if endpoint.secret and not any(endpoint.signed_by):
        summary = f"`{endpoint.secret}` names no secret: write `VAULT/secrets/NAME`"
        yield Problem(("endpoint", "secret"), summary)
