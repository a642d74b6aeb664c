"""The JSON Schema of a kvstack.yaml, as editors use it; `schemas/stack.json` is this, checked in."""

import msgspec

from kvstack.declare.stack import Included, StackFile
from kvstack.schema.json_schema import Schema, json_schema


def schema() -> Schema:
    """Return the schema of a stack file as it is written: with `${...}` allowed where it is."""
    return json_schema(StackFile, interpolation=True, title="kvstack stack")


def included_schema() -> Schema:
    """Return the schema of a file that a stack includes."""
    return json_schema(Included, interpolation=True, title="part of a kvstack stack")


def text(*, included: bool = False) -> str:
    """Return the schema as its file holds it. included: of a file that a stack includes."""
    document = included_schema() if included else schema()
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
