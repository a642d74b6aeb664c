"""Which operation a request is: by its path, in which names stand, and by the version of the API it asks for."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, refused
from kvstack.server.plane import Lane
from kvstack.server.resource_manager.errors import bad_request

if TYPE_CHECKING:
    from kvstack.server.resource_manager.context import Asked

_NAME = re.compile(r"\{(\w+)\}")
SCOPE: Final = "{scope}"


class Operation(msgspec.Struct, frozen=True):
    """One operation. id: Azure's name for it; path: with names in braces; `{scope}` at its start stands for any path,
    none too; versions: of the API that have it, oldest first; answer: does it; lane: where it is done."""

    id: str
    method: str
    path: str
    answer: Callable[["Asked"], Answer]
    versions: tuple[str, ...]
    lane: Lane = "working"


class Routes:
    """Finds operations. Words of a path are compared without case, as resource manager does."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._shapes = [(_shape(one.path), one) for one in operations]

    def operation(self, method: str, path: tuple[str, ...]) -> tuple[Operation, Mapping[str, str]]:
        """Return what a request asks for, and the names in its path. Raises Refusal."""
        # A client that is given a scope with a slash at its start asks for `//subscriptions/...`.
        parts = path[1:] if len(path) > 1 and not path[0] else path
        text = "/" + "/".join(parts[:-1] if len(parts) > 1 and not parts[-1] else parts)
        found = [(one, matched) for shape, one in self._shapes if (matched := shape.fullmatch(text)) is not None]
        for one, matched in found:
            if one.method == method:
                return one, matched.groupdict()
        if not found:
            raise Refusal(refused(404, "NotFound", "There is nothing at this path."))
        allowed = ", ".join(sorted({one.method for one, _ in found}))
        raise Refusal(
            refused(405, "MethodNotAllowed", f"This path takes {allowed}.", headers=((b"allow", allowed.encode()),))
        )


def require_version(given: str | None, versions: tuple[str, ...]) -> None:
    """Refuse a version of the API that is none of these. Raises Refusal."""
    if given is None:
        raise bad_request(
            "The api-version query parameter (?api-version=) is required for all requests.",
            "MissingApiVersionParameter",
        )
    if given.lower() not in versions:
        shown = "".join(sign for sign in given[:40] if sign.isascii() and sign.isprintable())
        raise bad_request(
            f"The api-version '{shown}' is invalid. The supported versions are '{','.join(versions)}'.",
            "InvalidApiVersionParameter",
        )


def _shape(path: str) -> re.Pattern[str]:
    start = ""
    if path.startswith(SCOPE):
        start, path = r"(?P<scope>(?:/[^/]+)*?)", path.removeprefix(SCOPE)
    parts = _NAME.split(path)
    text = "".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(start + text, re.IGNORECASE)
