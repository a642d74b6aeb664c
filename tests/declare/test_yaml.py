"""Broken and hostile YAML: each problem with its exact place, never a traceback, never a long wait."""

import time
from pathlib import Path

import pytest

from kvstack.declare.yaml import data, scalar
from kvstack.terms.diagnostic import InvalidInput
from tests.declare.stacks import problems, read, told

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", ["1:1 a stack file is a mapping"], id="empty"),
        pytest.param("# only words\n", ["1:1 a stack file is a mapping"], id="comment"),
        pytest.param("~\n", ["1:1 a stack file is a mapping"], id="null"),
        pytest.param("- a\n", ["1:1 a stack file is a mapping"], id="list"),
        pytest.param("stack: [s\n", ["2:1 this is not YAML: did not find expected ',' or ']'"], id="open bracket"),
        pytest.param('stack: "s\n', ["2:1 this is not YAML: found unexpected end of stream"], id="open quote"),
        pytest.param(
            "stack: s\n  vaults: {}\n",
            ["2:9 this is not YAML: mapping values are not allowed in this context"],
            id="indent",
        ),
        pytest.param(
            "stack: s\nvaults:\n\tdev: {}\n",
            ["3:1 this is not YAML: found character that cannot start any token"],
            id="tab",
        ),
        pytest.param(
            "stack: s\nvaults: {dev: *v}\n", ["2:15 there is no anchor of that name before this alias"], id="alias"
        ),
        pytest.param(
            "stack: s\nvaults: &v {dev: *v}\n",
            ["2:18 there is no anchor of that name before this alias"],
            id="an alias of what holds it",
        ),
        pytest.param(BOMB, ["6:26 aliases make this file too large"], id="alias bomb"),
        pytest.param(b"stack: s\n# caf\xe9\n", ["2:6 this is not UTF-8 text"], id="latin-1"),
        pytest.param("stack: s\n".encode("utf-16"), ["1:1 this is not UTF-8 text"], id="utf-16"),
        pytest.param(
            "stack: s\nvaults:\n  dev: {tags: {a: b\x01}}\n",
            ["3:20 this is not YAML: control characters are not allowed"],
            id="control character",
        ),
        pytest.param("stack: s\nstack: t\n", ["2:1 `stack` stands here a second time"], id="twice at the top"),
        pytest.param(
            "stack: s\nstack: t\nvaults: {dev: {}, dev: {tags: {a: b, a: c}}}\n",
            [
                "2:1 `stack` stands here a second time",
                "3:19 `dev` stands here a second time",
                "3:38 `a` stands here a second time",
            ],
            id="twice at three levels",
        ),
        pytest.param(
            "stack: s\nvaults: {dev: {<<: {sku: premium}}}\n",
            ["2:16 merge keys (`<<`) are not part of YAML 1.2"],
            id="merge key",
        ),
        pytest.param('stack: s\n"": x\n', ["2:1 a key cannot be empty"], id="empty key"),
        pytest.param("stack: s\n: x\n", ["2:1 this is not YAML: did not find expected key"], id="no key"),
        pytest.param("stack: !!str s\n", ["1:8 tags (`!...`) have no meaning here"], id="tag"),
        pytest.param(
            "stack: s\nvaults: !vaults {}\n", ["2:9 tags (`!...`) have no meaning here"], id="tag of a mapping"
        ),
        pytest.param("!!str stack: s\n", ["1:1 tags (`!...`) have no meaning here"], id="tag of a key"),
        pytest.param("!!python/object/apply:os.system [id]\n", ["1:1 tags (`!...`) have no meaning here"], id="python"),
        pytest.param("stack: s\n---\nstack: t\n", ["2:1 a second document starts here"], id="two documents"),
        pytest.param("stack: s\n? [a]\n: b\n", ["2:3 a key is text here"], id="a list as a key"),
        pytest.param(
            "stack: s\nvaults: " + "{a: " * 200, ["2:197 this is nested more than 48 deep"], id="deep mappings"
        ),
        pytest.param("[" * 100_000, ["1:49 this is nested more than 48 deep"], id="deep lists"),
    ],
)
def test_broken_yaml_is_told_where_it_breaks(tmp_path: Path, text: str | bytes, expected: list[str]) -> None:
    found = list(dict.fromkeys(told(tmp_path, text)))
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("stack: " + "x" * 10_000_000, id="a line of 10 MB"),
        pytest.param("stack: s\nvaults: {" + "a" * 10_000_000 + ": {}}", id="a key of 10 MB"),
        pytest.param("stack: s\n" + "#" * 10_000_000 + "\nvaultss: {}\n", id="a comment of 10 MB"),
        pytest.param(BOMB, id="alias bomb"),
        pytest.param("stack: s\nvaults:\n  dev:\n    tags: {" + "a: b, " * 1000 + "}", id="a thousand doubles"),
    ],
)
def test_a_hostile_file_costs_no_more_than_reading_it(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    found = problems(tmp_path, text)
    assert time.process_time() - began < 5
    assert found
    assert all(len(str(diagnostic)) < 1000 for diagnostic in found)
    assert all(diagnostic.place is not None for diagnostic in found)


def test_a_file_beyond_64_mebibytes_is_refused_unread(tmp_path: Path) -> None:
    assert told(tmp_path, b"#" * (64 * 1024 * 1024 + 1)) == ["1:1 kvstack.yaml has 64 MiB"]


def test_a_byte_order_mark_moves_no_place(tmp_path: Path) -> None:
    assert told(tmp_path, b"\xef\xbb\xbfstack: s\nvaultss: {}\n") == [
        "2:1 a stack has no attribute `vaultss`; did you mean `vaults`?"
    ]
    assert read(tmp_path, b"\xef\xbb\xbfstack: s\n").desired.stack == "s"


def test_windows_line_ends_move_no_place(tmp_path: Path) -> None:
    assert told(tmp_path, "stack: s\r\nvaults:\r\n  dev: {skuu: premium}\r\n") == [
        "3:9 a vault has no attribute `skuu`; did you mean `sku`?"
    ]


def test_anchors_are_fine_and_shared_things_are_one_each(tmp_path: Path) -> None:
    found = read(tmp_path, "stack: s\nvaults:\n  dev: &v {sku: premium, keys: {a: {type: EC}}}\n  test: *v\n")
    assert list(found.desired.nodes) == ["dev", "dev/keys/a", "test", "test/keys/a"]


# https://yaml.org/spec/1.2.2/#103-core-schema
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("y", "y"), ("n", "n"),
        ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False),
        ("null", None), ("~", None), ("", None), ("nul", "nul"),
        ("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("017", 17),
        ("1_000", "1_000"), ("1:30", "1:30"), ("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("1.", 1.0),
        (".", "."), ("+", "+"), ("e3", "e3"), ("1.2.3", "1.2.3"), ("2027-01-31", "2027-01-31"),
        (".inf", ".inf"), (".nan", ".nan"), ("0x", "0x"), ("0o8", "0o8"),
    ],
)  # fmt: skip
def test_plain_text_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    assert data(f"a: {text}".encode(), "f") == {"a": value}


@pytest.mark.parametrize("text", ['"true"', "'true'", '"1"', "'~'", "|\n true", ">\n true"])
def test_quoted_text_stays_text(text: str) -> None:
    found = data(f"a: {text}\n".encode(), "f")["a"]
    assert isinstance(found, str)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert data(b"{1: a, true: b, ~: c, 2027-01-31: d}", "f") == {"1": "a", "true": "b", "~": "c", "2027-01-31": "d"}


def test_a_file_of_one_document_may_say_so() -> None:
    assert data(b"%YAML 1.2\n---\na: b\n...\n", "f") == {"a": "b"}


def test_all_that_is_wrong_with_the_yaml_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        data(b"a: !x y\na: *b\nc: {d: e, d: f}\n", "f")
    assert [str(found.place) for found in caught.value.diagnostics] == ["f:1:4", "f:2:1", "f:2:4", "f:3:11"]


def test_keys_of_keys_end_as_all_depth_does(tmp_path: Path) -> None:
    found = told(tmp_path, "{? " * 5_000)
    assert found[0] == "1:4 a key is text here"
    assert found[-1] == "1:145 this is nested more than 48 deep"
    assert len(found) < 100
