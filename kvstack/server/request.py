"""A request as the parts of the server see it: who asks whom for what, with a body that was read in bounds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from kvstack.server.answer import Refusal, bad_parameter, refused
from kvstack.server.names import Host
from kvstack.terms.release_policy import unambiguous_json

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

T = TypeVar("T")
_MOST_PARAMETERS: Final = 20


class Request(msgspec.Struct, frozen=True):
    """One request. path: in its parts, as they were sent; query: the last of each name; id: drawn for it; client: the
    program, as it names itself; address: the caller's; correlation_id: the client's own, empty for none;
    identity_header: what a managed identity's programs show; origin: of the page that sent it, where a browser says."""

    method: str
    host: Host
    path: tuple[str, ...]
    query: Mapping[str, str]
    id: str
    client: str
    address: str
    correlation_id: str
    uri: str
    authorization: bytes
    content_type: str
    body: bytes = b""
    identity_header: bytes = b""
    cookie: str = ""
    origin: str = ""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.id}, ****)"

    def document(self, kind: type[T], code: str = "BadParameter") -> T:
        """Return the body as one of these. code: Azure's for one that is not. Raises Refusal, which repeats nothing of
        it."""
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            raise Refusal(refused(415, "UnsupportedMediaType", "The body has to be of type application/json."))
        try:
            found = unambiguous_json(self.body)
            if b"\\u" in self.body:
                # Half a character cannot be kept, nor be told of in an answer.
                json.dumps(found, ensure_ascii=False).encode()
            return msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            words = f"The body is not what this operation takes: {_place(error)}."
        except UnicodeEncodeError:
            words = "The body cannot be read: it holds half a character."
        except ValueError as error:
            words = f"The body cannot be read: {error}."
        except RecursionError:
            words = "The body cannot be read: it is nested too deeply."
        raise Refusal(refused(400, code, words))


def _place(error: msgspec.ValidationError) -> str:
    """Return where a body is wrong, and how, without anything that stood in it."""
    words = str(error)
    # msgspec repeats a value only of an enumeration: `Invalid enum value 'x'`.
    what, _, place = words.partition(" - at `")
    what = "no such value" if what.startswith("Invalid enum value") else what
    return f"{what} at `{place.rstrip('`')}`" if place else what


def path_of(raw: bytes, *, escapes: bool) -> tuple[str, ...]:
    """Return the parts of a path. escapes: whether a part may hold some, which are undone once. Raises Refusal for what
    is an attempt at something else: an escaped slash, an escape of an escape, a part that leads upwards."""
    nothing = Refusal(refused(404, "NotFound", "There is nothing at this path."))
    if not raw.startswith(b"/"):
        raise nothing
    parts = raw[1:].decode("latin-1").split("/")
    if b"%" not in raw:
        return tuple(parts)
    if not escapes:
        raise nothing
    try:
        plain = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError:
        raise nothing from None
    if any("%" in part or "/" in part or part in (".", "..") or not part.isprintable() for part in plain):
        raise nothing
    return tuple(plain)


def query_of(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string, the last of each name. Raises Refusal."""
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise bad_parameter("The query cannot be read.") from None
    return dict(pairs)


async def body_of(receive: Receive, declared: str, longest: int, seconds: float) -> bytes:
    """Return a request's body. declared: its `Content-Length`, empty for none. Raises Refusal for one that is too long,
    or comes too slowly."""
    if declared.isdigit() and int(declared) > longest:
        raise _too_long(longest)
    parts: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Refusal(refused(400, "BadParameter", "The client went away."))
                part = message.get("body", b"")
                length += len(part)
                if length > longest:
                    raise _too_long(longest)
                if part:
                    parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise Refusal(refused(408, "RequestTimeout", f"A body has to be sent within {seconds:g} s.")) from None


def _too_long(longest: int) -> Refusal:
    return Refusal(refused(413, "RequestEntityTooLarge", f"A request's body has at most {longest} bytes."))
