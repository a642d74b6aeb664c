"""`kvstack calendar`: the year ahead as a table, JSON, Markdown and a file that calendars read."""

from datetime import datetime
from typing import Any

import pytest

from kvstack.render.calendar import icalendar, markdown
from tests.cli.data_plane.conftest import VAULT
from tests.cli.data_plane.shell import Shell
from tests.render.icalendar_reader import read
from tests.render.test_json import invalid
from tests.vault.service.world import START

SECRET = f"{VAULT}/rotating"


def document(shell: Shell, *arguments: str) -> Any:
    """Return a calendar for programs, which is always as its schema says."""
    found = shell.good("calendar", *arguments, "--json").json
    assert invalid("calendar.json", found) == []
    return found


@pytest.fixture
def rotating(simulated: Shell) -> Shell:
    simulated.good("secret", "set", SECRET, stdin=b"v")
    simulated.good("secret", "rotation-policy", "update", SECRET, "--every", "P100D", "--length", "20")
    return simulated


def test_the_year_ahead_is_told_with_its_conflicts(rotating: Shell) -> None:
    result = rotating.good("calendar", "--all")
    assert result.words.count(f"rotate secret {SECRET} nobody is told of the new version") == 3
    found = document(rotating, "--vault", VAULT)
    assert [one["action"] for one in found["coming"]] == ["rotate"] * 3
    assert found["coming"][0]["conflicts"][0]["code"] == "nobody-notified"
    assert rotating.good("calendar", "--vault", "another-dev").text.startswith("Nothing happens until ")


def test_a_stack_has_its_own_things_and_what_ends_in_its_vaults(rotating: Shell) -> None:
    rotating.good("secret", "delete", f"{VAULT}/db-password")
    stack = rotating.folder / "kvstack.yaml"
    stack.write_text(f"stack: shop\nvaults:\n  {VAULT}: {{}}\n")
    (one,) = document(rotating)["coming"]
    assert (one["action"], one["name"]) == ("purge", "db-password")
    assert len(document(rotating, "--all")["coming"]) == 4


def test_it_ends_with_the_day_that_is_named(rotating: Shell) -> None:
    first = document(rotating, "--all")["coming"][0]["at"][:10]
    assert len(document(rotating, "--all", "--until", first)["coming"]) == 1
    for wrong in (("--until", "2001-01-01"), ("--until", "soon"), ("--json", "--ics"), ("--all", "--vault", VAULT)):
        assert rotating("calendar", *wrong).code == 1


def test_the_calendar_file_is_taken_by_calendars_and_has_the_same_entries_each_time(rotating: Shell) -> None:
    found = read(rotating.good("calendar", "--all", "--ics").out)
    assert [one.summary for one in found] == [f"rotate: secret {SECRET}"] * 3
    assert [one.start for one in found] == [
        datetime.fromisoformat(one["at"]).replace(microsecond=0) for one in document(rotating, "--all")["coming"]
    ]
    assert [one.uid for one in read(rotating.good("calendar", "--all", "--ics").out)] == [one.uid for one in found]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"])
def test_the_year_is_the_same_wherever_the_machine_stands(rotating: Shell, zone: str) -> None:
    """Daylight saving, and the date line: everything is computed and said in UTC."""

    def everything(time_zone: str) -> list[bytes]:
        ways = ((), ("--json",), ("--ics",))
        until = ("calendar", "--all", "--until", "2030-03-31")
        return [rotating.process(*until, *way, environment={"TZ": time_zone}).out for way in ways]

    here, there = everything(zone), everything("UTC")
    assert here == there
    assert b"rotate" in here[0]


def test_a_line_of_a_calendar_has_75_octets_at_most_and_is_whole_again_unfolded() -> None:
    title, words = "ü€𝄞" * 60, "a;b,c\\d\nBEGIN:VEVENT"
    text = icalendar([(START, "id", title, words)], START)
    assert text.replace("\r\n", "").count("\n") == text.replace("\r\n", "").count("\r") == 0
    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75
    unfolded = text.replace("\r\n ", "").split("\r\n")
    assert f"SUMMARY:{title}" in unfolded
    assert "DESCRIPTION:a\\;b\\,c\\\\d\\\\nBEGIN:VEVENT" in unfolded
    assert unfolded.count("BEGIN:VEVENT") == 1


def test_nothing_of_a_name_is_markup_in_markdown() -> None:
    text = markdown([(START, "rotate", "key", "v/<b>`x|y`", "see | @you")], START)
    row = text.splitlines()[-1]
    assert row.replace("\\|", "").count("|") == 5
    assert "<b>" not in row
