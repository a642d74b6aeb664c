"""The JSON Schemas (2020-12) of what `--json` prints, made from the documents' types.

To write them anew: python -m kvstack.render.plan_schema
"""

from pathlib import Path
from typing import Any

import msgspec

from kvstack.render import documents
from kvstack.render.calendar_document import CalendarDocument

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "plan.json": documents.PlanDocument,
    "drift.json": documents.DriftReportDocument,
    "apply.json": documents.ApplyDocument,
    "diagnostics.json": documents.DiagnosticsDocument,
    "calendar.json": CalendarDocument,
}
_TITLES = {
    "plan.json": "A plan",
    "drift.json": "Drift",
    "apply.json": "What an apply came to",
    "diagnostics.json": "Diagnostics",
    "calendar.json": "A calendar",
}


def schema(file: str) -> dict[str, Any]:
    """Return the schema of one file in schemas/."""
    (top,), components = msgspec.json.schema_components((DOCUMENTS[file],), ref_template="#/$defs/{name}")
    name = top["$ref"].rpartition("/")[2]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLES[file],
        **{key: value for key, value in components.pop(name).items() if key != "title"},
        "$defs": {found: _words(found, components[found]) for found in sorted(components)},
    }


def text(file: str) -> str:
    """Return the schema as it is checked in."""
    return msgspec.json.format(msgspec.json.encode(schema(file)), indent=2).decode() + "\n"


def _words(name: str, component: dict[str, Any]) -> dict[str, Any]:
    """Return a component under the title people know it by."""
    return {**component, "title": name.removesuffix("Document")}


def write(folder: Path) -> None:
    """Write all schemas into a folder."""
    for file in DOCUMENTS:
        (folder / file).write_text(text(file), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[2] / "schemas")
