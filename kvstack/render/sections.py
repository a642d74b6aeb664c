"""What a plan has to say, in the order people have to read it; every rendering for people takes it from here."""

from collections.abc import Iterator

from kvstack.plan.change import Change, Plan, UnreadThing
from kvstack.render import values
from kvstack.render.escape import plain
from kvstack.render.layout import BOLD, DIM, KEEP, PLAIN, Line, Span
from kvstack.render.words import VERBS, counted, moment, used
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import Diagnostic

DRIFT = "Changed outside kvstack since the last apply"
COMPARED = "Values compared at apply"
COMPARED_WHY = "They are not here to compare; where one differs, apply makes a new version."
UNREAD = "Could not be read"

MOST_REPEATED = 50  # irreversible steps named a second time; beyond, their marks in the list have to do


def refused(plan: Plan) -> tuple[Change, ...]:
    """Return the changes that cannot be made."""
    return tuple(change for change in plan.changes if change.action is Action.REFUSE)


def to_make(plan: Plan) -> tuple[Change, ...]:
    """Return the changes that can be made."""
    return tuple(change for change in plan.changes if change.action is not Action.REFUSE)


def irreversible(plan: Plan) -> tuple[Change, ...]:
    """Return the changes that can be made, and never be undone."""
    return tuple(change for change in to_make(plan) if change.irreversible)


def irreversible_title(count: int) -> str:
    """Return the sentence above irreversible changes."""
    return f"{counted(count, 'change')} cannot be undone:"


def errors(plan: Plan) -> tuple[Diagnostic, ...]:
    """Return the errors, but those a refused change says word for word."""
    said = {(change.address, reason) for change in refused(plan) for reason in change.reasons}
    return tuple(
        diagnostic
        for diagnostic in plan.diagnostics
        if diagnostic.severity == "error"
        and not (
            (diagnostic.address, diagnostic.summary) in said
            and (not diagnostic.detail or (diagnostic.address, diagnostic.detail) in said)
        )
    )


def refusals(plan: Plan) -> tuple[Diagnostic, ...]:
    """Return what cannot be done as errors: the reason, how to mend it, and where it stands."""
    return tuple(
        Diagnostic(
            summary=change.reasons[0] if change.reasons else "it cannot be done",
            detail=" ".join(change.reasons[1:]),
            place=change.place,
            address=change.address,
        )
        for change in refused(plan)
    )


def warnings(plan: Plan) -> tuple[Diagnostic, ...]:
    """Return the warnings."""
    return tuple(diagnostic for diagnostic in plan.diagnostics if diagnostic.severity == "warning")


def approval_title(plan: Plan) -> str:
    """Return the sentence above what waits for an approval."""
    return f"{counted(len(plan.needs_approval), 'step needs', 'steps need')} an approval; nothing is done without it:"


def needs_approval(plan: Plan, *, indent: int = 4) -> Iterator[Line]:
    """Yield what waits for whose approval, one line each, and how it stands with them."""
    for need in plan.needs_approval:
        what = f"{need.deed.operation}{KEEP}of{KEEP}{plain(need.deed.where)}"
        if need.deed.operation == "access":
            what = f"access{KEEP}at{KEEP}{plain(need.deed.where)}: {plain(need.deed.what)}"
        who = f"by {plain(' or '.join(need.names))}"
        yield Line(((BOLD, values.address(need.address)), (PLAIN, f"  {what}"), (DIM, f"  {who}")), indent, indent + 4)
    for given in plan.approvals or ():
        text = f"the approval by {plain(given.approver)} {plain(given.problem)}"
        if not given.problem:
            text = f"approved by {plain(given.approver)}, until {moment(given.until)}"
        yield Line(((PLAIN, f"#{KEEP}{text}"),), indent, indent + 2)
    if plan.approvals == ():
        yield Line(((PLAIN, f"#{KEEP}nobody has approved this very plan"),), indent, indent + 2)


def legend(plan: Plan) -> Line:
    """Return the meaning of the symbols that occur."""
    spans: list[Span] = []
    for action in used(plan.changes):
        spans += [(VERBS[action].style, action.symbol), (PLAIN, f"{KEEP}{VERBS[action].infinitive}   ")]
    if spans:
        spans[-1] = (PLAIN, spans[-1][1].rstrip())
    return Line(tuple(spans), 2, 2)


def remarks(plan: Plan) -> Iterator[Line]:
    """Yield what limits the whole plan: its targets, or that it changes nothing."""
    if plan.targets:
        yield Line(((DIM, f"only {', '.join(map(values.address, plan.targets))}"),), 2, 4)
    if plan.refresh_only:
        yield Line(((DIM, "refresh only: what is there is recorded, and nothing is changed"),), 2, 4)


def unread(thing: UnreadThing, *, indent: int = 2) -> Line:
    """Return the one line that says what could not be read, and why."""
    return Line(
        ((PLAIN, f"?{KEEP}"), (BOLD, values.address(thing.address)), (DIM, f"  {plain(thing.reason)}")),
        indent,
        indent + 4,
    )


def title(plan: Plan) -> str:
    """Return what plan this is."""
    what = "kvstack plan to destroy" if plan.destroy else "kvstack plan for"
    return f"{what} {stack(plan)}"


def stack(plan: Plan) -> str:
    """Return the stack's name, with its environment in brackets."""
    environment = f" ({values.address(plan.environment)})" if plan.environment is not None else ""
    return values.address(plan.stack) + environment
