"""A plan, or the drift in it, as a terminal shows it."""

from collections.abc import Iterator

from kvstack.plan.change import Plan
from kvstack.render import access, changes, diagnostics, sections, values
from kvstack.render.layout import BOLD, BOLD_RED, BOLD_YELLOW, DIM, KEEP, PLAIN, Line, fitted, text_line
from kvstack.render.words import VERBS, drift_line, summary_line

_EMPTY = Line()


def terminal(plan: Plan, *, width: int, colour: bool) -> str:
    """Return the whole plan as text, its summary the last line. width: columns, 20 at least."""
    return fitted(_plan(plan), width=width, colour=colour)


def drift_terminal(plan: Plan, *, width: int, colour: bool) -> str:
    """Return what moved since the last apply as text, its summary the last line."""
    return fitted(_drift_report(plan), width=width, colour=colour)


def _plan(plan: Plan) -> Iterator[Line]:
    if plan.changes:
        yield text_line(sections.title(plan), style=BOLD)
        yield sections.legend(plan)
        yield from sections.remarks(plan)
        yield _EMPTY
    yield from _refused(plan)
    yield from _drift(plan)
    if makes := sections.to_make(plan):
        if plan.drift or sections.refused(plan):
            yield text_line("Changes", style=BOLD)
        for change in makes:
            yield changes.headline(change)
            yield from changes.details(change)
        yield _EMPTY
    yield from _access(plan)
    yield from _unread(plan)
    yield from _compared(plan)
    yield from _needs_approval(plan)
    yield from _warnings(plan)
    yield text_line(summary_line(plan), style=BOLD)


def _drift_report(plan: Plan) -> Iterator[Line]:
    yield from _errors(plan)
    yield from _drift(plan)
    yield from _unread(plan)
    for diagnostic in sections.warnings(plan):
        yield from diagnostics.lines(diagnostic)
        yield _EMPTY
    yield text_line(drift_line(plan), style=BOLD)


def _refused(plan: Plan) -> Iterator[Line]:
    if refused := sections.refused(plan):
        yield text_line("Refused", style=BOLD_RED)
        for change in refused:
            yield changes.headline(change)
            yield from changes.details(change)
        yield _EMPTY
    yield from _errors(plan)


def _errors(plan: Plan) -> Iterator[Line]:
    for diagnostic in sections.errors(plan):
        yield from diagnostics.lines(diagnostic)
        yield _EMPTY


def _drift(plan: Plan) -> Iterator[Line]:
    if not plan.drift:
        return
    yield text_line(sections.DRIFT, style=BOLD)
    align = max(len(drifted.what) for drifted in plan.drift)
    for drifted in plan.drift:
        yield changes.drifted(drifted, align=align)
        yield from changes.drift_details(drifted)
    yield _EMPTY


def _access(plan: Plan) -> Iterator[Line]:
    lines = [line for block in access.blocks(plan.access) for line in block]
    if lines:
        yield text_line(access.TITLE, style=BOLD)
        yield from lines
        yield _EMPTY


def _unread(plan: Plan) -> Iterator[Line]:
    if not plan.unread:
        return
    yield text_line(sections.UNREAD, style=BOLD_YELLOW)
    yield from map(sections.unread, plan.unread)
    yield _EMPTY


def _compared(plan: Plan) -> Iterator[Line]:
    if not plan.compared_at_apply:
        return
    yield Line(((BOLD, sections.COMPARED), (DIM, f"  #{KEEP}{sections.COMPARED_WHY}")), 0, 2)
    for address in plan.compared_at_apply:
        yield text_line(values.address(address), 4)
    yield _EMPTY


def _needs_approval(plan: Plan) -> Iterator[Line]:
    if plan.needs_approval:
        yield text_line(sections.approval_title(plan), style=BOLD_YELLOW)
        yield from sections.needs_approval(plan)
        yield _EMPTY


def _warnings(plan: Plan) -> Iterator[Line]:
    forever, warned = sections.irreversible(plan), sections.warnings(plan)
    if not forever and not warned:
        return
    yield text_line("Warnings", style=BOLD_YELLOW)
    if forever:
        yield text_line(sections.irreversible_title(len(forever)), 2, BOLD_RED)
        for change in forever[: sections.MOST_REPEATED]:
            style = VERBS[change.action].style
            yield Line(((style, f"{change.action.symbol}{KEEP}"), (PLAIN, values.address(change.address))), 4, 8)
        if (more := len(forever) - sections.MOST_REPEATED) > 0:
            yield text_line(f"and {more} more, marked above", 4)
    for diagnostic in warned:
        yield from diagnostics.lines(diagnostic, indent=2)
    yield _EMPTY
