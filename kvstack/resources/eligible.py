"""On which terms a role may be taken up for a while, as a stack declares it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from kvstack.resources.validity import Moment, problems_of_validity
from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem
from kvstack.terms.duration import DurationText, duration
from kvstack.terms.limits import ACTIVATION

Asked = Literal["required", "optional"]


class Eligible(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An assignment that gives no right by itself: its holder takes the role up when it is needed, for a while."""

    starts: Annotated[Moment | None, doc("The role can be taken up from then on.")] = msgspec.field(
        default=None, name="from"
    )
    until: Annotated[
        Moment | None, doc("The role can be taken up until then, and nobody has it longer.", "2027-12-01T00:00:00Z")
    ] = None
    max_duration: Annotated[DurationText, doc("How long it lasts at most: 5 minutes to 24 hours.", "PT4H")] = "PT8H"
    justification: Annotated[Asked, doc("Whether its holder has to say why.")] = "required"
    approvers: Annotated[
        frozenset[str], doc("Who has to agree, any one of them: names from `principals`, or ids.", ["alice"])
    ] = frozenset()
    mfa: Annotated[Asked, doc("Whether a sign-in with more than one factor is needed.")] = "optional"

    def resolved(self) -> "Eligible":
        """Return the same terms with the duration in one spelling: `PT240M` is `PT4H`."""
        return msgspec.structs.replace(self, max_duration=written_span(self.span))

    def problems(self) -> Iterator[Problem]:
        """Yield everything a vault would refuse about these terms."""
        for problem in problems_of_validity(self.starts, self.until, ("from", "until")):
            yield Problem(("eligible", *problem.path), problem.summary)
        least, most = ACTIVATION
        try:
            allowed = least <= self.span <= most
        except ValueError as error:
            yield Problem(("eligible", "max_duration"), str(error))
            return
        if not allowed:
            wrong = f"an activation lasts 5 minutes to 24 hours, not {self.max_duration}"
            yield Problem(("eligible", "max_duration"), wrong)

    @property
    def span(self) -> timedelta:
        """How long an activation lasts at most. Raises ValueError where that is no duration, or one in months."""
        parsed = duration(self.max_duration)
        if parsed.months:
            raise ValueError("an activation lasts hours, not months")
        return timedelta(days=parsed.days, seconds=parsed.seconds)


def written_span(span: timedelta) -> str:
    """Return how long an activation lasts at most as a stack declares it: `PT4H`, `PT24H`."""
    hours, rest = divmod(int(span.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    return "PT" + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0S")
