"""Who gains and loses what by a plan, in lines."""

from collections.abc import Iterator

from kvstack.plan.access import AccessChange, AccessEffects, Hold, NobodyAnyMore, PrincipalAccess, Through, Verb
from kvstack.render.escape import plain
from kvstack.render.layout import BOLD, DIM, GREEN, KEEP, PLAIN, RED, YELLOW, Line, Span
from kvstack.render.words import moment

TITLE = "Who gains and loses access"

_SIGNS: dict[Verb, tuple[str, str]] = {"gains": (GREEN, "+"), "loses": (RED, "-"), "keeps": (YELLOW, "~")}
_MOST_MEMBERS = 8


def blocks(effects: AccessEffects, *, indent: int = 4) -> Iterator[tuple[Line, ...]]:
    """Yield, for each principal, the line that names it and those of what it gains and loses; then what nobody can do
    any more. indent: columns before what is gained and lost."""
    names = effects.names
    for principal in effects.principals:
        lines = (_change(change, names, indent) for change in principal.changes)
        yield (_heading(principal), *lines)
    if effects.nobody:
        yield (
            Line(((BOLD, "nobody any more"),), 2, 6),
            *(_nobody(one, indent) for one in effects.nobody),
        )
    if effects.unread and effects:
        yield (Line(((DIM, f"not all of it could be told: {plain(effects.unread)}"),), 2, 6),)


def _heading(principal: PrincipalAccess) -> Line:
    spans: list[Span] = [(BOLD, plain(principal.name))]
    if principal.members:
        shown = ", ".join(map(plain, principal.members[:_MOST_MEMBERS]))
        more = len(principal.members) - _MOST_MEMBERS
        spans.append((DIM, f"  ({shown}{f' and {more} more' if more > 0 else ''})"))
    return Line(tuple(spans), 2, 6)


def _change(change: AccessChange, names: dict[str, str], indent: int) -> Line:
    style, sign = _SIGNS[change.verb]
    spans: list[Span] = [
        (style, f"{sign}{KEEP}{change.verb}"),
        (PLAIN, f"{KEEP}{change.words} {_where(change.scope)}"),
    ]
    held = _held(change.hold)
    if change.before is not None:
        spans.append((PLAIN, f" {held or 'for good'}, before: {_held(change.before) or 'for good'}"))
    elif held:
        spans.append((PLAIN, f" {held}"))
    if change.still_at:
        spans.append((PLAIN, f", and keeps some of it at {', '.join(map(_place, change.still_at))}"))
    spans.append((DIM, f"  ({_through(change.through, change.scope, names)})"))
    return Line(tuple(spans), indent, indent + 4)


def _nobody(one: NobodyAnyMore, indent: int) -> Line:
    spans: list[Span] = [(RED, f"-{KEEP}can"), (PLAIN, f"{KEEP}{one.words} {_where(one.scope)}")]
    if one.because:
        spans.append((DIM, f"  ({plain(one.because)})"))
    return Line(tuple(spans), indent, indent + 4)


def _held(hold: Hold) -> str:
    """Return how a right is had, in words; nothing where it is had for good."""
    words = ["on request"] if hold.on_request else []
    words += ["where its condition holds"] if hold.conditional else []
    words += [f"from {moment(hold.starts)}"] if hold.starts is not None else []
    words += [f"until {moment(hold.until)}"] if hold.until is not None else []
    return ", ".join(words)


def _through(through: Through, scope: str, names: dict[str, str]) -> str:
    at = "" if through.scope == scope else f" at {_place(through.scope)}"
    group = f" of {plain(names.get(through.group, through.group))}" if through.group else ""
    return f"through {plain(through.role)}{group}{at}"


def _where(scope: str) -> str:
    match scope.split("/", 2):
        case ["subscription"]:
            return "in the whole subscription"
        case ["resource_group", group]:
            return f"in all of the resource group {plain(group)}"
        case [_, home]:
            return f"in {plain(home)}"
        case [_, home, inside]:
            return f"at {plain(home)}/{plain(inside)}"
        case _:
            return f"at {plain(scope)}"


def _place(scope: str) -> str:
    match scope.split("/", 2):
        case ["subscription"]:
            return "the subscription"
        case ["resource_group", group]:
            return f"the resource group {plain(group)}"
        case [_, home, *inside]:
            return "/".join(map(plain, (home, *inside)))
        case _:
            return plain(scope)
