"""Renderings of one rich plan, kept as files: what a reviewer of a change to them sees."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kvstack.render.diagnostics import diagnostics_terminal
from kvstack.render.json import document, drift_document, json_text, outcome_document
from kvstack.render.markdown import drift_markdown, markdown
from kvstack.render.outcome import outcome_terminal
from kvstack.render.progress import Printer
from kvstack.render.terminal import drift_terminal, terminal
from tests.render.example import EVENTS, OUTCOME, RICH

EXAMPLES = Path(__file__).parent / "examples"
# To make them anew: REGENERATE_EXAMPLES=1 pytest tests/render/test_examples.py, then read what changed.
REGENERATE = bool(os.environ.get("REGENERATE_EXAMPLES"))


def progress(*, live: bool) -> str:
    written: list[str] = []
    printer = Printer(written.append, total=5, width=80, colour=False, live=live)
    for event in EVENTS:
        printer(event)
    printer.close()
    # Terminals draw the status line anew; in a file each stands below the one before.
    return "".join(written).replace("\r\x1b[2K", "\n").lstrip("\n") if live else "".join(written)


MADE: dict[str, Callable[[], str]] = {
    "plan-40.txt": lambda: terminal(RICH, width=40, colour=False),
    "plan-80.txt": lambda: terminal(RICH, width=80, colour=False),
    "plan-120.txt": lambda: terminal(RICH, width=120, colour=False),
    "plan-80-colour.txt": lambda: terminal(RICH, width=80, colour=True),
    "plan.md": lambda: markdown(RICH),
    "plan-cut.md": lambda: markdown(RICH, limit=3_000),
    "plan.json": lambda: json_text(document(RICH)),
    "drift-40.txt": lambda: drift_terminal(RICH, width=40, colour=False),
    "drift-80.txt": lambda: drift_terminal(RICH, width=80, colour=False),
    "drift.md": lambda: drift_markdown(RICH),
    "drift.json": lambda: json_text(drift_document(RICH)),
    "diagnostics-80.txt": lambda: diagnostics_terminal(RICH.diagnostics, width=80, colour=False),
    "progress-plain.txt": lambda: progress(live=False),
    "progress-live.txt": lambda: progress(live=True),
    "apply-40.txt": lambda: outcome_terminal(OUTCOME, width=40, colour=False),
    "apply-80.txt": lambda: outcome_terminal(OUTCOME, width=80, colour=False),
    "apply.json": lambda: json_text(outcome_document(OUTCOME, stack="payments", environment="prod")),
}


@pytest.mark.parametrize("file", MADE)
def test_an_example_is_rendered_as_it_is_kept(file: str) -> None:
    made = MADE[file]()
    if REGENERATE:
        EXAMPLES.mkdir(exist_ok=True)
        (EXAMPLES / file).write_text(made, encoding="utf-8")

    assert made == (EXAMPLES / file).read_text(encoding="utf-8")


def test_every_example_kept_is_made() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(MADE)
