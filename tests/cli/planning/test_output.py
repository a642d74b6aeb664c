"""Where what is told goes, and how it looks: the answer on standard output, all else on standard error."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.planning.small import ADDRESSES, STACK, TOKEN
from tests.e2e.command_line import ERROR, INTERRUPTED, OK, ROOT, Ran, write
from tests.e2e.pseudo_terminal import on_a_terminal

Kvstack = Callable[..., Ran]
COLOUR = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def declared(folder: Path) -> Path:
    write(folder, STACK)
    return folder


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "schemas" / f"{name}.json").read_text())
    return found


def test_the_answer_is_on_standard_output_and_progress_is_not(declared: Path, kvstack: Kvstack) -> None:
    planned = kvstack("plan", TOKEN=TOKEN)
    assert planned.out.rstrip().endswith("Plan: 5 to create.")
    assert planned.err == ""
    applied = kvstack("apply", "--yes", TOKEN=TOKEN)
    assert "Applied: 5 created." in applied.out
    assert "small-dev/keys/signing: created" in applied.err
    assert "created in" not in applied.out
    empty = kvstack("plan", TOKEN=TOKEN)
    assert (empty.out, empty.err) == ("No changes. What is there is what is declared.\n", "")


def test_errors_are_on_standard_error_and_the_answer_is_empty(declared: Path, kvstack: Kvstack) -> None:
    for verb in (["show", "nothing"], ["state", "list"], ["import", "nothing"], ["plan", "--nonsense"], ["nonsense"]):
        ran = kvstack(*verb)
        assert ran.code == ERROR
        assert ran.out == ""
        assert ran.err.startswith("error: ")


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        (["plan", "--json"], "plan"),
        (["apply", "--yes", "--json"], "apply"),
        (["drift", "--json"], "drift"),
        (["validate", "--json"], "diagnostics"),
        (["destroy", "--yes", "--json"], "apply"),
    ],
)
def test_json_is_one_document_of_its_schema(verb: list[str], name: str, declared: Path, kvstack: Kvstack) -> None:
    if verb[0] in ("drift", "destroy"):
        assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    ran = kvstack(*verb, TOKEN=TOKEN)
    assert ran.code == OK
    jsonschema.validate(ran.json, schema(name))
    assert ran.err == ""


@pytest.mark.parametrize(
    "verb",
    [
        ["plan", "--json", "--target", "nothing"],
        ["plan", "--json", "--markdown"],
        ["plan", "--json", "--nonsense"],
        ["apply", "--json"],
        ["apply", "nothing.plan", "--json"],
        ["apply", "--json", "--yes", "--target", "nothing"],
        ["apply", "--json", "--yes"],
        ["import", "nothing", "--json"],
        ["show", "nothing", "--json"],
        ["state", "list", "--json"],
        ["state", "show", "nothing", "--json"],
        ["validate", "--json", "--nonsense"],
    ],
    ids=lambda verb: " ".join(verb),
)
def test_errors_are_json_too_where_json_was_asked_for(verb: list[str], declared: Path, kvstack: Kvstack) -> None:
    ran = kvstack(*verb)  # without the value that `apply` needs
    assert ran.code == ERROR
    document = ran.json
    if set(document) == {"diagnostics"}:
        jsonschema.validate(document, schema("diagnostics"))
    assert [one["summary"] for one in document["diagnostics"] if one["severity"] == "error"]


def test_a_wrong_declaration_is_told_with_its_place_by_every_verb(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK.replace("content_type", "contenttype"))
    for verb in (["plan"], ["apply", "--yes"], ["destroy", "--yes"], ["drift"], ["validate"], ["show", "x"]):
        ran = kvstack(*verb)
        assert ran.code == ERROR
        assert "kvstack.yaml:16:41: a secret has no attribute `contenttype`" in ran.told
        found = kvstack(*verb, "--json").json["diagnostics"]
        assert [(one["file"], one["line"], one["column"]) for one in found] == [("kvstack.yaml", 16, 41)]


def test_json_has_no_colour_even_on_a_terminal(declared: Path) -> None:
    ran = on_a_terminal(declared, "plan", "--json", TOKEN=TOKEN)
    assert not COLOUR.search(ran.out)
    assert ran.json["summary"]["create"] == 5


def test_a_terminal_gets_colour_unless_it_wants_none(declared: Path) -> None:
    assert COLOUR.search(on_a_terminal(declared, "plan", TOKEN=TOKEN).out)
    assert not COLOUR.search(on_a_terminal(declared, "plan", TOKEN=TOKEN, NO_COLOR="1").out)
    assert COLOUR.search(on_a_terminal(declared, "show", "nothing").out)
    assert not COLOUR.search(on_a_terminal(declared, "show", "nothing", NO_COLOR="1").out)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int, declared: Path) -> None:
    ran = on_a_terminal(declared, "plan", columns=columns, TOKEN=TOKEN, NO_COLOR="1")
    assert ran.code == OK
    assert max(map(len, ran.out.splitlines())) <= columns
    for address in ADDRESSES:
        assert address in "".join(ran.out.split())


def test_a_terminal_narrower_than_forty_columns_is_taken_for_forty(declared: Path) -> None:
    ran = on_a_terminal(declared, "plan", columns=10, TOKEN=TOKEN, NO_COLOR="1")
    assert max(map(len, ran.out.splitlines())) <= 40


@pytest.mark.parametrize(
    ("typed", "code"),
    [("yes", OK), ("y", ERROR), ("YES", ERROR), ("", ERROR), ("no", ERROR), ("yes please", ERROR), (None, INTERRUPTED)],
)
def test_only_yes_is_taken_for_it(typed: str | None, code: int, declared: Path, kvstack: Kvstack) -> None:
    ran = on_a_terminal(declared, "apply", typed=typed, TOKEN=TOKEN)
    assert ran.code == code, ran.out
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == (OK if code == OK else 2)
    if typed is not None and code == ERROR:
        assert "nothing was changed" in ran.told


def test_with_json_nobody_is_asked_what_was_not_shown(declared: Path) -> None:
    ran = on_a_terminal(declared, "apply", "--json", typed="yes", TOKEN=TOKEN)
    assert ran.code == ERROR
    assert "there is nobody to ask" in ran.told


def test_a_terminal_sees_how_far_an_apply_is(declared: Path) -> None:
    ran = on_a_terminal(declared, "apply", "--yes", TOKEN=TOKEN, NO_COLOR="1")
    assert ran.code == OK
    assert "of 5" in ran.out
    assert "Applied: 5 created." in ran.out


def test_what_a_vault_says_cannot_hide_a_line(declared: Path, kvstack: Kvstack) -> None:
    write(declared, STACK.replace("content_type: text/plain", 'tags: {note: "\\e[2K\\e[1A\\rgone\\n- x"}'))
    ran = on_a_terminal(declared, "plan", TOKEN=TOKEN, NO_COLOR="1")
    if ran.code == OK:
        assert "\x1b" not in ran.out
    assert kvstack("validate").code in (OK, ERROR)


# --target, --env, --var


def test_a_target_is_planned_with_what_it_depends_on(declared: Path, kvstack: Kvstack) -> None:
    changes = kvstack("plan", "--json", "--target", "small-dev/secrets/drawn", TOKEN=TOKEN).json["changes"]
    assert [change["address"] for change in changes] == ["small-dev", "small-dev/secrets/drawn"]
    ran = kvstack("apply", "--yes", "--target", "small-dev/secrets/drawn")
    assert ran.code == OK
    assert "restricted by --target" in ran.told
    rest = kvstack("plan", "--json", TOKEN=TOKEN).json["changes"]
    assert {change["address"] for change in rest} == set(ADDRESSES) - {"small-dev", "small-dev/secrets/drawn"}


def test_several_targets_and_none_that_is_there(declared: Path, kvstack: Kvstack) -> None:
    targets = ["--target", "small-dev/secrets/drawn", "--target", "small-dev/keys"]
    ran = kvstack("plan", "--json", *targets, TOKEN=TOKEN)
    if ran.code == OK:
        assert {"small-dev/keys/signing"} <= {change["address"] for change in ran.json["changes"]}
    wrong = kvstack("apply", "--yes", "--target", "small-dev/secrets/drwan")
    assert wrong.code == ERROR
    assert "nothing is declared or recorded at `small-dev/secrets/drwan`" in wrong.told


def test_variables_and_environments_choose_the_vault(declared: Path, kvstack: Kvstack) -> None:
    def vault(*options: str, **environ: str) -> str:
        return str(kvstack(*options, "plan", "--json", TOKEN=TOKEN, **environ).json["changes"][0]["address"])

    assert vault() == "small-dev"
    assert vault("--env", "prod") == "small-prod"
    assert vault("--var", "env=prod") == "small-prod"
    assert vault(KVSTACK_VAR_env="prod") == "small-prod"
    assert vault("--var", "env=dev", KVSTACK_VAR_env="prod") == "small-dev"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--var", "env=test"], "`test`"),
        (["--var", "evn=dev"], "evn"),
        (["--var", "env"], "is not NAME=VALUE"),
        (["--var", "=dev"], "is not NAME=VALUE"),
        (["--env", "prd"], "did you mean `prod`?"),
        (["-C", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_wrong_options_are_told(options: list[str], words: str, declared: Path, kvstack: Kvstack) -> None:
    for verb in (["plan"], ["plan", "--json"]):
        ran = kvstack(*options, *verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert words in ran.told


def test_an_environment_has_a_state_of_its_own(declared: Path, kvstack: Kvstack) -> None:
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    assert kvstack("--env", "prod", "apply", "--yes", TOKEN=TOKEN).code == OK
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK
    assert kvstack("--env", "prod", "plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK
    assert {path.name for path in (declared / ".kvstack/state").glob("*.json")} == {"small.json", "small.prod.json"}
    assert kvstack("--env", "prod", "destroy", "--yes").code == OK
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK
