"""The figures as a page to read."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.figures import DEEDS, Access, Ahead, Audit, Events, Figures, Key, Operations, Scheduler, Signing
from benchmarks.goals import GOALS
from benchmarks.measure import Measurement


def page(figures: Figures, *, machine: Mapping[str, str], versions: Mapping[str, str], date: str, repeat: int) -> str:
    """Return RESULTS.md. versions: what each tool says of itself, in the order of the columns."""
    tools = tuple(versions)
    return "\n".join(
        (
            "# Benchmark results",
            "",
            "Written by `make bench`; [README.md](README.md) says what is measured, and how.",
            f"Figures are of whole processes, medians of {repeat} runs each. What takes over 20 s is run 3 times, over",
            "60 s once: how often is in brackets then. Machines differ by two times and more, so the ratios count.",
            "",
            *_table(("Machine", ""), list({"Date": date, **machine}.items())),
            "",
            *_table(("Tool", "Version"), list(versions.items())),
            "",
            "## Goals",
            "",
            *_table(("Goal", "Wanted", "Reached", ""), list(_goals(figures))),
            "",
            *_deeds(figures, tools, repeat),
            "## Signing",
            "",
            *_signing(figures.signing),
            "",
            "## Operations",
            "",
            *_operations(figures.operations),
            "",
            "## Access",
            "",
            *_access(figures.access),
            "",
            "## The audit",
            "",
            *_audit(figures.audit),
            "",
            "## What is due",
            "",
            *_scheduler(figures.scheduler),
            *_ahead(figures.ahead),
            "",
            "## Events",
            "",
            *_events(figures.events),
            *_missing(figures),
            "",
        )
    )


def _goals(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    for goal in GOALS:
        value = goal.reached(figures)
        wanted = f"{'at least' if goal.at_least else 'at most'} {goal.limit:g} {goal.unit}"
        reached = "–" if value is None else f"{value:.3g} {goal.unit}"
        yield goal.text, wanted, reached, goal.verdict(figures)


def _deeds(figures: Figures, tools: Sequence[str], repeat: int) -> Iterator[str]:
    for deed in DEEDS:
        sizes = sorted({key.size for key in figures.measurements if key.deed == deed})
        here = [tool for tool in tools if any(Key(deed, tool, size) in figures.measurements for size in sizes)]
        if not sizes:
            continue
        ratios = [tool for tool in here if tool != "kvstack"] if "kvstack" in here else []
        yield f"## {deed[0].upper()}{deed[1:]}"
        yield ""
        yield from _table(
            ("Resources", *(f"{tool}, s" for tool in here), *(f"beside {tool}" for tool in ratios)),
            [
                (
                    f"{size:,}",
                    *(_cell(figures, Key(deed, tool, size), _seconds, repeat) for tool in here),
                    *(_ratio(figures.ratio(deed, size, to=tool)) for tool in ratios),
                )
                for size in sizes
            ],
        )
        yield ""
        yield from _table(
            ("Resources", *(f"{tool}, MiB" for tool in here)),
            [(f"{size:,}", *(_cell(figures, Key(deed, tool, size), _mib, repeat) for tool in here)) for size in sizes],
        )
        yield ""


def _signing(signing: Signing | str) -> Iterator[str]:
    match signing:
        case Signing(service=service, raw=raw, rounds=rounds):
            yield f"RSA-2048, RS256, one thread, warm handles; medians of {rounds} interleaved rounds."
            yield ""
            yield from _table(
                ("Through", "Signatures/s"),
                [("`VaultService`: authorised, audited", f"{service:,.0f}"), ("raw PKCS#11", f"{raw:,.0f}")],
            )
        case why:
            yield f"Not measured: {why}."


def _operations(measured: Operations | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    yield "Operations a second, warm: through `VaultService` (authorised, audited), and raw: by `cryptography`, or by"
    yield "PKCS#11 with the same handle. Medians of interleaved rounds. In the HSM what the public half can do is done"
    yield "in software."
    yield ""
    yield from _table(
        ("Operation", "vault, 1 thread", "raw, 1", "beside raw", "vault, 8 threads", "raw, 8", "beside raw"),
        [
            (
                row.name,
                _rate(row.service),
                _rate(row.raw),
                _ratio(row.service / row.raw if row.raw else None),
                _rate(row.service_by_8),
                _rate(row.raw_by_8),
                _ratio(row.service_by_8 / row.raw_by_8 if row.raw_by_8 else None),
            )
            for row in measured.rows
        ],
    )
    yield ""
    yield "Secrets a second, as their number grows:"
    yield ""
    yield from _table(
        ("Secrets", "get", "set, each durable", "set by 8 threads", "set in groups of 100"),
        [
            (f"{one.count:,}", _rate(one.get), _rate(one.set), _rate(one.set_by_8), _rate(one.grouped))
            for one in measured.secrets
        ],
    )
    yield ""
    yield f"1,000 wrapped EC-HSM keys, made in one batch: {measured.creation:.2g} s."
    yield ""
    yield f"Peak memory with 100,000 keys in a vault: {measured.used:.0f} MiB where 1,000 of them are used,"
    yield f"{measured.listed:.0f} MiB where all are listed."


def _access(measured: Access | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    yield f"Decisions a second of one thread's own time, with {measured.groups:,} groups, some in others: the same"
    yield "questions each time, while assignments grow round them; asked again and again, and all for the first time"
    yield "after a change of assignments."
    yield ""
    yield from _table(
        ("Assignments", "again", "for the first time", "allowed"),
        [(f"{row.count:,}", _rate(row.decisions), _rate(row.first), f"{row.allowed:.0%}") for row in measured.rows],
    )
    yield ""
    all_made, one_given = measured.comparison
    yield "A plan tells who gains and loses what, of 10,000 things and 2,000 role assignments, 50 groups among those"
    yield f"who have them: {all_made:.2f} s where all of them are made, {one_given:.2f} s where one role is given."


def _audit(measured: Audit | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    yield "Microseconds a get of a secret, with its audit record and without, in the same run:"
    yield ""
    yield from _table(
        ("Gets", "with, µs", "without, µs", "cost, µs"),
        [
            (name, f"{recorded:.1f}", f"{unrecorded:.1f}", f"{recorded - unrecorded:.1f}")
            for name, recorded, unrecorded in (
                ("one thread", measured.recorded, measured.unrecorded),
                ("eight threads", measured.recorded_by_8, measured.unrecorded_by_8),
                ("in batches of eight", measured.recorded_in_8, measured.unrecorded_in_8),
            )
        ],
    )
    yield ""
    yield from _table(
        ("Records verified", "s", "peak MiB"),
        [(f"{one.records:,}", f"{one.seconds:.3g}", f"{one.mib:.0f}") for one in measured.verifications],
    )


def _scheduler(measured: Scheduler | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    yield from _table(
        ("A run of what is due", "ms"),
        [
            (f"nothing among {measured.items:,}, after a month asleep", f"{measured.first * 1000:.1f}"),
            (f"nothing among {measured.items:,}, again", f"{measured.again * 1000:.1f}"),
            (
                f"{measured.rotations:,} P-256 keys in the HSM rotated, each with its event",
                f"{measured.rotated * 1000:,.0f}",
            ),
        ],
    )


def _ahead(measured: Ahead | str) -> Iterator[str]:
    yield ""
    if isinstance(measured, str):
        yield f"The calendar was not measured: {measured}."
        return
    yield (
        f"The calendar of {measured.things:,} keys and secrets for a year, {measured.entries:,} entries: "
        f"{measured.seconds:.2f} s."
    )


def _events(measured: Events | str) -> Iterator[str]:
    if isinstance(measured, str):
        yield f"Not measured: {measured}."
        return
    count = measured.count
    yield from _table(
        (f"{count:,} events", "a second"),
        [
            ("secrets set without a subscriber", _rate(count / measured.without)),
            ("secrets set, each with its event in the outbox", _rate(count / measured.recorded)),
            ("events posted to a local webhook, signed, in order", _rate(count / measured.delivered)),
        ],
    )


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _missing(figures: Figures) -> Iterator[str]:
    """Say why a figure is not there, unless nobody asked for it."""
    missing = [(key, why) for key, measurement in figures.measurements.items() if (why := measurement.missing)]
    if missing:
        yield ""
        yield "## Not measured"
        yield ""
        for key, why in missing:
            yield f"- {key.deed} of {key.size:,}, {key.tool}: {why}"


def _cell(figures: Figures, key: Key, value: Callable[[Measurement], str], repeat: int) -> str:
    measurement = figures.measurements.get(key)
    if measurement is None or not measurement.samples:
        return "–"
    count = len(measurement.samples)
    return value(measurement) + (f" ({count})" if count < repeat else "")


def _seconds(measurement: Measurement) -> str:
    return "–" if measurement.seconds is None else f"{measurement.seconds:.3g}"


def _mib(measurement: Measurement) -> str:
    return "–" if measurement.peak_mib is None else f"{measurement.peak_mib:.0f}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g} ×"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    # Words to the left, figures to the right.
    figures = [all(row[column][:1] in _FIGURE_STARTS for row in rows) for column in range(len(head))]
    yield f"|{'|'.join('---:' if right else '---' for right in figures)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


_FIGURE_STARTS = frozenset("0123456789–")
