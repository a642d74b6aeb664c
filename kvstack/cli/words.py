"""What a user writes on the command line, as values: text, moments, tags."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import click

from kvstack.terms.diagnostic import KvstackError

NONE: Final[Literal["none"]] = "none"


def text(value: str) -> str:
    """Return text that UTF-8 can carry: what is not cannot be kept, audited or shown. Raises click.BadParameter."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8") from None
    return value


def moment(value: str) -> datetime:
    """Return a date and time with its time zone in UTC. Raises click.BadParameter."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"`{value}` is no time such as 2027-01-31T00:00:00Z") from None
    raise click.BadParameter(f"`{value}` has no time zone: write it as 2027-01-31T00:00:00Z")


def moment_or_none(value: str) -> datetime | Literal["none"]:
    """Return a moment, or `none` for none at all. Raises click.BadParameter."""
    return NONE if value == NONE else moment(value)


def lasting(value: str) -> timedelta:
    """Return a span of time written as `PT4H`, `PT30M` or `P1D`. Raises click.BadParameter."""
    from kvstack.terms.duration import duration

    try:
        found = duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if found.months:
        raise click.BadParameter(f"`{value}` has months or years: write days, hours or minutes, as PT4H")
    return timedelta(days=found.days, seconds=found.seconds)


def span_words(span: timedelta) -> str:
    """Return a span as people read it: `4 h`, `1 h 30 min`."""
    hours, rest = divmod(int(span.total_seconds()), 3600)
    parts = ([f"{hours} h"] if hours else []) + ([f"{rest // 60} min"] if rest >= 60 else [])
    return " ".join(parts) or f"{rest} s"


def retagged(before: Mapping[str, str], tags: Mapping[str, str], untag: Collection[str]) -> dict[str, str]:
    """Return tags with some set and some taken away; the others stay."""
    return {name: value for name, value in before.items() if name not in untag} | dict(tags)


def tag_values(texts: tuple[str, ...]) -> dict[str, str]:
    """Return tags given as NAME=VALUE. Raises KvstackError."""
    found: dict[str, str] = {}
    for written in texts:
        name, equals, value = written.partition("=")
        if not equals or not name:
            raise KvstackError(f"`--tag {written}` is not NAME=VALUE")
        if name in found:
            raise KvstackError(f"the tag `{name}` is given twice")
        found[name] = value
    return found


def hexadecimal(digits: str, what: str) -> bytes:
    """Return bytes written as hexadecimal digits. Raises KvstackError."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise KvstackError(f"{what} is not hexadecimal") from None


def base64url(data: bytes) -> str:
    """Return bytes as base64url without padding, as Key Vault and JSON Web Signatures write them. RFC 4648, 5."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(encoded: bytes | str, what: str) -> bytes:
    """Return bytes written as base64url or base64, in lines or not. Raises KvstackError."""
    import binascii

    try:
        compact = b"".join((encoded.encode() if isinstance(encoded, str) else encoded).split())
        standard = compact.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        return binascii.a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise KvstackError(f"{what} is not base64url") from None
