"""Large stacks in several files: joined by `include`, each problem in the file it stands in."""

from pathlib import Path

import pytest

from tests.declare.stacks import ALICE, read, told, write

MAIN = "stack: s\ninclude: [vaults/*.yaml]\n"


def test_files_are_joined_and_every_problem_names_its_file(tmp_path: Path) -> None:
    files = {
        "vaults/a.yaml": f"principals: {{alice: {{type: user, id: {ALICE}}}}}\nvaults:\n  aaa: {{skuu: premium}}\n",
        "vaults/b.yaml": "access:\n  - {principal: alcie, role: Key Vault Reader, scope: subscription}\n"
        "vaults:\n  b: {}\n",
    }
    assert told(tmp_path, MAIN + "vaults: {main: {sku: x}}\n", files) == [
        "3:22 `sku` is `standard` or `premium`, not `x`",
        "vaults/a.yaml:3:9 a vault has no attribute `skuu`; did you mean `sku`?",
        "vaults/b.yaml:2:17 there is no principal `alcie`; did you mean `alice`?",
        "vaults/b.yaml:4:3 `b` cannot name a vault: 3-24 letters, digits and hyphens, starting with a letter, "
        "ending with a letter or digit, without `--`",
    ]


def test_lists_of_several_files_follow_one_another(tmp_path: Path) -> None:
    files = {
        "vaults/a.yaml": "moved: [{from: x, to: one}]\nvaults: {one: {}}\n",
        "vaults/b.yaml": "moved:\n  - {from: z, to: two}\n  - {from: y, to: tow}\nvaults: {two: {}}\n",
    }
    assert told(tmp_path, MAIN, files) == ["vaults/b.yaml:3:19 nothing is declared at `tow`; did you mean `two`?"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("nothing/*.yaml", "2:11 no file matches `nothing/*.yaml`"),
        ("../*.yaml", "2:11 `../*.yaml` leaves the stack's folder"),
        ("vaults/../../x.yaml", "2:11 `vaults/../../x.yaml` leaves the stack's folder"),
        ("/etc/*.yaml", "2:11 `/etc/*.yaml` leaves the stack's folder"),
        ("''", "2:11 `` is no pattern of files"),
        (".", "2:11 `.` is no pattern of files"),
        ("a**.yaml", "2:11 `a**.yaml` is no pattern of files"),
        ('"a\\0b"', "2:11 `a\0b` is no pattern of files"),
        ("3", "2:11 `0` is text, not a whole number"),
    ],
)
def test_what_cannot_be_included_is_told_where_it_is_asked_for(tmp_path: Path, pattern: str, expected: str) -> None:
    assert told(tmp_path, f"stack: s\ninclude: [{pattern}]\n") == [expected]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("vaults: {secret: {}}\n")
    inside = write(tmp_path / "stack", MAIN, {"vaults/a.yaml": "vaults: {one: {}}\n"})
    (inside / "vaults/b.yaml").symlink_to(outside)
    assert told(inside, MAIN) == ["2:11 `b.yaml` is a link out of the stack's folder"]
    (inside / "vaults/b.yaml").unlink()
    (inside / "vaults/b.yaml").symlink_to(inside / "vaults/a.yaml")
    assert told(inside, MAIN) == ["vaults/b.yaml:1:10 `one` stands in two files"]


def test_a_vault_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    from tests.declare.stacks import problems

    (found,) = problems(tmp_path, MAIN + "vaults: {one: {}}\n", {"vaults/a.yaml": "vaults:\n  one: {}\n"})
    assert str(found.place) == "vaults/a.yaml:2:3"
    assert found.detail == "It stands at kvstack.yaml:3:10 too."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("stack: t\n", "vaults/a.yaml:1:1 an included file has no `stack`"),
        ("variables: {}\n", "vaults/a.yaml:1:1 an included file has no `variables`"),
        ("- a\n", "vaults/a.yaml:1:1 an included file is a mapping"),
        ("vaults: []\n", "vaults/a.yaml:1:1 `vaults` is not what it should be"),
        ("vaults: {a: b\n", "vaults/a.yaml:2:1 this is not YAML: did not find expected ',' or '}'"),
        (b"\xff", "vaults/a.yaml:1:1 this is not UTF-8 text"),
    ],
)
def test_what_an_included_file_cannot_hold_is_told(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert told(tmp_path, MAIN, {"vaults/a.yaml": content}) == [expected]


def test_broken_files_are_told_all_at_once(tmp_path: Path) -> None:
    files = {"vaults/a.yaml": "a: [\n", "vaults/b.yaml": "b: [\n", "vaults/c.yaml": "stack: x\n"}
    assert [found.split(" ")[0] for found in told(tmp_path, MAIN, files)] == [
        "vaults/a.yaml:2:1",
        "vaults/b.yaml:2:1",
        "vaults/c.yaml:1:1",
    ]


def test_an_empty_file_and_the_stack_file_itself_add_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "stack: s\ninclude: ['*.yaml']\nvaults: {one: {}}\n", {"empty.yaml": "# nothing yet\n"})
    assert list(found.desired.nodes) == ["one"]


def test_a_file_matched_twice_is_read_once(tmp_path: Path) -> None:
    text = "stack: s\ninclude: [vaults/a.yaml, vaults/*.yaml]\n"
    assert list(read(tmp_path, text, {"vaults/a.yaml": "vaults: {one: {}}\n"}).desired.nodes) == ["one"]


def test_variables_reach_into_included_files(tmp_path: Path) -> None:
    text = MAIN + "variables: {e: {default: dev}}\n"
    files = {"vaults/a.yaml": "vaults:\n  pay-${var.e}: {tags: {e: '${var.x}'}}\n"}
    assert told(tmp_path, text, files) == ["vaults/a.yaml:2:28 there is no variable `x`"]
    files = {"vaults/a.yaml": "vaults:\n  pay-${var.e}: {skuu: x}\n"}
    assert told(tmp_path, text, files) == ["vaults/a.yaml:2:18 a vault has no attribute `skuu`; did you mean `sku`?"]
