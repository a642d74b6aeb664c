"""The table of clients says of each the version that was run, and where it is run."""

import re
from importlib.metadata import version

import pytest

from tests.docs.shell import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
ROWS = re.findall(r"^\| ([a-z][a-z-]+) \| ([0-9.]+) \| (.+) \| \[.+\]\(\.\./(.+)\) \|$", PAGE, re.MULTILINE)


def test_there_are_rows_and_all_are_read() -> None:
    assert len(ROWS) == sum(line.startswith("| azure") for line in PAGE.splitlines()) >= 10


@pytest.mark.parametrize(("client", "told", "run", "file"), ROWS)
def test_a_client_of_the_table_is_run_in_this_version(client: str, told: str, run: str, file: str) -> None:
    assert version(client) == told
    content = (ROOT / file).read_text()
    for name in re.findall(r"`([A-Z][A-Za-z]+(?:Credential|Client))`", run):
        assert name in content, f"{file} runs no {name}"
