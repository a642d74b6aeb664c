"""Exportable keys planned: a policy changes in place until it is immutable, and exportable never does."""

import json
from pathlib import Path

import pytest

from kvstack.resources.key import Key
from kvstack.terms.release_policy import encoded, rules
from tests.declare.stacks import read, told
from tests.fakes.attestation import policy
from tests.plan.world import World

AUTHORITY = "https://attest.example.com"
SEALED = "app/keys/sealed"


def stack(body: str) -> str:
    return f"vaults: {{app: {{sku: premium, keys: {{sealed: {{type: EC-HSM, {body}}}}}}}}}"


def exportable(svn: int = 1, *, immutable: bool = False) -> str:
    text = policy(AUTHORITY, {"claim": "svn", "greaterOrEquals": svn}).decode()
    return stack(f"exportable: true, release_policy: {{policy: {text}, immutable: {str(immutable).lower()}}}")


PLAIN = stack("enabled: true")
CHANGES = {
    "nothing": (exportable(), exportable(), "no-op"),
    "another policy": (exportable(1), exportable(2), "update"),
    "immutable from now on": (exportable(), exportable(immutable=True), "update"),
    "immutable and another": (exportable(1, immutable=True), exportable(2, immutable=True), "refuse"),
    "immutable no longer": (exportable(immutable=True), exportable(), "refuse"),
    "immutable and the same": (exportable(immutable=True), exportable(immutable=True), "no-op"),
    "exportable too late": (PLAIN, exportable(), "refuse"),
    "exportable no longer": (exportable(), PLAIN, "refuse"),
}


@pytest.mark.parametrize(("before", "after", "action"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_comes_to(before: str, after: str, action: str) -> None:
    assert World.applied(before).declare(after).actions().get(SEALED, "no-op") == action


def test_a_refusal_says_why() -> None:
    changed = World.applied(exportable(1, immutable=True)).declare(exportable(2)).changes()[SEALED]
    assert changed.reasons[0] == "its release policy is immutable: it can never be changed"
    never = World.applied(PLAIN).declare(exportable()).changes()[SEALED]
    assert "decided when it is made" in " ".join(never.reasons)


def test_what_others_may_change_is_left_alone() -> None:
    text = exportable(2).replace("exportable: true", "exportable: true, lifecycle: {ignore_changes: [release_policy]}")
    assert World.applied(exportable(1, immutable=True)).declare(text).plan().empty


def test_a_policy_in_a_file_is_the_one_written_out(tmp_path: Path) -> None:
    document = policy(AUTHORITY, {"claim": "svn", "greaterOrEquals": 1})
    text = "stack: s\n" + stack("exportable: true, release_policy: {file: policies/x.json, immutable: true}")
    (node,) = (
        node.resource
        for node in read(tmp_path, text, {"policies/x.json": document}).desired.nodes.values()
        if isinstance(node.resource, Key)
    )
    assert node.release_policy is not None
    assert (node.release_policy.policy, node.release_policy.file) == (rules(document), None)
    assert node.release_policy.immutable
    assert sorted(node.operations or ()) == ["export", "sign", "verify"]


FILES = {
    "missing": ("x.json", None, "there is no file `x.json`"),
    "above": ("../x.json", None, "outside the stack's folder"),
    "somewhere else": ("/etc/passwd", None, "outside the stack's folder"),
    "a folder": ("policies", None, "there is no file"),
    "no policy": ("policies/x.json", b"{}", "no release policy"),
    "no JSON": ("policies/x.json", b"secret: hunter2", "no JSON"),
    "too long": ("policies/x.json", b" " * 20_000, "at most"),
}


@pytest.mark.parametrize(("name", "content", "words"), FILES.values(), ids=FILES)
def test_what_is_wrong_with_a_file_is_told_where_it_is_named(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    text = (
        "stack: s\nvaults:\n  app:\n    sku: premium\n    keys:\n      k:\n        type: EC-HSM\n"
        f"        exportable: true\n        release_policy: {{file: {name}}}\n"
    )
    (problem,) = told(tmp_path, text, {"policies/x.json": content or b"x"})
    assert problem.startswith("9:32 ")
    assert words in problem
    assert "hunter2" not in problem


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_bytes(policy(AUTHORITY))
    inside = tmp_path / "stack"
    inside.mkdir()
    (inside / "x.json").symlink_to(tmp_path / "outside.json")
    text = "stack: s\n" + stack("exportable: true, release_policy: {file: x.json}")
    assert "outside the stack's folder" in "".join(told(inside, text))


DECLARED = {
    "exportable alone": ("exportable: true", "needs a `release_policy`"),
    "a policy alone": ("release_policy: {policy: %s}", "has no release policy"),
    "neither": ("exportable: true, release_policy: {immutable: true}", "written out in `policy`"),
    "both": ("exportable: true, release_policy: {policy: %s, file: x.json}", "written out in `policy`"),
    "no authority": ("exportable: true, release_policy: {policy: {anyOf: []}}", "names no authority"),
    "allOf above": ("exportable: true, release_policy: {policy: {allOf: []}}", "allOf"),
    "an operator of none": (
        "exportable: true, release_policy: {policy: {anyOf: [{authority: a, allOf: [{claim: x, equal: 1}]}]}}",
        "did you mean `equals`",
    ),
}


@pytest.mark.parametrize(("body", "words"), DECLARED.values(), ids=DECLARED)
def test_what_no_vault_takes_is_told_in_the_declaration(tmp_path: Path, body: str, words: str) -> None:
    written = body.replace("%s", policy(AUTHORITY).decode())
    assert words in " ".join(told(tmp_path, "stack: s\n" + stack(written)))


WARNED = {
    "a software key": (exportable().replace("EC-HSM", "EC"), "ahead of Azure"),
    "without export": (exportable().replace("exportable:", "operations: [sign], exportable:"), "never released"),
}


@pytest.mark.parametrize(("text", "words"), WARNED.values(), ids=WARNED)
def test_what_deserves_a_word(tmp_path: Path, text: str, words: str) -> None:
    (warning,) = read(tmp_path, "stack: s\n" + text).warnings
    assert words in warning.summary
    assert warning.severity == "warning"


def test_variables_stand_in_policies(tmp_path: Path) -> None:
    rule = {
        "version": "1.0.0",
        "anyOf": [{"authority": "${var.who}", "allOf": [{"claim": "svn", "greater": "${var.svn}"}]}],
    }
    text = (
        f"stack: s\nvariables: {{who: {{type: string, default: {AUTHORITY}}}, svn: {{type: number, default: 3}}}}\n"
        + stack(f"exportable: true, release_policy: {{policy: {json.dumps(rule)}}}")
    )
    nodes = read(tmp_path, text).desired.nodes.values()
    (key,) = (node.resource for node in nodes if isinstance(node.resource, Key))
    assert key.release_policy is not None
    assert encoded(key.release_policy.policy or rules(b"")) == (
        b'{"anyOf":[{"authority":"https://attest.example.com","allOf":[{"claim":"svn","greater":3}]}],"version":"1.0.0"}'
    )
