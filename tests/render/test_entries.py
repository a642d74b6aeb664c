"""A change of a map or a set is shown entry by entry."""

from typing import Any

import pytest

from kvstack.plan.change import AttributeChange, Sensitive
from kvstack.render.entries import Entry, entries
from kvstack.render.layout import KEEP


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a", "b", [Entry("x", "", "a", "b")]),
        (None, "b", [Entry("x", "", "(unset)", "b")]),
        (1, True, [Entry("x", "", "1", "true")]),
        (["a", "b"], ["b", "c"], [Entry("x", "-", "a", None), Entry("x", "+", None, "c")]),
        (None, ["a"], [Entry("x", "+", None, "a")]),
        (["a"], None, [Entry("x", "-", "a", None)]),
        (["a", "a"], ["a"], [Entry("x", "-", "a", None)]),
        (["a", "b"], ["b", "a"], [Entry("x", "", "[a, b]", "[b, a]")]),
        ([], None, [Entry("x", "", "[]", "(unset)")]),
        ([{"a": 1}], [{"a": 2}], [Entry("x", "-", "{a: 1}", None), Entry("x", "+", None, "{a: 2}")]),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [Entry("x.b", "", "2", "3")]),
        ({"a": 1}, {"b": 1}, [Entry("x.a", "-", "1", None), Entry("x.b", "+", None, "1")]),
        (None, {"a": {"b": 1}}, [Entry("x.a.b", "+", None, "1")]),
        ({"a.b": 1}, None, [Entry('x."a.b"', "-", "1", None)]),
        ({"a": ["p"]}, {"a": ["q"]}, [Entry("x.a", "-", "p", None), Entry("x.a", "+", None, "q")]),
        ({}, None, [Entry("x", "", "{}", "(unset)")]),
        (Sensitive(None), Sensitive(None), [Entry("x", "", "(sensitive)", "(sensitive)")]),
        (Sensitive("p"), Sensitive("q"), [Entry("x", "", f"(sensitive{KEEP}p)", f"(sensitive{KEEP}q)")]),
    ],
)
def test_only_what_differs_is_shown(before: Any, after: Any, shown: list[Entry]) -> None:
    assert list(entries(AttributeChange("x", before, after))) == shown


def test_a_new_map_is_shown_leaf_by_leaf_and_a_new_set_as_one() -> None:
    change = AttributeChange("rotation", None, {"every": "P90D", "on": ["a", "b"]})

    assert list(entries(change, "after")) == [
        Entry("rotation.every", "", None, "P90D"),
        Entry("rotation.on", "", None, "[a, b]"),
    ]


def test_one_side_is_shown_as_it_was() -> None:
    assert list(entries(AttributeChange("size", 3072, None), "before")) == [Entry("size", "", "3072", None)]
