"""`moved`, `removed` and `import`: lines about addresses, held against what is declared."""

from pathlib import Path

import pytest

from kvstack.terms.address import Address
from tests.declare.stacks import read, told

HEAD = "stack: s\nvaults: {dev: {keys: {sign: {type: EC}}}}\n"  # the line follows as line 3


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("moved: [{from: dev/keys/old, to: dev/keys/sign}]", []),
        ("moved: [{from: dev, to: test}]",
         ["3:16 `dev` is still declared", "3:25 nothing is declared at `test`"]),
        ("moved: [{from: a, to: dev/keys/sing}]",
         ["3:23 nothing is declared at `dev/keys/sing`; did you mean `dev/keys/sign`?"]),
        ("moved: [{from: a}]", ["3:9 `moved` needs `to`"]),
        ("moved: [{from: a, too: dev}]", ["3:9 `moved` needs `to`", "3:19 `moved` has no attribute `too`"]),
        ("removed: [{address: dev/keys/old, destroy: false}]", []),
        ("removed: [{address: dev/keys/sign}]", ["3:11 `dev/keys/sign` is still declared"]),
        ("removed: [{address: old, destroy: false, purge: true}]", ["3:49 what is kept cannot be purged"]),
        ("removed: [{address: old, destroy: maybe}]", ["3:35 `destroy` is true or false, not text"]),
        ("import: [{address: dev}]", []),
        ("import: [{address: dve}]", ["3:20 nothing is declared at `dve`; did you mean `dev`?"]),
        ("import: [dev]", ["3:10 `0` is a mapping, not text"]),
    ],
)  # fmt: skip
def test_lines_about_addresses(tmp_path: Path, line: str, expected: list[str]) -> None:
    found = told(tmp_path, f"{HEAD}{line}\n")
    assert [entry.split(" ")[0] for entry in found] == [entry.split(" ")[0] for entry in expected]
    if len(expected) == 1 and "needs" not in expected[0]:
        assert found == expected


def test_lines_are_kept_for_planning(tmp_path: Path) -> None:
    lines = "moved: [{from: a, to: dev}]\nremoved: [{address: b, destroy: false}]\nimport: [{address: dev}]\n"
    desired = read(tmp_path, HEAD + lines).desired
    assert [(move.source, move.target) for move in desired.moves] == [("a", "dev")]
    assert desired.removals[Address("b")].destroy is False
    assert desired.imports == {"dev"}


def test_a_place_is_known_for_what_a_plan_says_later(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD)
    paths = {str(address): node.path for address, node in found.desired.nodes.items()}
    assert {name: str(place) for name, place in found.places(paths).items()} == {
        "dev": "kvstack.yaml:2:10",
        "dev/keys/sign": "kvstack.yaml:2:23",
    }
