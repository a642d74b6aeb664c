"""What the pages say is true: every command in them runs, shows what is printed there, and every stack is valid.

`KVSTACK_WRITE_DOCS=1 pytest tests/docs` writes what the commands show now into the pages.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from kvstack.declare.declaration import declaration
from kvstack.declare.yaml import data
from kvstack.hsm.find import find_module
from tests.docs.blocks import Block, Command, agrees, blocks
from tests.docs.shell import ROOT, Shell

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITING = bool(os.environ.get("KVSTACK_WRITE_DOCS"))
HOME = "/home/you/shop"
NO_HSM = "no PKCS#11 module is found: the pages show a vault with an HSM"


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _has_commands(page: Path) -> bool:
    return any(block.language in ("console", "sh") and "not-run" not in block.words for block in blocks(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if _has_commands(page)], ids=_name)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, tmp_path: Path) -> None:
    if find_module() is None:
        pytest.skip(NO_HSM)
    if "openssl" in page.read_text() and shutil.which("openssl") is None:
        pytest.skip("there is no openssl, which a page uses")
    folder = tmp_path / "shop"
    folder.mkdir()
    shell = Shell(folder)
    wrong: list[str] = []
    written: list[tuple[Command, tuple[str, ...]]] = []
    try:
        for block in blocks(page):
            if block.file is not None:
                (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file).write_text(block.text)
            elif block.language == "sh" and "not-run" not in block.words:
                code, shown = shell.run(block.text)
                if code:
                    wrong.append(f"{_name(page)}:{block.start + 1}: exits with {code}\n" + "\n".join(shown))
            elif block.language == "console":
                for command in block.commands():
                    code, lines = shell.run(command.text)
                    # The folder has another name each time; readers see one of their own.
                    shown = tuple(line.replace(str(folder), HOME) for line in lines)
                    if not agrees(command.output, shown):
                        written.append((command, shown))
                    if code != command.code or (not WRITING and not agrees(command.output, shown)):
                        wrong.append(_difference(page, command, code, shown))
    finally:
        shell.close()
    if WRITING:
        _write(page, written)
    assert not wrong, "\n\n".join(wrong)


def _difference(page: Path, command: Command, code: int, shown: tuple[str, ...]) -> str:
    expected, found = "\n".join(command.output), "\n".join(shown)
    return (
        f"{_name(page)}:{command.first}: $ {command.text}\n--- exits with {command.code} in the page, with {code} now\n"
        f"--- the page shows\n{expected}\n--- it shows now\n{found}"
    )


def _write(page: Path, outputs: list[tuple[Command, tuple[str, ...]]]) -> None:
    lines = page.read_text().splitlines()
    for command, shown in reversed(outputs):
        lines[command.first : command.last] = shown
    page.write_text("\n".join(lines) + "\n")


def _yaml() -> list[tuple[Path, Block]]:
    return [
        (page, block)
        for page in PAGES
        for block in blocks(page)
        if block.language == "yaml" and "broken" not in block.words
    ]


@pytest.mark.parametrize(
    ("page", "block"), [pytest.param(*found, id=f"{_name(found[0])}:{found[1].start + 1}") for found in _yaml()]
)
def test_a_stack_in_a_page_is_valid(page: Path, block: Block, tmp_path: Path) -> None:
    content = data(block.text.encode(), page.name)
    assert isinstance(content, dict)
    if block.words[1:2] == ("workflow",):
        return  # a pipeline's file, not a stack
    text = block.text if "stack" in content else f"stack: example\n{block.text}"
    (tmp_path / "kvstack.yaml").write_text(text)
    for pattern in content.get("include", ()):
        target = tmp_path / pattern.replace("*", "example")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("vaults: {}\n")
    declaration(tmp_path)


def _links(page: Path) -> list[str]:
    text = "\n".join(line for line in page.read_text().splitlines() if not line.startswith("    "))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        target, _, heading = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{_name(page)}: {link}"
        if heading:
            titles = [line.lstrip("# ") for line in there.read_text().splitlines() if line.startswith("#")]
            assert heading in {_anchor(title) for title in titles}, f"{_name(page)}: {link}"


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
