"""Every command that an error, a hint or a page tells somebody to run exists."""

import re
from pathlib import Path

import click
import pytest

from kvstack.cli.main import kvstack
from tests.docs.shell import ROOT

# A command in backticks, up to where what it is about begins: a name filled in, an option, a placeholder in capitals.
_NAMED = re.compile(r"`kvstack ([a-z][a-z -]*)")
# README says that these are not there yet.
_PLANNED = frozenset({"kvstack serve"})
FILES = [
    *sorted((ROOT / "kvstack").rglob("*.py")),
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def unknown(words: str) -> str | None:
    """Return what of a command there is not, None where all of it is there."""
    context = click.Context(kvstack)
    group: click.Command = kvstack
    for word in words.split():
        if not isinstance(group, click.Group) or word.startswith("-"):
            return None  # what follows is an argument or an option
        found = group.get_command(context, word)
        if found is None:
            return f"kvstack {words.strip()}"
        group = found
    return None


@pytest.mark.parametrize(
    "file", [file for file in FILES if _NAMED.search(file.read_text())], ids=lambda file: file.name
)
def test_a_command_that_is_named_is_there(file: Path) -> None:
    found = {named for words in _NAMED.findall(file.read_text()) if (named := unknown(words))}
    assert found - _PLANNED == set()


def test_one_that_is_not_there_is_found() -> None:
    assert unknown("key rotation-policy set ") == "kvstack key rotation-policy set"
    assert unknown("no-such-verb") == "kvstack no-such-verb"
