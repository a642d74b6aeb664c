"""Whatever is typed: an answer or an error, 0 or 1, never a traceback."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.cli.content import _harmless
from kvstack.cli.main import VERBS
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell

MINE = ("init", "run-due", "vault", "secret", "key", "access", "identity", "audit", "hsm", "managed-hsm")


def commands_of(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every verb with its words."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from commands_of((*words, name), one)
    else:
        yield words, command


COMMANDS = dict(
    found for verb in MINE for found in commands_of((verb,), import_module(f"kvstack.cli.{VERBS[verb][0]}").command)
)
# What an argument vector can hold: no NUL, and bytes that are no UTF-8 come as lone surrogates.
anything = st.text(
    st.characters(exclude_characters="\x00", codec="utf-8") | st.sampled_from("\udc80\udcff/-=:."), max_size=12
).filter(lambda text: not text.startswith("/") and ".." not in text)  # no file is made outside the test's folder
plausible = st.sampled_from(
    f"""{VAULT} {VAULT}/db-password {VAULT}/signing {VAULT}/new new-vault a=b 7 -1 0 2030-01-01T00:00:00Z none ES256
    P-256 A256GCM EC oct RSA-HSM sign Owner subscription vault/{VAULT} 00 AAAA premium operator
    6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11 user / . ./x""".split()
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a verb with options of its own, and values that are plausible or anything at all."""
    words = draw(st.sampled_from(list(COMMANDS)))
    line = [*words]
    if draw(st.booleans()):
        line.append(draw(st.sampled_from([VAULT, f"{VAULT}/db-password", f"{VAULT}/signing", f"{VAULT}/new"])))
    # What goes on until somebody ends it never answers.
    options = [
        option
        for option in COMMANDS[words].params
        if isinstance(option, click.Option) and "--follow" not in option.opts
    ]
    for option in draw(st.lists(st.sampled_from(options), max_size=4) if options else st.just([])):
        line.append(draw(st.sampled_from([*option.opts, *option.secondary_opts])))
        if not option.is_flag:
            choices = option.type.choices if isinstance(option.type, click.Choice) else ()
            line.append(draw(st.sampled_from(list(choices)) | plausible if choices else plausible | anything))
    return [*line, *draw(st.lists(plausible | anything, max_size=1))]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(line=command_lines(), stdin=st.binary(max_size=20))
def test_garbage_is_answered(shell: Shell, monkeypatch: pytest.MonkeyPatch, line: list[str], stdin: bytes) -> None:
    monkeypatch.chdir(shell.folder)  # what `--out` names is made there
    if line[0] == "init" or line[:2] == ["hsm", "recover"]:
        line.append("--no-hsm")
    result = shell(*line, stdin=stdin)
    assert result.code in (0, 1), result
    assert "Traceback" not in result.err
    assert result.code == 0 or result.err or result.out


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(plausible | anything | st.sampled_from(["--json", "--help", *VERBS]), max_size=4))
def test_garbage_in_the_place_of_a_verb_is_answered(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(shell.folder)
    # A server goes on until somebody ends it: this one cannot begin.
    result = shell(*arguments, *(["--port", "70000"] if "serve" in arguments else []))
    assert result.code in (0, 1, 2, 3), result
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "verb", [("vault", "list"), ("secret", "list", VAULT), ("audit", "verify"), ("hsm", "info"), ("run-due",)]
)
def test_without_a_vault_init_is_named(empty: Shell, verb: tuple[str, ...]) -> None:
    said = empty.refused(*verb)
    assert "there is no vault in" in said
    assert "kvstack init" in said


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100])
def test_a_damaged_vault_is_told(shell: Shell, damage: bytes) -> None:
    (shell.folder / ".kvstack" / "vault" / "vault.db").write_bytes(damage)
    for name in ("vault.db-wal", "vault.db-shm"):
        (shell.folder / ".kvstack" / "vault" / name).unlink(missing_ok=True)
    assert "vault" in shell.refused("secret", "list", VAULT)


def test_a_damaged_configuration_is_told(shell: Shell) -> None:
    (shell.folder / ".kvstack" / "vault" / "config.json").write_bytes(b"{")
    for verb in (["vault", "list"], ["hsm", "info"]):
        assert "is damaged" in shell.refused(*verb)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "there is no folder" in Shell(tmp_path / "nowhere").refused("vault", "list")


@pytest.mark.parametrize(
    ("value", "harmless"),
    [
        (b"plain", True),
        (b"-----BEGIN X-----\nabc\n", True),
        (b"a\tb\r\n", True),
        ("grün".encode(), True),
        (b"\x1b[2J", False),
        (b"a\rb", False),
        ("\u202e".encode(), False),
        (b"\xff", False),
        (b"\x00", False),
    ],
)
def test_a_terminal_gets_only_what_it_merely_shows(value: bytes, harmless: bool) -> None:
    assert _harmless(value) is harmless
