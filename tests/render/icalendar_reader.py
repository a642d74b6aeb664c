"""A reader of iCalendar that forgives nothing, as far as a calendar of kvstack goes: RFC 5545, by its sections."""

import re
from datetime import UTC, datetime

import msgspec

# Section 3.1: the name, its parameters (this calendar has none), and the value, without control characters.
_LINE = re.compile(r"([A-Z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_TEXTS = {"SUMMARY", "DESCRIPTION", "UID", "PRODID"}
_ONCE = {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "DESCRIPTION", "TRANSP"}


class Entry(msgspec.Struct, frozen=True):
    """One event of a calendar."""

    uid: str
    stamp: datetime
    start: datetime
    summary: str
    description: str = ""


def read(file: bytes) -> list[Entry]:
    """Return what stands in a file. Raises ValueError where it is not as the RFC has it."""
    text = file.decode("utf-8")
    if not text.endswith("\r\n") or text.replace("\r\n", "").count("\n") or text.replace("\r\n", "").count("\r"):
        raise ValueError("a line ends with CRLF, and nowhere else is one of them")
    physical = text.split("\r\n")[:-1]
    if too_long := [line for line in physical if len(line.encode()) > 75]:
        raise ValueError(f"longer than 75 octets: {too_long}")
    if any(line in ("", " ") for line in physical):
        raise ValueError("an empty line")
    # A line that begins with a space goes on with the one before it.
    lines = [_line(line) for line in text.removesuffix("\r\n").replace("\r\n ", "").split("\r\n")]
    if lines[0] != ("BEGIN", "VCALENDAR") or lines[-1] != ("END", "VCALENDAR"):
        raise ValueError("one object, of a calendar")
    first = next((place for place, line in enumerate(lines) if line == ("BEGIN", "VEVENT")), len(lines) - 1)
    head = dict(lines[1:first])
    if len(head) != first - 1 or head.get("VERSION") != "2.0" or not head.get("PRODID"):
        raise ValueError("a calendar has one version, 2.0, and one product, each once (3.6)")
    if head.get("CALSCALE", "GREGORIAN") != "GREGORIAN" or head.keys() - {"VERSION", "PRODID", "CALSCALE"}:
        raise ValueError(f"nothing else is known at its head: {head}")
    found = list(_entries(lines[first:-1]))
    if len({one.uid for one in found}) != len(found):
        raise ValueError("two entries with one UID (3.8.4.7)")
    return found


def _line(line: str) -> tuple[str, str]:
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError(f"no line of content: {line!r}")
    return matched[1], matched[2]


def _entries(lines: list[tuple[str, str]]) -> "list[Entry]":
    found: list[Entry] = []
    current: dict[str, str] | None = None
    for name, value in lines:
        match name, value:
            case "BEGIN", "VEVENT" if current is None:
                current = {}
            case "END", "VEVENT" if current is not None:
                found.append(_entry(current))
                current = None
            case _ if current is not None and name in _ONCE and name not in current:
                current[name] = value
            case _:
                raise ValueError(f"no place for {name}:{value}")
    if current is not None:
        raise ValueError("an entry without an end")
    return found


def _entry(values: dict[str, str]) -> Entry:
    if values.get("TRANSP", "OPAQUE") not in ("OPAQUE", "TRANSPARENT"):
        raise ValueError("busy, or not (3.8.2.7)")
    texts = {name: _text(value) for name, value in values.items() if name in _TEXTS}
    return Entry(
        texts["UID"],
        _moment(values["DTSTAMP"]),
        _moment(values["DTSTART"]),
        texts["SUMMARY"],
        texts.get("DESCRIPTION", ""),
    )


def _moment(value: str) -> datetime:
    """Return a DATE-TIME in UTC, form 2 of section 3.3.5."""
    if not re.fullmatch(r"\d{8}T\d{6}Z", value):
        raise ValueError(f"no date and time in UTC: {value}")
    return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _text(value: str) -> str:
    """Return a TEXT, section 3.3.11."""
    if not re.fullmatch(r"(?:[^\\;,]|\\[\\;,nN])*", value):
        raise ValueError(f"no text: {value!r}")
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value)
