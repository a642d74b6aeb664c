"""A saved plan is done exactly as it was shown, or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cli.planning.small import STACK, TOKEN
from tests.e2e.command_line import CHANGES, ERROR, OK, Ran, write

Kvstack = Callable[..., Ran]


@pytest.fixture
def saved(folder: Path, kvstack: Kvstack) -> Path:
    write(folder, STACK)
    file = folder / "saved.plan"
    assert kvstack("plan", "--out", str(file), TOKEN=TOKEN).code == OK
    return file


def test_a_saved_plan_is_applied_without_asking(saved: Path, kvstack: Kvstack) -> None:
    ran = kvstack("apply", str(saved), TOKEN=TOKEN)
    assert ran.code == OK
    assert "Applied: 5 created." in ran.told
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == OK


def test_a_saved_plan_is_shown_as_it_was_planned(saved: Path, kvstack: Kvstack) -> None:
    assert kvstack("show", str(saved)).out == kvstack("plan", TOKEN=TOKEN).out
    assert kvstack("show", str(saved), "--json").json == kvstack("plan", "--json", TOKEN=TOKEN).json


def test_a_saved_plan_is_private_and_whole(saved: Path, folder: Path, kvstack: Kvstack) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    saved.chmod(0o644)
    assert kvstack("plan", "--out", str(saved), TOKEN=TOKEN).code == OK
    assert saved.stat().st_mode & 0o777 == 0o600, "a new file took the place of the old one"
    assert [path.name for path in folder.iterdir() if path.name.startswith((".saved", "saved"))] == ["saved.plan"]


def test_a_plan_is_applied_once(saved: Path, kvstack: Kvstack) -> None:
    assert kvstack("apply", str(saved), TOKEN=TOKEN).code == OK
    again = kvstack("apply", str(saved), TOKEN=TOKEN)
    assert again.code == ERROR
    assert "stale" in again.told


def stale_by_declaration(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK.replace("text/plain", "text/html"))


def stale_by_apply(folder: Path, kvstack: Kvstack) -> None:
    assert kvstack("apply", "--yes", "--target", "small-dev/keys/signing").code == OK


def stale_by_reality(folder: Path, kvstack: Kvstack) -> None:
    assert kvstack("vault", "create", "small-dev").code == OK


@pytest.mark.parametrize("change", [stale_by_declaration, stale_by_apply, stale_by_reality])
def test_a_stale_plan_is_refused_and_nothing_is_done(
    change: Callable[[Path, Kvstack], None], saved: Path, folder: Path, kvstack: Kvstack
) -> None:
    change(folder, kvstack)
    before = kvstack("plan", "--json", TOKEN=TOKEN).json["changes"]
    for form in ([], ["--json"]):
        ran = kvstack("apply", str(saved), *form, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert "stale" in ran.told
    assert kvstack("plan", "--json", TOKEN=TOKEN).json["changes"] == before


def test_a_value_that_is_not_the_planned_one_is_refused(saved: Path, kvstack: Kvstack) -> None:
    ran = kvstack("apply", str(saved), TOKEN="another value")
    assert ran.code == ERROR
    assert "small-dev/secrets/token" in ran.told
    assert kvstack("plan", "--json", TOKEN=TOKEN).json["summary"]["create"] == 5


def test_a_value_unknown_to_the_plan_is_set_at_apply(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK)
    file = str(folder / "blind.plan")
    assert kvstack("plan", "--out", file).code == OK
    ran = kvstack("apply", file)
    assert ran.code == ERROR
    assert "the environment variable TOKEN is not set" in ran.told
    assert kvstack("apply", file, TOKEN=TOKEN).code == OK


def test_a_value_compared_at_apply_may_make_just_that_version(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK)
    file = str(folder / "blind.plan")
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    assert kvstack("plan", "--out", file, "--detailed-exitcode").code == OK
    assert kvstack("apply", file, TOKEN="the next value").code == OK
    assert kvstack("plan", "--detailed-exitcode", TOKEN="the next value").code == OK
    assert kvstack("plan", "--detailed-exitcode", TOKEN=TOKEN).code == CHANGES


def test_a_plan_that_holds_a_refusal_is_not_saved(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK)
    assert kvstack("vault", "create", "small-dev").code == OK  # somebody else's
    ran = kvstack("plan", "--out", str(folder / "refused.plan"), TOKEN=TOKEN)
    assert ran.code == ERROR
    assert "The plan is not saved" in ran.err
    assert not (folder / "refused.plan").exists()


def test_a_plan_of_an_end_is_applied_as_one(saved: Path, folder: Path, kvstack: Kvstack) -> None:
    assert kvstack("apply", "--yes", TOKEN=TOKEN).code == OK
    assert kvstack("plan", "--destroy", "--out", str(saved)).code == OK
    assert kvstack("apply", str(saved)).code == OK
    assert kvstack("state", "list").out == ""


def test_a_plan_of_targets_is_applied_to_them(saved: Path, kvstack: Kvstack) -> None:
    assert kvstack("plan", "--out", str(saved), "--target", "small-dev/secrets/drawn").code == OK
    assert kvstack("apply", str(saved), "--target", "small-dev").code == ERROR
    assert kvstack("apply", str(saved)).code == OK
    assert kvstack("state", "list").out.split() == ["small-dev", "small-dev/secrets/drawn"]


def test_a_plan_for_another_folder_is_refused(saved: Path, folder: Path, tmp_path: Path, kvstack: Kvstack) -> None:
    assert kvstack("apply", str(saved), TOKEN=TOKEN).code == OK
    write(folder, STACK.replace("text/plain", "text/html"))
    assert kvstack("plan", "--out", str(saved), TOKEN=TOKEN).code == OK
    shutil.rmtree(folder / ".kvstack/state")
    assert kvstack("state", "rebuild", "--yes").code == OK
    ran = kvstack("apply", str(saved), TOKEN=TOKEN)
    assert ran.code == ERROR
    assert "another state" in ran.told


def test_a_plan_that_cannot_be_written_is_told(folder: Path, kvstack: Kvstack) -> None:
    write(folder, STACK)
    for place in (folder / "no-such-folder/plan", folder / "kvstack.yaml/plan"):
        ran = kvstack("plan", "--out", str(place), TOKEN=TOKEN)
        assert ran.code == ERROR
        assert f"the plan {place} cannot be written" in ran.told
    assert kvstack("plan", "--out", str(folder), TOKEN=TOKEN).code == ERROR


DAMAGES: list[Callable[[dict[str, object]], object]] = [
    lambda plan: plan["plan"].pop("changes"),  # type: ignore[attr-defined]
    lambda plan: plan["plan"]["changes"][0].update(action="explode"),  # type: ignore[index]
    lambda plan: plan["plan"]["changes"][0].pop("attributes"),  # type: ignore[index]
    lambda plan: plan["plan"].update(changes={}),  # type: ignore[attr-defined]
    lambda plan: plan["plan"].update(diagnostics=[{}]),  # type: ignore[attr-defined]
    lambda plan: plan["plan"].update(stack=7),  # type: ignore[attr-defined]
    lambda plan: plan.update(plan={}),
    lambda plan: plan.update(format="kvstack-plan-9"),
    lambda plan: plan.update(serial="many"),
    lambda plan: plan.update(more=1),
    lambda plan: plan.pop("lineage"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_plan_is_told(damage: Callable[[dict[str, object]], object], saved: Path, kvstack: Kvstack) -> None:
    content = msgspec.json.decode(saved.read_bytes())
    damage(content)
    saved.write_bytes(msgspec.json.encode(content))
    for verb in (["show", str(saved)], ["apply", str(saved)], ["show", str(saved), "--json"]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert str(saved) in ran.told


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000, b"stack: small\n", b"\0" * 100])
def test_a_file_that_is_no_plan_is_told(content: bytes, saved: Path, kvstack: Kvstack) -> None:
    saved.write_bytes(content)
    for verb in (["show", str(saved)], ["apply", str(saved)]):
        ran = kvstack(*verb, TOKEN=TOKEN)
        assert ran.code == ERROR
        assert "is no plan of kvstack" in ran.told


def test_an_edited_plan_does_nothing_that_a_plan_of_now_would_not(saved: Path, kvstack: Kvstack) -> None:
    content = msgspec.json.decode(saved.read_bytes())
    content["plan"]["changes"] = content["plan"]["changes"][:2]
    saved.write_bytes(msgspec.json.encode(content))
    ran = kvstack("apply", str(saved), TOKEN=TOKEN)
    assert ran.code == ERROR
    assert kvstack("plan", "--json", TOKEN=TOKEN).json["summary"]["create"] == 5
