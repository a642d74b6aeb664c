"""The lines of one change: what happens to which thing, why, and attribute by attribute."""

from collections.abc import Iterator

from kvstack.plan.change import Change, Drifted
from kvstack.render import values
from kvstack.render.entries import Entry, Side, entries
from kvstack.render.escape import plain
from kvstack.render.layout import BOLD, BOLD_RED, DIM, GREEN, KEEP, PLAIN, RED, Line, Span, columns
from kvstack.render.words import VERBS, kind, moment
from kvstack.terms.action import Action

FOREVER = "cannot be undone"

_INDENT = 6
_WIDEST_NAME = 32  # a longer name is not waited for: its value stands where it ends
_RULES = {"new version": "new version", "replace": "forces replacement", "one way": "one way", "fixed": "set once"}


def headline(change: Change, *, indent: int = 2) -> Line:
    """Return the one line that says what happens to which thing."""
    style = VERBS[change.action].style
    spans: list[Span] = [
        (style, change.action.symbol + KEEP),
        (BOLD, values.address(change.address)),
        (DIM, f"  ({kind(change.kind).replace(' ', KEEP)})"),
    ]
    if change.moved_from is not None:
        spans.append((DIM, f"  moved from{KEEP}{values.address(change.moved_from)}"))
    if change.with_vault:
        spans.append((DIM, f"  with{KEEP}its{KEEP}vault"))
    if change.purge_first:
        spans.append((DIM, f"  purged{KEEP}first"))
    if change.compared_at_apply:
        spans.append((DIM, f"  value{KEEP}compared{KEEP}at{KEEP}apply"))
    if change.irreversible:
        spans += [(PLAIN, "  "), (BOLD_RED, FOREVER.replace(" ", KEEP))]
    return Line(tuple(spans), indent, indent + 4)


def details(change: Change) -> Iterator[Line]:
    """Yield the lines below a headline: place and reasons, then attributes."""
    refused = change.action is Action.REFUSE
    if refused and change.place is not None:
        yield Line(((DIM, f"at {plain(str(change.place))}"),), _INDENT, _INDENT + 2)
    # What happens to a thing only because it happens to its vault is explained there.
    if refused or not change.with_vault or len(change.reasons) > 1:
        for reason in change.reasons:
            yield Line(((PLAIN if refused else DIM, f"#{KEEP}{plain(reason)}"),), _INDENT, _INDENT + 2)
    if change.attributes:
        side = _side(change)
        shown = [(attribute.rule, entries(attribute, side)) for attribute in change.attributes]
        yield from _aligned(shown, notes=side == "both")


def drifted(change: Drifted, *, indent: int = 2, align: int = 0) -> Line:
    """Return the one line that says what happened to a thing, by whom and when. align: columns for what happened."""
    spans: list[Span] = [
        (RED if change.what in ("deleted", "purged") else PLAIN, plain(change.what).ljust(align)),
        (PLAIN, "  "),
        (BOLD, values.address(change.address)),
        (DIM, f"  ({kind(change.kind).replace(' ', KEEP)})"),
    ]
    known = [
        f"by{KEEP}{plain(change.by)}" if change.by is not None else "",
        moment(change.at).replace(" ", KEEP) if change.at is not None else "",
        plain(change.operation) if change.operation is not None else "",
    ]
    if any(known):
        spans.append((DIM, "  " + ", ".join(part for part in known if part)))
    return Line(tuple(spans), indent, indent + 4)


def drift_details(change: Drifted) -> Iterator[Line]:
    """Yield the attributes of a thing that drifted: as applied, and as it is now."""
    yield from _aligned([("update", entries(attribute)) for attribute in change.attributes], notes=False)


def _side(change: Change) -> Side:
    match change.action:
        # A thing replaced with its vault is made from nothing, like one that is created.
        case Action.CREATE | Action.REPLACE if (change.action is Action.CREATE or change.with_vault) and all(
            attribute.before is None for attribute in change.attributes
        ):
            return "after"
        case Action.DELETE | Action.PURGE | Action.FORGET if all(
            attribute.after is None for attribute in change.attributes
        ):
            return "before"
        case _:
            return "both"


def _aligned(attributes: list[tuple[str, tuple[Entry, ...]]], *, notes: bool) -> Iterator[Line]:
    widths = [columns(entry.name) for _, found in attributes for entry in found]
    column = max((width for width in widths if width <= _WIDEST_NAME), default=0)
    for rule, found in attributes:
        note = f"  #{KEEP}{_RULES[rule].replace(' ', KEEP)}" if notes and rule in _RULES else ""
        last = ""
        for entry in found:
            # The entries of one set stand below each other under one name.
            label = "" if entry.sign and entry.name == last else entry.name
            last = entry.name
            spans: tuple[Span, ...] = ((PLAIN, label + " " * (column - columns(label) + 2)), *_value(entry))
            if note:
                spans = (*spans, (DIM, note))
            hang = _INDENT + column + 4
            yield Line(spans, _INDENT, hang)


def _value(entry: Entry) -> tuple[Span, ...]:
    match entry:
        case Entry(sign="+"):
            return ((GREEN, f"+{KEEP}{entry.after}"),)
        case Entry(sign="-"):
            return ((RED, f"-{KEEP}{entry.before}"),)
        case Entry(before=None):
            return ((PLAIN, entry.after or ""),)
        case Entry(after=None):
            return ((PLAIN, entry.before or ""),)
        case _:
            return ((RED, entry.before or ""), (DIM, f"{KEEP}->{KEEP}"), (GREEN, entry.after or ""))
