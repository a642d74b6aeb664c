"""Masking: the words of a program without the secrets it was given, in whatever spelling it prints them."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "****"
LONGEST_WORDS = 300
_PASSWORD = re.compile(rb"(?i)(?:password|passwd|pwd|secret|token|key)\s*[=:]\s*('(?:[^'\\]|\\.)*'|[^\s;&]+)")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
# What a document of credentials says beside the password: without it no error could be understood.
_SAID_OPENLY = frozenset({"user", "username", "host", "hostname", "port", "dbname", "database", "engine", "schema"})
_DEEPEST = 20


def masked(text: bytes, secrets: Iterable[bytes]) -> str:
    """Return text with every secret replaced, in one line of at most 300 characters that can be shown. A secret is
    found as it is, in each of its lines, in its parts where it is a JSON document, a URL or a connection string, and in
    the spellings of JSON, URLs, base64 and hexadecimal."""
    parts = [part for secret in secrets for part in _parts(secret)]
    # The longest first: what is a part of another would leave the rest of that one standing.
    for spelling in sorted({spelling for part in parts for spelling in _spellings(part)}, key=len, reverse=True):
        text = text.replace(spelling, MASK.encode())
    for inner in sorted({inner for part in parts for inner in _within_base64(part)}, key=len, reverse=True):
        text = _without_word(text, inner)
    shown = "".join(letter if letter.isprintable() else " " for letter in text.decode("utf-8", errors="replace"))
    words = " ".join(shown.split())
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 3] + "..."


def _parts(secret: bytes) -> Iterator[bytes]:
    """Yield a secret, and what of it would be one by itself."""
    found = [secret, *secret.splitlines(), secret.strip()]
    try:
        found += _scalars(json.loads(secret), _DEEPEST)
    except (ValueError, RecursionError):
        pass  # it is no document
    try:
        password = urlsplit(secret.decode()).password
        found += [password.encode(), unquote(password).encode()] if password else []
    except ValueError:
        pass  # it is no URL
    for quoted in _PASSWORD.findall(secret):
        found += [quoted, quoted.strip(b"'")]
    yield from (part for part in dict.fromkeys(found) if part)


def _scalars(document: object, depth: int) -> Iterator[bytes]:
    match document:
        case _ if not depth:
            return
        case dict():
            for name, value in document.items():
                if name.lower() not in _SAID_OPENLY:
                    yield from _scalars(value, depth - 1)
        case list():
            for value in document:
                yield from _scalars(value, depth - 1)
        case str() if document:
            yield document.encode("utf-8", errors="surrogatepass")
        case bool() | None:
            return
        case int() | float():
            yield str(document).encode()


def _spellings(part: bytes) -> Iterator[bytes]:
    yield part
    text = part.decode("utf-8", errors="surrogateescape")
    for escaped in (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text), repr(part)[1:]):
        # As a program would print it inside a text of its own.
        yield escaped[1:-1].encode("utf-8", errors="surrogateescape")
    yield json.dumps(text)[1:-1].replace("/", "\\/").encode()
    for quoted in (quote(part, safe=""), quote(part), quote_plus(part), "".join(f"%{byte:02x}" for byte in part)):
        yield quoted.encode()
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted).encode()
    yield binascii.hexlify(part)
    yield binascii.hexlify(part).upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(part)
        yield encode(part).rstrip(b"=")


def _within_base64(part: bytes) -> Iterator[bytes]:
    """Yield what of a secret stands in base64 for certain, wherever it begins in what was encoded (`user:secret`)."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # The letters that hold bits of neighbours, too, are others each time.
            first, last = (before * 8 + 5) // 6, (before + len(part)) * 8 // 6
            if last - first >= 4:
                yield encode(b"\0" * before + part)[first:last]


def _without_word(text: bytes, inner: bytes) -> bytes:
    """Return text without the whole words of base64 that something stands in: what is around it holds bits of it."""
    at = text.find(inner)
    while at >= 0:
        first, last = at, at + len(inner)
        while first and text[first - 1] in _BASE64:
            first -= 1
        while last < len(text) and text[last] in _BASE64:
            last += 1
        text = text[:first] + MASK.encode() + text[last:]
        at = text.find(inner, first + len(MASK))
    return text
