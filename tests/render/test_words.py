"""One sentence says what a plan comes to."""

import pytest

from kvstack.plan.change import Change, Drifted, Plan, UnreadThing
from kvstack.render.words import VERBS, drift_line, seconds, summary_line
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic


def changes(action: Action, count: int, *, irreversible: int = 0) -> tuple[Change, ...]:
    return tuple(
        Change(address=Address(f"{action.value}-{at}"), kind="key", action=action, irreversible=at < irreversible)
        for at in range(count)
    )


def plan(*found: tuple[Change, ...], **parts: object) -> Plan:
    return Plan(
        stack="payments",
        environment=None,
        changes=tuple(change for some in found for change in some),
        **parts,  # type: ignore[arg-type]  # the cases below name attributes of Plan
    )


UNREAD = (UnreadThing(Address("a"), "a firewall"),)
ERROR = (Diagnostic(summary="no"),)


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (plan(), "No changes. What is there is what is declared."),
        (plan(destroy=True), "No changes. There is nothing to destroy."),
        (plan(targets=(Address("a"),)), "No changes in what was targeted."),
        (plan(unread=UNREAD), "No changes in what could be planned. Incomplete: 1 thing could not be read."),
        (plan(diagnostics=ERROR), "No changes in what could be planned. 1 error."),
        (
            plan(compared_at_apply=(Address("a"), Address("b"))),
            "No changes. What is there is what is declared. 2 values compared at apply.",
        ),
        (
            plan(
                changes(Action.DELETE, 2, irreversible=1),
                changes(Action.CREATE, 3),
                changes(Action.ROTATE, 1),
                changes(Action.UPDATE, 1),
            ),
            "Plan: 3 to create, 1 to update, 1 to rotate, 2 to delete (1 cannot be undone).",
        ),
        (
            plan(changes(Action.REFUSE, 1, irreversible=1), unread=UNREAD),
            "Plan: 1 refused. Incomplete: 1 thing could not be read.",
        ),
    ],
)
def test_a_plan_ends_with_its_summary(of: Plan, sentence: str) -> None:
    assert summary_line(of) == sentence


def drifted(*whats: str) -> tuple[Drifted, ...]:
    return tuple(Drifted(address=Address("a"), kind="key", what=what) for what in whats)


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (plan(), "No drift. What is there is what was applied."),
        (plan(unread=UNREAD), "No drift in what could be read. Incomplete: 1 thing could not be read."),
        (
            plan(drift=drifted("new version", "deleted", "changed", "changed")),
            "Drift: 2 changed, 1 deleted, 1 new version.",
        ),
    ],
)
def test_a_drift_report_ends_with_its_summary(of: Plan, sentence: str) -> None:
    assert drift_line(of) == sentence


def test_every_action_has_words() -> None:
    assert set(VERBS) == set(Action)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0.0, "0 ms"),
        (0.0131, "13 ms"),
        (0.0999, "0.1 s"),
        (1.24, "1.2 s"),
        (9.96, "10 s"),
        (59.7, "1 min 0 s"),
        (185.0, "3 min 5 s"),
    ],
)
def test_a_duration_is_said_as_people_say_it(length: float, words: str) -> None:
    assert seconds(length) == words
