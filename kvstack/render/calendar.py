"""What is going to happen, as Markdown and as iCalendar."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from kvstack.render.escape import code_span, plain

_OCTETS = 75


def markdown(rows: Sequence[tuple[datetime, str, str, str, str]], until: datetime) -> str:
    """Return a table. rows: when, action, kind, thing, conflicts."""
    lines = [f"## What happens until {until:%Y-%m-%d}", ""]
    if not rows:
        return "\n".join([*lines, "Nothing."])
    lines += ["| When (UTC) | Action | Thing | Conflict |", "|---|---|---|---|"]
    for at, action, kind, thing, conflicts in rows:
        cells = (f"{at:%Y-%m-%d %H:%M}", action, f"{kind} {_cell(thing)}", _cell(conflicts) if conflicts else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def icalendar(entries: Iterable[tuple[datetime, str, str, str]], now: datetime) -> str:
    """Return a calendar. entries: when, its identity beside the time, title, description. RFC 5545."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//kvstack//calendar//EN", "CALSCALE:GREGORIAN"]
    for at, identity, title, description in entries:
        # The same thing at the same time is the same entry, whenever it is printed: calendars replace it by that.
        uid = hashlib.sha256(f"{identity} {at.isoformat()}".encode()).hexdigest()[:32]
        lines += [
            "BEGIN:VEVENT",
            f"UID:{uid}@kvstack",
            f"DTSTAMP:{_moment(now)}",
            f"DTSTART:{_moment(at)}",
            f"SUMMARY:{_text(title)}",
            *([f"DESCRIPTION:{_text(description)}"] if description else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _cell(text: str) -> str:
    # A bar ends a cell of a table even in a code span.
    return code_span(text).replace("|", "\\|")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """Return data as a value of type TEXT. RFC 5545, 3.3.11."""
    return plain(text).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> Iterator[str]:
    """Yield a line in pieces of at most 75 octets, no letter cut in two. RFC 5545, 3.1."""
    piece, octets = "", 0
    for letter in line:
        size = len(letter.encode())
        if octets + size > _OCTETS:
            yield piece
            piece, octets = " ", 1
        piece, octets = piece + letter, octets + size
    yield piece
