"""What every test can count on, and what a run left out, said out loud."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# A machine that is busy with something else is no counterexample. What CI says of a commit does not hang on luck: it
# takes the same examples each time; everywhere else new ones are drawn at every run.
settings.register_profile("kvstack", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("kvstack")

_WHY_DESELECTED = {
    "toolchain": "needs another toolchain (Go, Node, Java, a browser, az): `make test-all` runs it",
    "slow": "slow: `make test` runs it",
}
_deselected = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of whoever runs the tests reaches them: an empty home, no setting of kvstack, no wish about colour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in os.environ:
            if name.startswith("KVSTACK_") and name != "KVSTACK_PKCS11_MODULE":  # that one says where the HSM is
                patch.delenv(name)
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        yield


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_deselected] = Counter[str]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        item.config.stash[_deselected][_why_deselected(item)] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    # In a worker of pytest-xdist: what it deselected, for the process that sums up.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        deselected = session.config.stash[_deselected]
        output["deselected"] = dict(deselected)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Each worker collects the whole suite and deselects the same tests, so they are not added up.
    output: dict[str, Any] = getattr(node, "workeroutput", {})
    config: pytest.Config = node.config
    deselected = config.stash[_deselected]
    deselected |= Counter[str](output.get("deselected", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = Counter[str](_why_skipped(report) for report in terminalreporter.stats.get("skipped", []))
    deselected = config.stash[_deselected]
    left_out.update(deselected)
    if not left_out:
        return
    terminalreporter.section("left out", yellow=True, bold=True)
    for why, count in sorted(left_out.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"LEFT OUT: {tests}: {why}", yellow=True, bold=True)


def _why_deselected(item: pytest.Item) -> str:
    for marker, why in _WHY_DESELECTED.items():
        if item.get_closest_marker(marker) is not None:
            return why
    return "not asked for on the command line"


def _why_skipped(report: pytest.TestReport | pytest.CollectReport) -> str:
    match report.longrepr:
        case (_, _, str(reason)):
            return reason.removeprefix("Skipped: ")
        case other:
            return str(other)
