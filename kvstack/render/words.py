"""Actions, counts and moments in words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from kvstack.plan.change import Change, Plan
from kvstack.render import layout
from kvstack.render.escape import plain
from kvstack.terms.action import Action
from kvstack.terms.kind import kind_words


class Verb(msgspec.Struct, frozen=True):
    """One action in the forms sentences need, and its colour."""

    infinitive: str
    going_on: str
    done: str
    style: str


VERBS = {
    Action.CREATE: Verb("create", "creating", "created", layout.GREEN),
    Action.RECOVER: Verb("recover", "recovering", "recovered", layout.GREEN),
    Action.UPDATE: Verb("update", "updating", "updated", layout.YELLOW),
    Action.ROTATE: Verb("rotate", "rotating", "rotated", layout.CYAN),
    Action.REPLACE: Verb("replace", "replacing", "replaced", layout.MAGENTA),
    Action.DELETE: Verb("delete", "deleting", "deleted", layout.RED),
    Action.PURGE: Verb("purge", "purging", "purged", layout.BOLD_RED),
    Action.FORGET: Verb("forget", "forgetting", "forgotten", layout.YELLOW),
    Action.MOVE: Verb("move", "moving", "moved", layout.BLUE),
    Action.IMPORT: Verb("import", "importing", "imported", layout.BLUE),
    Action.REFUSE: Verb("refuse", "refusing", "refused", layout.BOLD_RED),
    Action.NO_OP: Verb("leave", "leaving", "left as it is", layout.PLAIN),
}


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 thing`, `2 things`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def to_do(counts: Mapping[Action, int]) -> str:
    """Return `3 to create, 1 to update, 1 refused`, in the order of Action."""
    return ", ".join(
        f"{counts[action]} refused" if action is Action.REFUSE else f"{counts[action]} to {VERBS[action].infinitive}"
        for action in Action
        if counts.get(action)
    )


def done(counts: Mapping[Action, int]) -> str:
    """Return `3 created, 1 updated`, in the order of Action."""
    return ", ".join(f"{counts[action]} {VERBS[action].done}" for action in Action if counts.get(action))


def summary_line(plan: Plan) -> str:
    """Return the last line of a plan: everything it comes to, in one sentence or two."""
    sentences = [_changes(plan)]
    if plan.compared_at_apply and plan.empty:
        sentences.append(f"{counted(len(plan.compared_at_apply), 'value')} compared at apply.")
    if errors := sum(diagnostic.severity == "error" for diagnostic in plan.diagnostics):
        sentences.append(f"{counted(errors, 'error')}.")
    if plan.unread:
        sentences.append(f"Incomplete: {counted(len(plan.unread), 'thing')} could not be read.")
    return " ".join(sentences)


def _changes(plan: Plan) -> str:
    if plan.refresh_only:
        moved = f"{counted(len(plan.drift), 'thing')} moved" if plan.drift else "Nothing moved"
        return (
            f"{moved} since the last apply. The declaration was not compared; applied, this plan records what is there."
        )
    if plan.empty:
        if plan.unread or any(diagnostic.severity == "error" for diagnostic in plan.diagnostics):
            return "No changes in what could be planned."
        if plan.destroy:
            return "No changes. There is nothing to destroy."
        if plan.targets:
            return "No changes in what was targeted."
        return "No changes. What is there is what is declared."
    counts = Counter(change.action for change in plan.changes)
    forever = Counter(change.action for change in plan.changes if change.irreversible)
    parts = []
    for action in Action:
        if counts[action]:
            part = to_do({action: counts[action]})
            if forever[action] and action is not Action.REFUSE:
                part += f" ({forever[action]} cannot be undone)"
            parts.append(part)
    return f"Plan: {', '.join(parts)}."


def drift_line(plan: Plan) -> str:
    """Return the last line of a drift report."""
    counts = Counter(drifted.what for drifted in plan.drift)
    known = [what for what in ("changed", "deleted", "purged", "new version", "tags lost") if what in counts]
    order = [*known, *(what for what in counts if what not in known)]
    found = ", ".join(f"{counts[what]} {plain(what)}" for what in order)
    sentences = [f"Drift: {found}." if found else "No drift. What is there is what was applied."]
    if plan.unread:
        if not found:
            sentences = ["No drift in what could be read."]
        sentences.append(f"Incomplete: {counted(len(plan.unread), 'thing')} could not be read.")
    return " ".join(sentences)


def used(changes: Iterable[Change]) -> tuple[Action, ...]:
    """Return the actions that occur, in the order of Action."""
    there = {change.action for change in changes}
    return tuple(action for action in Action if action in there)


def kind(kind: str) -> str:
    """Return a resource type's name in words: `role assignment`."""
    return plain(kind_words(kind))


def moment(at: datetime) -> str:
    """Return a moment to the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def seconds(length: float) -> str:
    """Return a duration as people say it: `20 ms`, `1.3 s`, `42 s`, `3 min 5 s`."""
    if length < 0.0995:
        return f"{round(length * 1000)} ms"
    if length < 9.95:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
