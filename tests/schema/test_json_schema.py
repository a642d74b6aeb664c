"""The JSON Schema of a stack: valid by its metaschema, fresh on disk, and of one mind with the types."""

from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import pytest
from hypothesis import assume, given

from kvstack.declare.explain import shape_problems, verdicts_of_jsonschema, verdicts_of_jsonschema_rs
from kvstack.declare.stack import StackFile
from kvstack.declare.stack_schema import schema, text
from kvstack.declare.yaml import data
from kvstack.schema.json_schema import json_schema
from tests.declare.documents import PLAIN, Document, has_empty_key, mutations, written
from tests.declare.stacks import VALID

STRICT = json_schema(StackFile, interpolation=False)
SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("made", [schema(), STRICT], ids=["as written", "once variables are known"])
def test_a_schema_is_valid_by_its_metaschema(made: dict[str, Any]) -> None:
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(made)
    jsonschema_rs.meta.validate(made)


def test_the_schemas_on_disk_are_those_of_the_code() -> None:
    assert (SCHEMAS / "stack.json").read_text() == text()
    assert (SCHEMAS / "included.json").read_text() == text(included=True)


def test_every_attribute_is_explained() -> None:
    def unexplained(part: Any, path: str) -> list[str]:
        found = []
        for name, body in part.get("properties", {}).items():
            if "description" not in body and "$ref" not in body:
                found.append(f"{path}.{name}")
        return found

    made = schema()
    parts = {"Stack": made, **made["$defs"]}
    # A line about an address says it by its name.
    lines = ("Move", "Removal", "Import")
    assert [entry for name, part in parts.items() if name not in lines for entry in unexplained(part, name)] == []


def test_every_example_and_default_is_valid() -> None:
    made = schema()
    for name, part in {"Stack": made, **made["$defs"]}.items():
        for attribute, body in part.get("properties", {}).items():
            values = [*body.get("examples", ()), *([body["default"]] if "default" in body else [])]
            for value in values:
                wrong = list(jsonschema.Draft202012Validator({**body, "$defs": made["$defs"]}).iter_errors(value))
                assert not wrong, (name, attribute, value)


def test_the_written_schema_takes_references_and_the_strict_one_does_not() -> None:
    document = data(VALID.encode(), "kvstack.yaml")
    assert jsonschema_rs.is_valid(schema(), document)
    assert not jsonschema_rs.is_valid(STRICT, document)


def converts(document: Document) -> bool:
    try:
        msgspec.convert(document, StackFile)
    except msgspec.ValidationError:
        return False
    return True


@given(mutations(PLAIN))
def test_types_and_schema_take_and_refuse_the_same(document: Document) -> None:
    assert converts(document) == (shape_problems(document) == [])


@given(mutations(PLAIN))
def test_both_validators_find_the_same(document: Document) -> None:
    assume(not has_empty_key(document))  # jsonschema-rs leaves it out of a path
    rust, python = (
        {(path, keyword) for path, _, keyword in verdicts(STRICT, document)}
        for verdicts in (verdicts_of_jsonschema_rs, verdicts_of_jsonschema)
    )
    assert rust == python


@given(mutations(written()))
def test_what_is_taken_once_variables_are_known_was_taken_before(document: Document) -> None:
    # An editor never marks what kvstack takes.
    import tempfile

    from kvstack.declare.declaration import declaration
    from kvstack.terms.diagnostic import KvstackError
    from tests.declare.documents import as_yaml

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kvstack.yaml").write_text(as_yaml(document))
        try:
            declaration(Path(folder))
        except KvstackError:
            return
    assert [str(error) for error in jsonschema.Draft202012Validator(schema()).iter_errors(document)] == []
