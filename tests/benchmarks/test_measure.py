"""Only a process that did what it is measured for is a figure."""

import sys
from pathlib import Path

import pytest

from benchmarks.command import Command
from benchmarks.measure import Contender, Failed, interleaved, sample


def python(code: str, folder: Path, *, exit_code: int = 0, says: tuple[str, ...] = ()) -> Command:
    return Command((sys.executable, "-S", "-c", code), folder, {}, exit_code, says)


def test_time_and_memory_are_those_of_the_process(tmp_path: Path) -> None:
    held_by_the_one_who_measures = b"x" * 100_000_000
    small = sample(python("pass", tmp_path))
    del held_by_the_one_who_measures
    large = sample(python("bytearray(b'x') * 200_000_000", tmp_path))
    assert 0 < small.seconds < 10
    assert small.peak_mib < 50
    assert 150 < large.peak_mib - small.peak_mib < 250


@pytest.mark.parametrize(
    ("code", "exit_code", "says", "why"),
    [
        ("print('broken'); raise SystemExit(1)", 0, (), "answered 1 where 0 is right: broken"),
        ("pass", 2, (), "answered 0 where 2 is right: no output"),
        ("print('kvstack.yaml:3:')", 0, ("kvstack.yaml:3:", "kvstack.yaml:7:"), "does not say .*kvstack.yaml:7:"),
    ],
)
def test_a_process_that_answers_otherwise_is_no_figure(
    code: str, exit_code: int, says: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    with pytest.raises(Failed, match=why):
        sample(python(code, tmp_path, exit_code=exit_code, says=says))


def test_contenders_take_turns(tmp_path: Path) -> None:
    turns: list[str] = []

    def contender(name: str) -> Contender:
        def prepared() -> Command:
            turns.append(name)
            return python("pass", tmp_path)

        return Contender(name, prepared)

    measured = interleaved([contender("a"), contender("b")], repeat=2)
    assert turns == ["a", "b", "a", "b"]
    assert {name: len(measurement.samples) for name, measurement in measured.items()} == {"a": 2, "b": 2}


def test_one_contender_that_fails_leaves_the_other_its_figures(tmp_path: Path) -> None:
    measured = interleaved(
        [
            Contender("good", lambda: python("pass", tmp_path)),
            Contender("bad", lambda: python("raise SystemExit(3)", tmp_path)),
        ],
        repeat=2,
    )
    assert len(measured["good"].samples) == 2
    assert measured["bad"].samples == ()
    assert "answered 3" in measured["bad"].missing
