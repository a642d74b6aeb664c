"""A terminal shows the whole plan, and nothing that comes from a vault can hide a line of it."""

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.plan.change import AttributeChange, Change, KnownAfterApply, Plan
from kvstack.render.escape import plain
from kvstack.render.layout import columns
from kvstack.render.terminal import drift_terminal, terminal
from kvstack.render.words import summary_line
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic, Place
from tests.render.example import NOTHING, RICH
from tests.render.texts import plans

WIDE = 100_000
SGR = re.compile(r"\x1b\[[0-9;]*m")


def headlines(lines: list[str]) -> list[str]:
    """The lines that begin as only changes begin: two columns in, a symbol, a space."""
    return [line for line in lines if re.match(r"  \S ", line)]


def change(action: Action, **parts: object) -> Plan:
    address = Address("payments/keys/signing")
    only = Change(address=address, kind="key", action=action, **parts)  # type: ignore[arg-type]  # attributes of Change
    return Plan(stack="payments", environment=None, changes=(only,))


@given(plans())
def test_no_data_adds_or_hides_a_line(twins: tuple[Plan, Plan]) -> None:
    hostile, harmless = (terminal(plan, width=WIDE, colour=False).split("\n") for plan in twins)

    assert len(hostile) == len(harmless)
    assert [headline[:4] for headline in headlines(hostile)] == [headline[:4] for headline in headlines(harmless)]


@given(plans(), st.integers(20, 120))
def test_no_data_that_is_wrapped_looks_like_a_change(twins: tuple[Plan, Plan], width: int) -> None:
    hostile, harmless = (terminal(plan, width=width, colour=False).split("\n") for plan in twins)

    assert [headline[:4] for headline in headlines(hostile)] == [headline[:4] for headline in headlines(harmless)]


@given(plans())
def test_every_change_is_there_with_its_action(twins: tuple[Plan, Plan]) -> None:
    plan, _ = twins
    lines = terminal(plan, width=WIDE, colour=False).split("\n")

    shown = Counter(line[2] for line in headlines(lines[2:]) if line[2] not in "?1234567890")

    assert shown == Counter(change.action.symbol for change in plan.changes)


@given(plans())
def test_no_escape_sequence_comes_from_data(twins: tuple[Plan, Plan]) -> None:
    plan, _ = twins
    coloured, uncoloured = (terminal(plan, width=80, colour=colour) for colour in (True, False))

    assert SGR.sub("", coloured) == uncoloured
    assert plain(uncoloured.replace("\n", "")) == uncoloured.replace("\n", "")


@given(plans(), st.integers(20, 120))
def test_a_narrow_terminal_shows_all_of_it(twins: tuple[Plan, Plan], width: int) -> None:
    plan, _ = twins
    for shown in (terminal, drift_terminal):
        narrow, wide = (shown(plan, width=columns_, colour=False) for columns_ in (width, WIDE))
        assert all(columns(line) <= width for line in narrow.split("\n"))
        assert "".join(narrow.split()) == "".join(wide.split())


@given(plans())
def test_the_summary_is_the_last_line(twins: tuple[Plan, Plan]) -> None:
    plan, _ = twins
    assert terminal(plan, width=WIDE, colour=False).endswith(f"\n{summary_line(plan)}\n") or plan.empty


def test_an_empty_plan_is_one_line() -> None:
    assert terminal(NOTHING, width=80, colour=False) == "No changes. What is there is what is declared.\n"


def test_only_symbols_that_occur_are_explained() -> None:
    assert terminal(change(Action.ROTATE), width=80, colour=False).splitlines()[1] == "  ↻ rotate"


def test_a_new_thing_is_described_by_what_it_will_be() -> None:
    shown = terminal(
        change(
            Action.CREATE,
            attributes=(AttributeChange("type", None, "EC"), AttributeChange("tags", None, {"team": "payments"})),
        ),
        width=80,
        colour=False,
    )

    assert shown.splitlines()[3:6] == [
        "  + payments/keys/signing  (key)",
        "      type       EC",
        "      tags.team  payments",
    ]


@pytest.mark.parametrize(
    ("reasons", "shown"),
    [
        (("it goes with its vault",), 0),
        (("it comes back with its vault", "its value is another"), 2),
    ],
)
def test_what_happens_with_a_vault_is_not_explained_twice(reasons: tuple[str, ...], shown: int) -> None:
    text = terminal(change(Action.DELETE, with_vault=True, reasons=reasons), width=80, colour=False)

    assert "(key)  with its vault\n" in text
    assert text.count("      # ") == shown


def test_a_refusal_comes_first_with_its_place_and_how_to_mend_it() -> None:
    lines = terminal(RICH, width=WIDE, colour=False).splitlines()

    at = lines.index("Refused")
    assert at < lines.index("Changes")
    assert lines[at + 1].startswith("  ! payments-prod/keys/encryption")
    assert lines[at + 2] == "      at kvstack.yaml:42:7"
    assert "kvstack import payments-prod/keys/encryption" in lines[at + 4]


def test_an_error_that_a_refusal_says_is_not_said_twice() -> None:
    refused = Change(
        address=Address("a"), kind="vault", action=Action.REFUSE, reasons=("it cannot be", "write another")
    )
    said = Diagnostic(summary="it cannot be", detail="write another", address="a", place=Place("kvstack.yaml", 1, 2))
    plan = Plan(stack="s", environment=None, changes=(refused,), diagnostics=(said,))

    assert terminal(plan, width=80, colour=False).count("it cannot be") == 1


def test_what_cannot_be_undone_is_marked_and_gathered_at_the_end() -> None:
    lines = terminal(RICH, width=WIDE, colour=False).splitlines()

    assert sum(line.endswith("  cannot be undone") for line in lines) == 2
    at = lines.index("  2 changes cannot be undone:")
    assert lines[at + 1 : at + 3] == ["    ~ payments-prod", "    ✗ payments-prod/keys/test"]


def test_ten_thousand_changes_take_well_under_a_second() -> None:
    attributes = (
        AttributeChange("value", None, KnownAfterApply("generated")),
        AttributeChange("content_type", None, "text/plain"),
    )
    plan = Plan(
        stack="platform",
        environment=None,
        changes=tuple(
            Change(address=Address(f"v/secrets/s{at}"), kind="secret", action=Action.CREATE, attributes=attributes)
            for at in range(10_000)
        ),
    )

    began = time.process_time()
    shown = terminal(plan, width=80, colour=True)
    took = time.process_time() - began

    assert shown.count("\n") == 10_000 * 3 + 5
    assert took < 1
