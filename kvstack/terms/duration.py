"""ISO 8601 durations as Key Vault writes them, and what a date becomes when one is added."""

import calendar
import re
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

PATTERN = r"^P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$(?!\n)"
DurationText = Annotated[str, msgspec.Meta(pattern=PATTERN)]
_PARTS = re.compile(
    r"^P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$"
)
_LONGEST_DAYS = 366 * 1000  # a thousand years: far beyond any policy, within what datetime can add


class Duration(msgspec.Struct, frozen=True):
    """A calendar duration. months: whole months (a year is 12); days; seconds."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    @property
    def least_days(self) -> float:
        """The shortest it can be, in days: a month counts 28 days, a year 365."""
        years, months = divmod(self.months, 12)
        return years * 365 + months * 28 + self.days + self.seconds / 86400

    @property
    def about_days(self) -> float:
        """About how long it is, in days: for comparing two durations with each other."""
        return self.months * 365.25 / 12 + self.days + self.seconds / 86400

    def after(self, moment: datetime) -> datetime:
        """Return the moment this much later; the day of the month is cut to the month's length (31 January + P1M is 28
        or 29 February). Raises OverflowError beyond the year 9999."""
        return _months_later(moment, self.months) + timedelta(self.days, self.seconds)

    def before(self, moment: datetime) -> datetime:
        """Return the moment this much earlier."""
        return _months_later(moment, -self.months) - timedelta(self.days, self.seconds)

    def __str__(self) -> str:
        years, months = divmod(self.months, 12)
        date = (
            (f"{years}Y" if years else "") + (f"{months}M" if months else "") + (f"{self.days}D" if self.days else "")
        )
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{seconds}S" if seconds else "")
        return f"P{date}" + (f"T{time}" if time else "") if date or time else "P0D"


def duration(text: str) -> Duration:
    """Parse `P90D`, `P1Y6M`, `PT4H`. Raises ValueError, saying what is expected."""
    matched = _PARTS.match(text)
    if matched is None:
        raise ValueError(f"`{text}` is not an ISO 8601 duration such as P90D, P18M or PT4H")
    years, months, weeks, days, hours, minutes, seconds = (int(part) if part else 0 for part in matched.groups())
    parsed = Duration(months=years * 12 + months, days=weeks * 7 + days, seconds=hours * 3600 + minutes * 60 + seconds)
    if parsed.about_days > _LONGEST_DAYS:
        raise ValueError(f"`{text}` is longer than a thousand years")
    return parsed


def _months_later(moment: datetime, months: int) -> datetime:
    if not months:
        return moment
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= years <= 9999:
        raise OverflowError(f"a date {months} months from {moment:%Y-%m-%d} is outside the calendar")
    day = min(moment.day, calendar.monthrange(years, month + 1)[1])
    return moment.replace(year=years, month=month + 1, day=day)
