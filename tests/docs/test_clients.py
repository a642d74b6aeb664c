"""The tables of clients say of each the version that was run, and where it is run."""

import json
import re
from importlib.metadata import version

import pytest

from tests.docs.shell import ROOT
from tests.server.clients.installed import folder

PAGE = (ROOT / "docs" / "clients.md").read_text()
CLIENTS = ROOT / "tests" / "server" / "clients"
ROWS = re.findall(r"^\| ([a-z][a-z-]+) \| ([0-9.b]+) \| (.+) \| \[.+\]\(\.\./(.+)\) \|$", PAGE, re.MULTILINE)
OTHERS = re.findall(
    r"^\| ([@a-z/-]+) \| (`az`|Node|Go|Java) \| ([0-9.]+) \| (.+) \| \[.+\]\(\.\./(.+)\) \|$", PAGE, re.MULTILINE
)


def pinned(client: str, language: str) -> str:
    """Return the version that is installed for a language."""
    match language:
        case "`az`":
            requirements = (ROOT / "requirements" / "az.txt").read_text()
            (found,) = re.findall(rf"^{client}==([0-9.]+) ", requirements, re.MULTILINE)
        case "Node":
            lock = json.loads((CLIENTS / "node" / "package-lock.json").read_text())
            found = lock["packages"][f"node_modules/{client}"]["version"]
        case "Java":
            lib = folder("java") / "lib"
            if not lib.exists():
                pytest.skip("Azure's client `java` is not installed: `scripts/clients.sh java` does it")
            (found,) = re.findall(rf"\b{client}-([0-9.]+)\.jar\b", " ".join(one.name for one in lib.iterdir()))
        case _:
            (found,) = re.findall(rf"/{client} v([0-9.]+)$", (CLIENTS / "go" / "go.mod").read_text(), re.MULTILINE)
    return str(found)


def test_there_are_rows_and_all_are_read() -> None:
    in_tables = sum(re.match(r"\| @?az", line) is not None for line in PAGE.splitlines())
    assert len(ROWS) + len(OTHERS) == in_tables >= 20


@pytest.mark.parametrize(("client", "told", "run", "file"), ROWS)
def test_a_client_of_the_table_is_run_in_this_version(client: str, told: str, run: str, file: str) -> None:
    assert version(client) == told
    _named_in(file, run)


@pytest.mark.parametrize(("client", "language", "told", "run", "file"), OTHERS)
def test_a_client_of_another_language_is_run_in_this_version(
    client: str, language: str, told: str, run: str, file: str
) -> None:
    assert pinned(client, language) == told
    if language in ("Node", "Go"):
        assert client in (ROOT / file).read_text()
    _named_in(file, run)


def test_what_is_pinned_names_no_registry() -> None:
    lock = json.loads((CLIENTS / "node" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in one and "resolved" not in one for one in packages.values())
    assert "://" not in (ROOT / "requirements" / "az.txt").read_text()


def _named_in(file: str, run: str) -> None:
    content = (ROOT / file).read_text()
    for name in re.findall(r"`([A-Z][A-Za-z]+(?:Credential|Client))`", run):
        assert name in content, f"{file} runs no {name}"
