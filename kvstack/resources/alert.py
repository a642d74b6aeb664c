"""Who is told when the audit shows something: an alert of the stack's own."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Self

import msgspec

from kvstack.resources.event_subscription import EventEndpoint, endpoint_problems
from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem, Resource
from kvstack.terms import name as names
from kvstack.terms.duration import duration
from kvstack.terms.event import EVENT_NAME, EVENT_TYPES, event_matches
from kvstack.terms.near import meant

MOST = 10_000


class AlertPattern(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which records of the audit count, or which events; all that is said has to hold. `*` and `?` match, case does not
    count.
    """

    operation: Annotated[str, doc("What was done, in the audit's words.", "KeyPurge", max_length=127)] = ""
    result: Annotated[str, doc("How it ended: `Success`, or why not.", "Forbidden*", max_length=127)] = ""
    principal: Annotated[str, doc("Who did it: an object id, or a name.", "on-call", max_length=256)] = ""
    superseded: Annotated[
        str,
        doc(
            "Only uses of a version of a key or secret that was followed by another one at least so long before, as "
            "ISO 8601 has it: `P0D` is at once. Decrypting, unwrapping and verifying what was made before count where "
            "`operation` says so.",
            "P7D",
        ),
    ] = ""
    event: Annotated[
        str,
        doc("Which events, by their type; nothing of the audit stands beside it.", "kvstack.*", max_length=127),
    ] = ""

    @property
    def of_the_audit(self) -> bool:
        """Whether anything is said of records of the audit."""
        return bool(self.operation or self.result or self.principal or self.superseded)


class Alert(Resource, frozen=True, kw_only=True, kind="alert", collection="alerts"):
    """Who is told when the audit shows something: a kind of operation, a refusal, a key used after its rotation; or
    when something happened, once or too often in a while.

    `kvstack run-due` looks at what was recorded since it ran last; nothing is missed, and nothing told twice.
    """

    soft_deleted = False

    on: Annotated[AlertPattern, doc("What counts, of the audit or of the events.", {"result": "Forbidden*"})]
    count: Annotated[int, doc("How many of them it takes.", 10, ge=1, le=MOST)] = 1
    within: Annotated[str, doc("In which time, as ISO 8601 has it; at most 31 days.", "PT5M")] = "PT1H"
    vault: Annotated[str, doc("In which vault; anywhere where none is named.", "payments-dev")] = ""
    endpoint: Annotated[EventEndpoint, doc("Where it goes.", {"mail": ["on-call@example.com"]})]

    def resolved(self) -> "Alert":
        """Return it with names and its time as they are compared."""
        within, on = span_text(self.seconds), self.on
        if on.superseded:
            on = msgspec.structs.replace(on, superseded=str(duration(on.superseded)))
        return msgspec.structs.replace(
            self, on=on, within=within, vault=self.vault.lower(), endpoint=self.endpoint.folded()
        )

    def with_real_vaults(self, real: Callable[[str], str]) -> Self:
        """Return it with the real names of vaults. real: returns one for what is written."""
        vault = real(self.vault) if self.vault else ""
        return msgspec.structs.replace(self, vault=vault, endpoint=self.endpoint.with_real_vault(real))

    @property
    def seconds(self) -> int:
        """How long the time is. Raises ValueError."""
        return span_seconds(self.within)

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about it."""
        if not re.search(EVENT_NAME, self.name):
            yield Problem(("name",), f"`{self.name}` is no name for it: letters, digits and hyphens, at most 64")
        yield from self._pattern_problems()
        try:
            span_seconds(self.within)
        except ValueError as error:
            yield Problem(("within",), str(error))
        if self.vault and (wrong := names.vault_name_problem(self.vault)):
            yield Problem(("vault",), wrong)
        yield from endpoint_problems(self.endpoint)

    def _pattern_problems(self) -> Iterator[Problem]:
        on = self.on
        if on == AlertPattern():
            hint = "Write `operation`, `result`, `principal` or `superseded`, or `event`."
            yield Problem(("on",), "nothing is said of what counts", hint)
        if on.event and on.of_the_audit:
            summary = "an alert is on the audit, or on events: an event is no record of the audit"
            yield Problem(("on", "event"), summary, "Declare two.")
        if on.event and not any(event_matches(on.event, kind) for kind in EVENT_TYPES - {"kvstack.Alert"}):
            yield Problem(
                ("on", "event"),
                f"`{on.event}` stands for no type of event an alert can be on{meant(on.event, EVENT_TYPES)}",
            )
        if on.superseded:
            try:
                duration(on.superseded)
            except ValueError as error:
                yield Problem(("on", "superseded"), str(error))

    def made_after(self) -> tuple[str, ...]:
        """Return its vault, and the secret that signs what is told."""
        return (*((f"vaults/{self.vault}".lower(),) if self.vault else ()), *self.endpoint.made_after())

    def identity(self, vault: str) -> str:
        """Return its place among all alerts: no two have one name."""
        return f"alerts/{self.name}".lower()


def span_seconds(written: str) -> int:
    """Return the seconds of a span of hours and minutes, or days. Raises ValueError."""
    found = re.fullmatch(r"P(?:(\d{1,2})D)?(?:T(?:(\d{1,3})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?", written)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found is not None else (0, 0, 0, 0)
    span = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 < span <= 31 * 86_400:
        raise ValueError(f"`{written}` is no time of at most 31 days: write `PT5M`, `PT1H` or `P1D`")
    return span


def span_text(seconds: int) -> str:
    """Return a span in its shortest spelling: two of one are no change."""
    for size, before, after in ((86_400, "P", "D"), (3_600, "PT", "H"), (60, "PT", "M")):
        if seconds % size == 0:
            return f"{before}{seconds // size}{after}"
    return f"PT{seconds}S"
