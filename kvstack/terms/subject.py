"""A distinguished name as people write it: `CN=www.example.com, O=Example`."""

import re

# What RFC 4514 names, and what everybody writes. Others are written as object identifiers.
ATTRIBUTES = ("CN", "OU", "O", "L", "ST", "C", "STREET", "DC", "UID")
COMMON_NAME_CHARACTERS = 64
_IDENTIFIER = re.compile(r"^[0-2](\.(0|[1-9][0-9]*)){1,30}$")
_LONGEST = {"CN": COMMON_NAME_CHARACTERS, "OU": 64, "O": 64, "L": 128, "ST": 128, "DC": 63}
_SEPARATOR = re.compile(r"(?<!\\)((?:\\\\)*),")
_PLUS = re.compile(r"(?<!\\)((?:\\\\)*)\+")

Part = tuple[tuple[str, str], ...]


def parts(subject: str) -> tuple[Part, ...]:
    """Return the relative names a subject is made of, each of pairs of attribute and (still escaped) value. Raises
    ValueError saying what is wrong."""
    if not subject.strip():
        return ()
    return tuple(_relative_name(text) for text in _split(_SEPARATOR, subject))


def written(names: tuple[Part, ...]) -> str:
    """Return a subject in the one spelling of RFC 4514: no blanks around, attributes in capitals."""
    return ",".join("+".join(f"{attribute}={value}" for attribute, value in name) for name in names)


def problem(subject: str) -> str | None:
    """Return why this is no subject, or None."""
    try:
        parts(subject)
    except ValueError as error:
        return str(error)
    return None


def common_name(subject: str) -> str | None:
    """Return the common name, None where there is none. Raises ValueError."""
    pairs = [pair for name in parts(subject) for pair in name]
    return next((value for attribute, value in pairs if attribute == "CN"), None)


def _split(separator: re.Pattern[str], text: str) -> list[str]:
    """Return what stands between separators that are not escaped."""
    pieces, start = [], 0
    for found in separator.finditer(text):
        pieces.append(text[start : found.end() - 1])
        start = found.end()
    return [*pieces, text[start:]]


def _relative_name(text: str) -> Part:
    return tuple(_pair(piece) for piece in _split(_PLUS, text))


def _pair(text: str) -> tuple[str, str]:
    attribute, equals, value = text.partition("=")
    attribute, value = attribute.strip().upper(), value.strip()
    if not equals or not attribute:
        raise ValueError(f"`{text.strip()}` is no part of a subject such as `CN=www.example.com, O=Example`")
    if attribute not in ATTRIBUTES and not _IDENTIFIER.match(attribute):
        raise ValueError(f"`{attribute}` is no attribute of a subject: {', '.join(ATTRIBUTES)}")
    if not value:
        raise ValueError(f"`{attribute}` has no value in the subject")
    if "\0" in value or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise ValueError(f"the subject's `{attribute}` holds a control character")
    if attribute == "C" and not re.fullmatch(r"[A-Za-z]{2}", value):
        raise ValueError(f"`C={value}`: a country has two letters")
    if len(value) > _LONGEST.get(attribute, 1024):
        raise ValueError(f"the subject's `{attribute}` has more than {_LONGEST.get(attribute, 1024)} characters")
    return attribute, value
