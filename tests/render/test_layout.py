"""Lines fit, and keep all they say."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.render.escape import plain
from kvstack.render.layout import BOLD, DIM, KEEP, NARROWEST, PLAIN, RED, Line, columns, cut, fitted
from tests.render.texts import texts

spans = st.lists(st.tuples(st.sampled_from([PLAIN, BOLD, DIM, RED]), texts.map(plain)), max_size=5)
lines = st.builds(
    lambda found, indent, more: Line(tuple(found), indent, indent + more), spans, st.integers(0, 30), st.integers(0, 30)
)
SGR = re.compile(r"\x1b\[[0-9;]*m")


@given(st.lists(lines, max_size=3), st.integers(1, 120))
def test_no_line_is_wider_than_the_terminal(found: list[Line], width: int) -> None:
    for line in fitted(found, width=width, colour=False).split("\n"):
        assert columns(line) <= max(width, NARROWEST)


@given(lines, st.integers(1, 120))
def test_wrapping_loses_nothing_but_spaces(line: Line, width: int) -> None:
    narrow, wide = (fitted((line,), width=columns_, colour=False) for columns_ in (width, 10_000))

    assert narrow.replace(" ", "").replace("\n", "") == wide.replace(" ", "").replace("\n", "")


@given(lines, st.integers(20, 120))
def test_colour_adds_colour_only(line: Line, width: int) -> None:
    coloured = fitted((line,), width=width, colour=True)

    assert SGR.sub("", coloured) == fitted((line,), width=width, colour=False)


def test_a_colour_ends_on_the_line_it_began_on() -> None:
    shown = fitted((Line(((RED, "red " * 20),)),), width=30, colour=True)

    assert [row.count("\x1b[31m") for row in shown.splitlines()] == [1, 1, 1]
    assert all(row.endswith("\x1b[0m") for row in shown.splitlines())


def test_a_symbol_stays_with_what_it_stands_for() -> None:
    line = Line(((PLAIN, f"name  first -{KEEP}secondly"),), 0, 4)

    assert fitted((line,), width=20, colour=False) == "name  first\n    - secondly\n"


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("ｗｉｄｅ", 8), ("↻ ∓ ✗ → ←", 9)]
)
def test_wide_letters_take_two_columns_and_marks_none(text: str, width: int) -> None:
    assert columns(text) == width


@given(texts.map(plain), st.integers(1, 30))
def test_a_cut_text_fits_and_says_that_it_is_cut(text: str, width: int) -> None:
    shown = cut(text, width)

    assert columns(shown) <= width
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))
