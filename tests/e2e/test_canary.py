"""No secret value anywhere it should not be: files, output, errors, process arguments; in no form."""

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import OK, begun, ended, write
from tests.e2e.forks import Forks

# Characters that every way of writing text down treats differently.
CANARIES = {
    "env": 'canary-env-"<&>"-ü/+ 7f3a',
    "file": "canary-file-'\\\t'-ß/+ 91bc",
    "command": "canary-command-%$-é/+ 55de",
    "later": 'canary-later-"<&>"-ü/+ 0aa1',
}
STACK = """
stack: canary
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
vaults:
  canary-one:
    access:
      - {principal: alice, role: Reader}
    keys:
      signing: {type: EC}
    secrets:
      from-env: {value_from: {env: CANARY}}
      from-file: {value_from: {file: given/value.txt}}
      commanded: {value_from: {command: [cat, given/command.txt]}}
      failing: {value_from: {command: [sh, -c, "cat given/command.txt; cat given/command.txt >&2; exit 3"]}}
      drawn: {value_from: {generate: {length: 40}}}
"""
GIVEN = "given"  # the one folder where values lie in clear: the user's own


def forms(value: str) -> set[bytes]:
    """Return a value as it may be written down."""
    raw = value.encode()
    found = {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        urllib.parse.quote(value).encode(),
        urllib.parse.quote_plus(value).encode(),
        json.dumps(value)[1:-1].encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        repr(value)[1:-1].encode(),
        value.encode("utf-16-le"),
        raw[:14],
        raw[-6:],
    }
    # Base64 of a value that begins at any offset: what stands in the middle of it is the same.
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * offset + raw).rstrip(b"=")
            found.add(coded[4 if offset else 0 : -4])
    return found


def found_in(content: bytes, values: dict[str, str]) -> set[str]:
    """Return the names of the values that stand in a content, in any form."""
    return {name for name, value in values.items() if any(form in content for form in forms(value))}


def found_under(folder: Path, values: dict[str, str]) -> dict[str, set[str]]:
    """Return where values stand in files; what the user has put there aside."""
    return {
        str(path.relative_to(folder)): found
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] != GIVEN
        and (found := found_in(path.read_bytes(), values))
    }


class Watch:
    """Looks at the arguments of every process, again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.002):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue  # it has ended meanwhile

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def watch() -> Iterator[Watch]:
    found = Watch()
    yield found
    found.close()


def test_the_search_finds_what_was_planted_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for form in forms(CANARIES["env"]):
        (tmp_path / "a/file").write_bytes(b"\0\1 something " + form + b" and more")
        assert "env" in found_under(tmp_path, CANARIES)["a/file"]
    (tmp_path / "a/file").write_bytes(b"something else")
    assert not found_under(tmp_path, CANARIES)


def test_no_value_is_anywhere_it_should_not_be(folder: Path, forks: Forks) -> None:
    write(folder, STACK)
    (folder / GIVEN).mkdir()
    write(folder / GIVEN, CANARIES["file"], "value.txt")
    write(folder / GIVEN, CANARIES["command"], "command.txt")
    told: list[bytes] = []

    def run(*arguments: str, value: str = CANARIES["env"]) -> int:
        ran = forks.run("-C", str(folder), *arguments, environ={"CANARY": value})
        told.append(ran.out.encode() + ran.err.encode())
        return ran.code

    for form in ([], ["--json"], ["--markdown"]):
        run("plan", *form)
    run("plan", "--out", str(folder / "first.plan"))
    assert run("apply", str(folder / "first.plan")) == 1, "one command fails"
    run("show", str(folder / "first.plan"))
    write(folder, STACK.replace("exit 3", "exit 0"))
    assert run("apply", "--yes", "--json") == OK
    verbs = [
        ["plan", "--json"],
        ["plan", "--out", str(folder / "second.plan")],
        ["drift"],
        ["drift", "--json"],
        ["validate", "--json"],
        ["state", "list", "--json"],
        ["state", "show", "canary-one/secrets/from-env", "--json"],
        ["show", "canary-one/secrets/from-env"],
        ["show", "canary-one/secrets/from-file", "--json"],
        ["secret", "list", "canary-one", "--json"],
        ["secret", "show", "canary-one/from-env", "--json"],
        ["secret", "list-versions", "canary-one/from-env"],
        ["audit", "tail", "--json"],
        ["--as", "alice", "plan"],
        ["--as", "alice", "apply", "--yes"],
        ["import", "canary-one/secrets/from-env"],
        ["state", "rebuild", "--yes"],
        ["state", "move", "canary-one/secrets/drawn", "canary-one/secrets/other"],
        ["state", "move", "canary-one/secrets/other", "canary-one/secrets/drawn"],
        ["state", "forget", "canary-one/secrets/from-file"],
    ]
    for verb in verbs:
        run(*verb)
    for form in ([], ["--json"], ["--out", str(folder / "third.plan")]):
        run("plan", *form, value=CANARIES["later"])
    run("apply", str(folder / "second.plan"), value=CANARIES["later"])
    run("apply", "--yes", value=CANARIES["later"])
    for step in (20, 40, 60, 80, 100):  # killed on the way, with a journal left behind
        forks.run("-C", str(folder), "apply", "--yes", environ={"CANARY": f"{CANARIES['env']}{step}"}, steps=step)
        assert not found_under(folder, CANARIES)
    run("apply", "--yes", value="x" * 30_000 + CANARIES["env"])  # longer than a vault takes
    run("apply", "--yes")
    run("destroy", "--yes")
    assert len(told) > 30
    for content in told:
        assert not found_in(content, CANARIES), content.decode()
    assert not found_under(folder, CANARIES)


def test_no_generated_value_is_in_clear_either(folder: Path, forks: Forks) -> None:
    write(
        folder, "stack: drawn\nvaults:\n  drawn-one:\n    secrets:\n      a: {value_from: {generate: {length: 40}}}\n"
    )
    told = [forks.run("-C", str(folder), *verb) for verb in (["apply", "--yes"], ["plan", "--json"], ["drift"])]
    value = forks.run("-C", str(folder), "secret", "show", "drawn-one/a", "--value").out
    assert len(value.strip()) == 40
    drawn = {"drawn": value.strip()}
    assert not found_under(folder, drawn)
    assert not any(found_in(ran.out.encode() + ran.err.encode(), drawn) for ran in told)


def test_no_value_is_an_argument_of_a_process(folder: Path, watch: Watch) -> None:
    write(folder, STACK.replace("exit 3", "sleep 0.2"))
    (folder / GIVEN).mkdir()
    write(folder / GIVEN, CANARIES["file"], "value.txt")
    write(folder / GIVEN, CANARIES["command"], "command.txt")
    assert ended(begun(folder, "apply", "--yes", CANARY=CANARIES["env"])).code == OK
    assert any(b"cat given/command.txt" in arguments for arguments in watch.seen), "it has looked in time"
    assert not found_in(b"\n".join(watch.seen), CANARIES)
