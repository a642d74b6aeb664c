"""`kvstack deleted`: everything soft-deleted in one list, brought back or ended; and the picker."""

import os
import pty
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.cli.picking import Picking, pressed, screen
from kvstack.cli.table import columns
from kvstack.vault.deleted_things import KINDS, DeletedThing
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.e2e.command_line import environment
from tests.e2e.pseudo_terminal import on_a_terminal

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def emptied(shell: Shell) -> Shell:
    """A vault whose key and secret are deleted, and another vault that is."""
    shell.good("vault", "create", "other-vault")
    shell.good("vault", "delete", "other-vault")
    shell.good("secret", "delete", f"{VAULT}/db-password")
    shell.good("key", "delete", f"{VAULT}/signing")
    return shell


def names(shell: Shell, *arguments: str) -> list[str]:
    return [one["written"] for one in shell.good("deleted", "list", "--json", *arguments).json["deleted"]]


ALL = ["other-vault", f"{VAULT}/keys/signing", f"{VAULT}/secrets/db-password"]


def test_what_is_deleted_is_listed_with_its_dates_and_who_did_it(emptied: Shell) -> None:
    assert names(emptied) == ALL
    assert names(emptied, "--kind", "secret") == ALL[2:]
    assert names(emptied, "--vault", VAULT.upper()) == ALL[1:]
    said = emptied.good("deleted", "list").words
    assert f"secret {ALL[2]} " in said
    assert " operator" in said
    # Without a terminal, and without a verb, it is the list.
    assert emptied.good("deleted").text == emptied.good("deleted", "list").text


def test_nothing_deleted_is_told(shell: Shell) -> None:
    assert shell.good("deleted").text == "Nothing is soft-deleted.\n"
    assert shell.good("deleted", "list", "--json").json == {"deleted": []}
    assert shell.good("deleted", "recover", "--all").text == "Nothing is soft-deleted.\n"


def test_some_are_brought_back_by_name_the_rest_all_at_once(emptied: Shell) -> None:
    assert emptied.good("deleted", "recover", ALL[2].upper()).text == f"recovered secret {ALL[2]}\n"
    assert names(emptied) == ALL[:2]
    assert emptied.good("deleted", "recover", "--all").text == f"recovered vault other-vault\nrecovered key {ALL[1]}\n"
    assert names(emptied) == []
    emptied.good("secret", "show", f"{VAULT}/db-password")


def test_some_are_destroyed_for_good(emptied: Shell) -> None:
    assert "there is nobody to ask" in emptied.refused("deleted", "purge", "--all")
    purged = emptied.good("deleted", "purge", "--all", "--vault", VAULT, "--yes", "--json").json["purged"]
    assert [one["written"] for one in purged] == ALL[1:]
    assert names(emptied) == ALL[:1]


def test_what_fails_is_told_and_the_rest_is_done(emptied: Shell) -> None:
    emptied.good("vault", "create", "guarded", "--purge-protection")
    for name in ("a", "b"):
        emptied.good("secret", "set", f"guarded/{name}", stdin=b"x")
        emptied.good("secret", "delete", f"guarded/{name}")
    result = emptied("deleted", "purge", "--all", "--yes")
    assert result.code == 1
    assert sorted(result.text.splitlines()) == [
        f"purged key {ALL[1]}",
        f"purged secret {ALL[2]}",
        "purged vault other-vault",
    ]
    assert result.err.count("cannot be purged before") == 2
    document = emptied("deleted", "purge", "--all", "--yes", "--json")
    assert (document.code, len(document.json["diagnostics"])) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recover"], "name what is meant, or say `--all`"),
        (["recover", "x", "--all"], "name what is meant, or say `--all`"),
        (["recover", ALL[2], "--kind", "secret"], "go with `--all`"),
        (["recover", f"{VAULT}/secrets/db-passwrd", "nothing"], f"did you mean `{ALL[2]}`?"),
    ],
)
def test_what_makes_no_sense_is_refused(emptied: Shell, arguments: list[str], words: str) -> None:
    assert words in emptied.refused("deleted", *arguments)
    assert names(emptied) == ALL


def test_two_are_picked_on_a_terminal_and_recovered(emptied: Shell) -> None:
    ran = on_a_terminal(emptied.folder, "deleted", typed=" j ", waits_for="q quit")
    assert ran.code == 0, ran
    assert names(emptied) == [ALL[1]]
    assert "recovered vault other-vault" in ran.out
    assert ran.out.rindex("\x1b[?1049l") < ran.out.rindex("recovered vault")  # the screen was put back first


def test_ctrl_c_leaves_the_picker_and_everything_as_it_was(emptied: Shell) -> None:
    ran = on_a_terminal(emptied.folder, "deleted", typed=None, waits_for="q quit")
    assert ran.code == 0, ran
    assert "\x1b[?1049l" in ran.out
    assert "Nothing was recovered." in ran.out
    assert names(emptied) == ALL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_the_picker_leaves_the_terminal_as_it_was(emptied: Shell, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(emptied.folder), "deleted"],
        env=environment(TERM="xterm-256color"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    seen = b""
    while b"q quit" not in seen:
        seen += os.read(ours, 65536)
    assert termios.tcgetattr(theirs) != before  # it was the picker's
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert termios.tcgetattr(theirs) == before
    os.set_blocking(ours, False)
    assert b"\x1b[?1049l" in os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert names(emptied) == ALL


def thing(kind: str, number: int) -> DeletedThing:
    name = f"vault-{number}"
    return DeletedThing(kind, name, f"thing-{number}", NOW, NOW, "somebody", protected=False)  # type: ignore[arg-type]


KEYS = st.lists(st.sampled_from(["up", "down", "home", "end", " ", "a", "t", "x", "enter"]), max_size=30)
THINGS = st.lists(st.sampled_from(KINDS), max_size=12).map(
    lambda kinds: tuple(thing(kind, number) for number, kind in enumerate(kinds))
)


@given(THINGS, KEYS, st.integers(20, 120), st.integers(5, 30))
def test_whatever_is_pressed_the_cursor_is_on_something_and_the_screen_fits(
    things: tuple[DeletedThing, ...], keys: list[str], width: int, height: int
) -> None:
    state = Picking(things)
    for key in keys:
        following = pressed(state, key)
        if isinstance(following, str):
            assert following == "recover"
            assert state.chosen
            return
        state = following
        assert state.marked <= {one.written for one in things}
        assert not state.shown or 0 <= state.cursor < len(state.shown)
        lines = screen(state, width, height, str.upper)
        assert len(lines) <= max(height, 5)
        assert all(columns(line.replace("\x1b[7m", "").replace("\x1b[0m", "")) <= width for line in lines)


def test_a_managed_hsm_that_nobody_has_activated_hides_nothing(hsm: Shell) -> None:
    hsm.good("managed-hsm", "create", "treasury")
    listed = hsm.good("deleted", "list")
    assert (listed.text, listed.err) == ("Nothing is soft-deleted.\n", "")
