"""Which versions of the API there are, and which operation a request is: one table, from method and path."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.server.answer import Answer, Refusal, bad_parameter, not_found, refused
from kvstack.server.plane import Lane
from kvstack.server.remembered import Remembered

if TYPE_CHECKING:
    from kvstack.server.data_plane.context import Asked

# What `azure/openapi` has, and what the clients of the years before send.
VERSIONS: Final = (
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6-preview.2",  # Azure's command line, for keys
    "7.6",
    "2025-07-01",
    "2026-04-01",
)
NEWEST: Final = VERSIONS[-1]
_KNOWN: Final = frozenset(VERSIONS)
# Stands in a path for a scope inside a Managed HSM: `/`, `/keys` or `/keys/NAME`.
SCOPE: Final = "{scope}"
_PROVIDER: Final = ("providers", "microsoft.authorization")


class Operation(msgspec.Struct, frozen=True):
    """One operation. id: Azure's name for it; path: its parts, `{}` where a name stands, `SCOPE` where a scope does;
    answer: does it, given the names in the path; lane: where it is done; since: the version it came with."""

    id: str
    method: str
    path: tuple[str, ...]
    answer: Callable[["Asked", tuple[str, ...]], Answer]
    lane: Lane = "changing"
    since: str = "7.0"


class Routes:
    """Finds operations: one look-up for the method and each shape the path can have, whatever their number."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._tree: dict[str, dict[tuple[str, ...], Operation]] = {}
        for one in operations:
            self._tree.setdefault(one.method, {})[one.path] = one
        self._remembered = Remembered(self._operation, most=4096)

    def operation(self, method: str, path: tuple[str, ...]) -> tuple[Operation, tuple[str, ...]]:
        """Return what a request asks for, and the names in its path. Raises Refusal."""
        return self._remembered((method, path))

    def _operation(self, asked: tuple[str, tuple[str, ...]]) -> tuple[Operation, tuple[str, ...]]:
        method, path = asked
        # `get_secret(name)` of Azure's clients asks for `/secrets/name/`: an empty version is the newest one.
        parts = _scoped(path[:-1] if len(path) > 2 and not path[-1] else path)
        found = self._found(method, parts)
        if found is None and len(parts) == 3:
            # Go's client joins the parts of a path, and an empty version between them is gone: `/keys/name/sign`.
            found = self._found(method, (*parts[:2], "", parts[2]))
        if found is None:
            allowed = sorted(one for one in self._tree if self._found(one, parts) is not None)
            if not allowed:
                raise not_found("There is nothing at this path.")
            raise Refusal(
                refused(
                    405,
                    "MethodNotAllowed",
                    f"This path takes {', '.join(allowed)}.",
                    headers=((b"allow", ", ".join(allowed).encode()),),
                )
            )
        return found

    def _found(self, method: str, parts: tuple[str, ...]) -> tuple[Operation, tuple[str, ...]] | None:
        shapes = self._tree.get(method)
        if shapes is None or not parts:
            return None
        for shape in _shapes(parts):
            one = shapes.get(shape)
            if one is not None:
                return one, tuple(part for part, form in zip(parts, shape, strict=True) if form in ("{}", SCOPE))
        return None


def _scoped(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts of a path with a scope at its start as one. Azure's clients write the scope `/keys` behind a
    slash of the path's own: `//keys/providers/...`."""
    for at in range(len(parts) - 1):
        if (parts[at].lower(), parts[at + 1].lower()) == _PROVIDER:
            return ("/" + "/".join(part for part in parts[:at] if part), *parts[at:])
    return parts


def _shapes(parts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the shapes a path can have, the one with most words first: a thing may be called `restore`, and is reached
    all the same where no operation has that word in its place."""
    if parts[0].startswith("/"):
        return ((SCOPE, *(part.lower() for part in parts[1:4]), *("{}" for _ in parts[4:])),)
    first = parts[0].lower()
    match len(parts):
        case 1:
            return ((first,),)
        case 2:
            return (first, parts[1].lower()), (first, "{}")
        case 3:
            second, third = parts[1].lower(), parts[2].lower()
            return (first, second, third), (first, second, "{}"), (first, "{}", third), (first, "{}", "{}")
        case 4:
            return (first, "{}", "{}", parts[3].lower()), (first, "{}", parts[2].lower(), parts[3].lower())
        case _:
            return ()


def require_version(given: str | None, operation: Operation) -> None:
    """Refuse a version of the API that is not there, or that does not have the operation. Raises Refusal."""
    if given is None:
        raise bad_parameter("The query has to name a version of the API: `api-version`.")
    if given not in _KNOWN:
        raise bad_parameter(
            f"The specified version ({_printable(given)}) is not recognized. "
            f"Consider using the latest supported version ({NEWEST})."
        )
    if VERSIONS.index(given) < VERSIONS.index(operation.since):
        raise bad_parameter(f"{operation.id} came with version {operation.since} of the API, after {given}.")


def _printable(text: str) -> str:
    return "".join(sign for sign in text[:40] if sign.isascii() and sign.isprintable())
