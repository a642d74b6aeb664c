"""The JSON Schema of a kvstack.yaml, as editors use it; `schemas/stack.json` is this, checked in."""

import msgspec

from kvstack.declare.stack import StackFile
from kvstack.schema.json_schema import Schema, json_schema


def schema() -> Schema:
    """Return the schema of a stack file as it is written: with `${...}` allowed where it is."""
    return json_schema(StackFile, interpolation=True, title="kvstack stack")


def text() -> str:
    """Return the schema as the file holds it."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"
