"""A message says what, where and how to mend it."""

import pytest

from kvstack.render.diagnostics import diagnostics_document, diagnostics_terminal
from kvstack.terms.diagnostic import Diagnostic, Place

PLACE = Place("kvstack.yaml", 14, 9)


@pytest.mark.parametrize(
    ("diagnostic", "shown"),
    [
        (Diagnostic(summary="no stack here"), "error: no stack here\n"),
        (
            Diagnostic(summary="a key has no attribute `tpye`; did you mean `type`?", place=PLACE),
            "error: kvstack.yaml:14:9: a key has no attribute `tpye`; did you mean `type`?\n",
        ),
        (
            Diagnostic(severity="warning", summary="it has ended", detail="Take it out.", address="v/access/x"),
            "warning: v/access/x: it has ended\n    Take it out.\n",
        ),
        (
            Diagnostic(summary="no", detail="Mend it.", place=PLACE, address="v/keys/x"),
            "error: kvstack.yaml:14:9: no\n    in v/keys/x\n    Mend it.\n",
        ),
        (Diagnostic(summary="a\nb\x1b[2J", place=Place("a\nb.yaml", 1, 1)), "error: a\\nb.yaml:1:1: a\\nb\\x1b[2J\n"),
    ],
)
def test_a_diagnostic_begins_with_where_it_stands(diagnostic: Diagnostic, shown: str) -> None:
    assert diagnostics_terminal((diagnostic,), width=100, colour=False) == shown


def test_json_has_every_key() -> None:
    assert diagnostics_document((Diagnostic(summary="no", place=PLACE),)) == {
        "diagnostics": [
            {
                "severity": "error",
                "summary": "no",
                "detail": "",
                "file": "kvstack.yaml",
                "line": 14,
                "column": 9,
                "address": None,
            }
        ]
    }
