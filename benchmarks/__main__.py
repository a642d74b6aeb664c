"""`python -m benchmarks`: measure, and write RESULTS.md."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.access import access
from benchmarks.audit import audit
from benchmarks.calendar import ahead
from benchmarks.events import events
from benchmarks.figures import DEEDS, Access, Ahead, Audit, Deed, Events, Figures, Key, Operations, Scheduler, Signing
from benchmarks.machine import described
from benchmarks.measure import Measurement, environment
from benchmarks.operations import operations
from benchmarks.scenarios import Round, figures
from benchmarks.scheduler import scheduler
from benchmarks.signing import signing
from benchmarks.table import page
from benchmarks.tools import Tool, found

RESULTS = Path(__file__).with_name("RESULTS.md")
SIZES = (10, 1_000, 10_000, 50_000)
LARGEST_COMPARED = 10_000
SECRETS_SIZE = 10_000
SIGNING = "signing"
OPERATIONS = "operations"
ACCESS = "access"
AUDIT = "audit"
SCHEDULER = "scheduler"
CALENDAR = "calendar"
EVENTS = "events"
REPEAT = 5


class Options(argparse.Namespace):
    """What the command line asks for."""

    sizes: list[int]
    only: list[str]
    tools: list[str]
    repeat: int
    out: Path | None
    work: Path | None


def main(arguments: Sequence[str]) -> int:
    """Measure what the options ask for. Only a whole run replaces RESULTS.md; another is printed."""
    options = _parser().parse_args(arguments, Options())
    whole = not options.only and not options.tools and options.sizes == list(SIZES) and options.repeat == REPEAT
    with tempfile.TemporaryDirectory(prefix="kvstack-bench-", dir=options.work) as work:
        folder = Path(work)
        world = environment(folder, os.environ)
        tools = tuple(tool for tool in found(world) if not options.tools or tool.name in options.tools)
        if not tools:
            sys.stderr.write("none of kvstack, tofu and terraform is there\n")
            return 1
        measurements: dict[Key, Measurement] = {}
        for size in options.sizes:
            measurements |= figures(_round(options, size, tools, folder))
        signed: Signing | str = "not asked for"
        if not options.only or SIGNING in options.only:
            _say("RSA-2048 signatures")
            signed = signing(world, folder, rounds=options.repeat)
        done: Operations | str = "not asked for"
        if not options.only or OPERATIONS in options.only:
            _say("single operations")
            done = operations(world, folder)
        decided: Access | str = "not asked for"
        if not options.only or ACCESS in options.only:
            _say("decisions about access")
            decided = access(world)
        audited: Audit | str = "not asked for"
        if not options.only or AUDIT in options.only:
            _say("the audit")
            audited = audit(world, folder)
        scheduled: Scheduler | str = "not asked for"
        if not options.only or SCHEDULER in options.only:
            _say("what is due")
            scheduled = scheduler(world, folder)
        calendar: Ahead | str = "not asked for"
        if not options.only or CALENDAR in options.only:
            _say("the calendar")
            calendar = ahead(world, folder)
        told: Events | str = "not asked for"
        if not options.only or EVENTS in options.only:
            _say("events")
            told = events(world, folder)
        text = page(
            Figures(measurements, signed, done, decided, audited, scheduled, told, calendar),
            machine=described(folder),
            versions={tool.name: tool.version() for tool in tools},
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            repeat=options.repeat,
        )
    out = options.out or (RESULTS if whole else None)
    if out is None:
        print(text)
    else:
        out.write_text(text, encoding="utf-8")
        _say(f"wrote {out}")
    return 0


def _round(options: Options, size: int, tools: Sequence[Tool], work: Path) -> Round:
    deeds = [deed for deed in DEEDS if not options.only or deed in options.only]
    return Round(
        size=size,
        tools=[tool for tool in tools if tool.name == "kvstack" or size <= LARGEST_COMPARED],
        deeds=[deed for deed in deeds if _belongs(deed, size)],
        repeat=options.repeat,
        work=work,
        say=_say,
    )


def _belongs(deed: Deed, size: int) -> bool:
    """Tell whether a deed is done at a size: faults need room, and a stack of secrets only is for one goal."""
    match deed:
        case "validate with 3 faults":
            return size >= 100
        case "first apply, secrets only":
            return size == SECRETS_SIZE
        case _:
            return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="how many resources")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="how often each is measured")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        choices=[*DEEDS, SIGNING, OPERATIONS, ACCESS, AUDIT, SCHEDULER, CALENDAR, EVENTS],
        help="what is measured",
    )
    parser.add_argument("--tools", nargs="+", default=[], choices=["kvstack", "tofu", "terraform"], help="of whom")
    parser.add_argument("--out", type=Path, help="where to write; without it, only a whole run is written")
    parser.add_argument("--work", type=Path, help="a folder on the file system to measure on")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
