"""Pipelines get every fact of a plan, in the shape they were promised."""

import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from kvstack.plan.change import AttributeChange, Change, Plan
from kvstack.render.diagnostics import diagnostics_document
from kvstack.render.json import document, drift_document, json_text, outcome_document
from kvstack.render.plan_schema import DOCUMENTS, schema
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.secret import SecretValue
from tests.render.example import BECOMES, NOTHING, OUTCOME, RICH, WAS
from tests.render.texts import plans

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
VALIDATORS = {
    file: Draft202012Validator(schema(file), format_checker=Draft202012Validator.FORMAT_CHECKER) for file in DOCUMENTS
}


def invalid(file: str, found: Any) -> list[str]:
    return [error.message for error in VALIDATORS[file].iter_errors(found)]


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("plan.json", document(RICH)),
        ("plan.json", document(NOTHING)),
        ("drift.json", drift_document(RICH)),
        ("drift.json", drift_document(NOTHING)),
        ("apply.json", outcome_document(OUTCOME, stack="payments", environment="prod")),
        ("diagnostics.json", diagnostics_document(RICH.diagnostics)),
    ],
)
def test_a_document_is_valid_by_its_schema(file: str, found: Any) -> None:
    assert invalid(file, json.loads(json_text(found))) == []


@given(plans())
def test_every_document_is_valid_and_read_back_as_it_was(twins: tuple[Plan, Plan]) -> None:
    for file, found in (("plan.json", document(twins[0])), ("drift.json", drift_document(twins[0]))):
        assert invalid(file, found) == []
        assert json.loads(json_text(found)) == found


@given(plans())
def test_no_character_of_a_document_moves_a_cursor(twins: tuple[Plan, Plan]) -> None:
    shown = json_text(document(twins[0]))

    assert not {unicodedata.category(character) for character in shown if character != "\n"} & FORBIDDEN


def test_a_plan_has_the_keys_of_the_contract() -> None:
    found = document(RICH)

    assert list(found) == [
        *("format_version", "stack", "environment", "complete", "summary", "changes", "drift", "unread", "diagnostics"),
        *("needs_approval", "approvals", "access", "compared_at_apply"),
    ]
    assert list(found["summary"]) == [action.value for action in Action if action is not Action.NO_OP]
    assert list(found["changes"][0]) == ["address", "kind", "action", "irreversible", "reasons", "attributes"]
    assert list(found["changes"][0]["attributes"][0]) == ["path", "before", "after", "rule"]
    assert list(found["diagnostics"][0]) == ["severity", "summary", "detail", "file", "line", "column", "address"]
    assert found["format_version"] == "1.0"


def test_keys_that_say_nothing_are_left_out() -> None:
    assert list(document(NOTHING)) == [
        *("format_version", "stack", "environment", "complete", "summary", "changes", "drift", "unread", "diagnostics")
    ]


def test_a_secret_is_a_fingerprint() -> None:
    (rotated,) = (change for change in document(RICH)["changes"] if change["action"] == "rotate")

    assert rotated["attributes"] == [
        {
            "path": "value",
            "before": {"sensitive": True, "fingerprint": WAS},
            "after": {"sensitive": True, "fingerprint": BECOMES},
            "rule": "new version",
        }
    ]


def test_what_is_made_in_apply_is_known_after_it() -> None:
    created = document(RICH)["changes"][2]

    assert created["attributes"][0]["after"] == "known after apply"


def test_a_secret_value_never_becomes_a_document() -> None:
    change = Change(
        address=Address("v/secrets/s"),
        kind="secret",
        action=Action.CREATE,
        attributes=(AttributeChange("value", None, SecretValue("hunter2")),),
    )

    with pytest.raises(TypeError, match="a plan holds no SecretValue"):
        document(Plan(stack="s", environment=None, changes=(change,)))


def test_half_a_surrogate_pair_is_written_out() -> None:
    assert document(Plan(stack="a\udc80", environment=None, changes=()))["stack"] == "a\\udc80"
    assert diagnostics_document((Diagnostic(summary="a\udc80"),))["diagnostics"][0]["summary"] == "a\\udc80"


def test_a_moment_is_in_utc_and_has_a_zone() -> None:
    assert re.fullmatch(r"2026-11-02T09:14:31Z", document(RICH)["drift"][0]["at"])
