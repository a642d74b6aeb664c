"""The page says what was reached, what was missed and by how much, and what is not there."""

import pytest

from benchmarks.figures import (
    Access,
    AccessAt,
    Audit,
    Deed,
    Figures,
    Key,
    Operation,
    Operations,
    SecretsAt,
    Signing,
    Verification,
)
from benchmarks.goals import GOALS
from benchmarks.measure import Measurement, Sample
from benchmarks.table import page


def took(*seconds: float, mib: float = 50) -> Measurement:
    return Measurement(tuple(Sample(each, mib) for each in seconds))


def figures(deed: Deed, size: int, signing: Signing | str = "not asked for", **tools: Measurement) -> Figures:
    return Figures({Key(deed, tool, size): measurement for tool, measurement in tools.items()}, signing)


def text(of: Figures, *, repeat: int = 3) -> str:
    return page(
        of, machine={"Memory": "1 GiB"}, versions={"kvstack": "1", "tofu": "2"}, date="2026-01-01", repeat=repeat
    )


@pytest.mark.parametrize(
    ("kvstack", "verdict"), [(0.29, "met"), (0.3, "met"), (0.6, "**missed** by 100%"), (0.33, "**missed** by 10%")]
)
def test_a_goal_is_held_against_the_other_tool(kvstack: float, verdict: str) -> None:
    goal = next(goal for goal in GOALS if "plan of 1,000" in goal.text)
    assert goal.verdict(figures("no-op plan", 1_000, kvstack=took(kvstack), tofu=took(1.0))) == verdict


@pytest.mark.parametrize(("service", "verdict"), [(900, "met"), (800, "met"), (400, "**missed** by 50%")])
def test_what_must_be_reached_at_least_is_missed_from_below(service: float, verdict: str) -> None:
    goal = next(goal for goal in GOALS if goal.at_least)
    assert goal.verdict(figures("validate", 10, Signing(service, 1_000, 5))) == verdict


def test_a_goal_without_its_figures_is_not_met() -> None:
    assert {goal.verdict(Figures({}, "not asked for")) for goal in GOALS} == {"not measured"}


def test_medians_ratios_and_fewer_runs_are_shown() -> None:
    shown = text(figures("no-op plan", 1_000, kvstack=took(0.1, 0.3, 0.2), tofu=took(1.0, 1.0)))
    assert "| 1,000 | 0.2 | 1 (2) | 0.2 × |" in shown


def test_what_is_missing_is_named_with_its_reason() -> None:
    shown = text(figures("validate", 10, kvstack=Measurement(missing="`kvstack validate` answered 1"), tofu=took(1.0)))
    assert "| 10 | – | 1 (1) | – |" in shown
    assert "- validate of 10, kvstack: `kvstack validate` answered 1" in shown


def test_single_operations_are_shown_beside_raw_ones_and_held_against_their_goals() -> None:
    signed = Operation("EC-HSM P-256 ES256 sign", 6_000, 5_000, 24_000, 30_000)
    wrapped = Operation("oct-HSM 256 A256KW wrap", 5_000, 4_000, None, None)
    secrets = (SecretsAt(10, 20_000, 2_000, 2_500, 9_000), SecretsAt(100_000, 10_000, 1_500, 1_600, 3_000))
    of = Figures({}, "not asked for", Operations((signed, wrapped), 0.5, secrets, 116, 337))
    shown = text(of)
    assert "| EC-HSM P-256 ES256 sign | 6,000 | 24,000 | 0.25 × | 5,000 | 30,000 | 0.17 × |" in shown
    assert "| oct-HSM 256 A256KW wrap | 5,000 | – | – | 4,000 | – | – |" in shown
    assert "| 100,000 | 10,000 | 1,500 | 1,600 | 3,000 |" in shown
    assert "116 MiB where 1,000 of them are used" in shown
    verdicts = {goal.text: goal.verdict(of) for goal in GOALS}
    assert verdicts["P-256 signatures in the HSM, beside raw PKCS#11"] == "**missed** by 50%"
    assert verdicts["Time to read one of 100,000 secrets, beside one of 10"] == "**missed** by 60%"


def test_decisions_are_shown_and_held_against_their_goals() -> None:
    rows = (AccessAt(100, 500_000, 180_000, 0.5), AccessAt(100_000, 90_000, 30_000, 0.712))
    of = Figures({}, "not asked for", access=Access(1_000, rows))
    assert "| 100,000 | 90,000 | 30,000 | 71% |" in text(of)
    verdicts = {goal.text: goal.verdict(of) for goal in GOALS}
    assert verdicts["Decisions about access"] == "**missed** by 10%"
    assert verdicts["Time of a decision with 100,000 assignments, beside 100"] == "**missed** by 178%"


def test_what_the_audit_costs_is_told_with_and_without_its_record() -> None:
    verified = (Verification(100_000, 1.1, 60), Verification(1_000_000, 10.9, 61))
    of = Figures({}, "not asked for", audit=Audit(45, 25, 47, 29, 28, 19, verified))
    shown = text(of)
    assert "| eight threads | 47.0 | 29.0 | 18.0 |" in shown
    assert "| 1,000,000 | 10.9 | 61 |" in shown
    verdicts = {goal.text: goal.verdict(of) for goal in GOALS}
    assert verdicts["What the audit costs a get, alone"] == "met"
    assert verdicts["What the audit costs a get, of eight threads"] == "**missed** by 125%"
    assert verdicts["Verify 1,000,000 audit records"] == "met"
    assert verdicts["Memory of that, beside 100,000"] == "met"
