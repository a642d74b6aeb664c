"""Whatever stands on the command line or in a file: an exit code of the contract, words, never a traceback."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli.planning.small import STACK, TOKEN
from tests.e2e.command_line import OK, copied, write
from tests.e2e.forks import Forks

CODES = {0, 1, 2, 3}
WORDS = [
    "plan",
    "apply",
    "destroy",
    "drift",
    "import",
    "show",
    "state",
    "validate",
    "schema",
    "list",
    "move",
    "forget",
    "unlock",
    "rebuild",
    "--yes",
    "--json",
    "--markdown",
    "--destroy",
    "--refresh-only",
    "--detailed-exitcode",
    "--target",
    "--out",
    "--allow-file",
    "--env",
    "--var",
    "--as",
    "env=prod",
    "prod",
    "alice",
    "small-dev",
    "small-dev/secrets/token",
    "small-dev/keys/signing",
    "access",
    "/",
    "//",
    "..",
    "",
    "-",
    "--",
    "--help",
    "--version",
    "=",
    "\N{SNOWMAN}",
    "\udcff",
    "\x1b[2J",
    "a" * 5000,
    "kvstack.yaml",
]
GARBAGE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def place(software_vault: Path, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied(software_vault, tmp_path_factory.mktemp("garbage") / "stack")
    write(folder, STACK)
    assert forks.run("-C", str(folder), "apply", "--yes", environ={"TOKEN": TOKEN}).code == OK
    return folder


def fresh(place: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return copied(place, folder)


@GARBAGE
@given(
    arguments=st.lists(st.sampled_from(WORDS) | st.text(max_size=8).filter(lambda text: "\0" not in text), max_size=7)
)
@example(arguments=["show", "\udcff", "--json"])
@example(arguments=["show", "\udcff"])
@example(arguments=["plan", "--target", "\udcff", "--json"])
@example(arguments=["--var", "\udcff=x", "plan"])
@example(arguments=["--as", "\udcff", "plan"])
@example(arguments=["plan", "--out", "\udcff/\udcfe"])
@example(arguments=["state", "move", "small-dev", ""])
@example(arguments=["state", "move", "small-dev", "small-dev/x"])
@example(arguments=["import", ""])
@example(arguments=["show", "a" * 5000])
@example(arguments=["apply", "a" * 5000])
def test_any_arguments(arguments: list[str], place: Path, forks: Forks, tmp_path: Path) -> None:
    folder = fresh(place, tmp_path / "stack")
    ran = forks.run("-C", str(folder), *arguments, environ={"TOKEN": TOKEN}, cwd=str(tmp_path))
    assert ran.code in CODES, str(ran)
    assert ran.out or ran.err or ran.code == OK
    if ran.code == 1 and "--json" in arguments and "--help" not in arguments:
        assert ran.json is not None


@pytest.mark.slow
@GARBAGE
@given(data=st.data())
def test_any_file_where_kvstack_keeps_its_own(data: st.DataObject, place: Path, forks: Forks, tmp_path: Path) -> None:
    folder = fresh(place, tmp_path / "stack")
    names = [
        ".kvstack/state/small.json",
        ".kvstack/vault/config.json",
        ".kvstack/keys/kek",
        "kvstack.yaml",
    ]
    file = folder / data.draw(st.sampled_from(names))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "double"])):
            case "flip":
                content[position] ^= data.draw(st.integers(1, 255))
            case "cut":
                del content[position : position + data.draw(st.integers(1, 50))]
            case "insert":
                content[position:position] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                content += content[position:]
        if not content:
            break
    file.write_bytes(content)
    for verb in (["plan", "--json"], ["apply", "--yes"], ["drift"], ["state", "list"]):
        ran = forks.run("-C", str(folder), *verb, environ={"TOKEN": TOKEN})
        assert ran.code in CODES, str(ran)
        assert ran.out or ran.err or verb == ["state", "list"]


@pytest.mark.slow
@GARBAGE
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_stack_file(content: bytes, place: Path, forks: Forks, tmp_path: Path) -> None:
    folder = fresh(place, tmp_path / "stack")
    (folder / "kvstack.yaml").write_bytes(content)
    for verb in (["validate", "--json"], ["plan"], ["destroy"]):
        ran = forks.run("-C", str(folder), *verb)
        assert ran.code in CODES, str(ran)
        assert ran.err or ran.out


@pytest.mark.slow
@GARBAGE
@given(content=st.binary(max_size=200))
def test_any_journal(content: bytes, place: Path, forks: Forks, tmp_path: Path) -> None:
    folder = fresh(place, tmp_path / "stack")
    (folder / ".kvstack/state/small.journal").write_bytes(content)
    ran = forks.run("-C", str(folder), "plan", "--detailed-exitcode", environ={"TOKEN": TOKEN})
    assert ran.code in CODES, str(ran)
    if ran.code == 1:
        assert "state rebuild" in ran.told
