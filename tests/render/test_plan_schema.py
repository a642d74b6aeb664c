"""The schemas that are checked in are those of the code."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from kvstack.render.plan_schema import DOCUMENTS, schema, text

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("file", DOCUMENTS)
def test_a_schema_is_fresh(file: str) -> None:
    checked_in = (SCHEMAS / file).read_text(encoding="utf-8")

    assert checked_in == text(file), f"run: python -m kvstack.render.plan_schema (it writes schemas/{file})"


@pytest.mark.parametrize("file", DOCUMENTS)
def test_a_schema_is_one(file: str) -> None:
    Draft202012Validator.check_schema(schema(file))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"diagnostics": [{"severity": "fatal"}]},
        {"diagnostics": "none"},
    ],
)
def test_a_schema_refuses_what_is_no_document(wrong: object) -> None:
    assert not Draft202012Validator(schema("diagnostics.json")).is_valid(wrong)
