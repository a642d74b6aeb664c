"""No cell of a table is markup, a formula, or another cell."""

import csv
import io

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from kvstack.render.cells import csv_text, markdown_table
from kvstack.render.escape import plain
from tests.render.texts import HOSTILE, texts


def in_markdown(cell: str) -> list[str]:
    """Return the texts of the one body row as a reader of Markdown sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown_table(("A", "B"), [(cell, "next")]))
    bodies = [one for one in tokens if one.type == "inline"][2:]
    for body in bodies:
        assert {child.type for child in body.children or ()} <= {"code_inline"}
    return ["".join(child.content for child in body.children or ()) for body in bodies]


@pytest.mark.parametrize("cell", [*HOSTILE, "a|b", "|", "``", "`|`", "a\\|b", "<b>", "@somebody", "[x](http://y)"])
def test_a_cell_of_markdown_is_one_cell_of_code(cell: str) -> None:
    shown = in_markdown(cell)
    assert len(shown) == 2
    assert shown[1] == "next"


@given(texts)
def test_any_cell_of_markdown_stays_one(cell: str) -> None:
    assert len(in_markdown(cell)) == 2


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("a=1", "a=1"),
        ('say "x", y', 'say "x", y'),
        ("a\nb", "a\\nb"),
        ("", ""),
    ],
)
def test_no_cell_of_csv_is_a_formula_or_more_than_a_cell(cell: str, kept: str) -> None:
    (row,) = list(csv.reader(io.StringIO(csv_text(("A", "B"), [(cell, "next")]), newline="")))[1:]
    assert row == [kept, "next"]


@given(texts)
def test_any_cell_of_csv_is_read_back_and_never_calculated(cell: str) -> None:
    (row,) = list(csv.reader(io.StringIO(csv_text(("A",), [(cell + ".",)]), newline="")))[1:]
    assert row[0].removeprefix("'") == plain(cell + ".") or row[0] == plain(cell + ".")
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
