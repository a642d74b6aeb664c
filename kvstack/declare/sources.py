"""The files of a stack, joined to one document that still knows which line came from where."""

from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any

from kvstack.declare import yaml
from kvstack.declare.graph import Path
from kvstack.declare.places import longest_known, spots
from kvstack.declare.variables import NOWHERE, Located
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError, Place

FILE = "kvstack.yaml"
_MAPPINGS = ("principals", "identities", "roles", "events", "alerts", "vaults", "managed_hsms")
_LISTS = ("access", "deny", "rules", "silence", "moved", "removed", "import")


class Sources:
    """One stack's files, read and joined. document: all of them as one; interpolates: whether any file holds a
    reference."""

    def __init__(self, directory: FilePath) -> None:
        self.directory = directory
        self.document: dict[str, Any] = {}
        self.interpolates = False
        self._contents: dict[str, bytes] = {}
        # Which file an entry came from, and its path there, where that is not the stack file and its own path.
        self._origins: dict[Path, tuple[str, Path]] = {}

    def read(self) -> None:
        """Read the stack file and what it includes. Raises InvalidInput with the problems of all of them."""
        document = self._parsed(FILE, required=True)
        if not isinstance(document, dict):
            raise InvalidInput(
                (Diagnostic(summary="a stack file is a mapping", detail=_START, place=Place(FILE, 1, 1)),)
            )
        self.document = document
        problems: list[Diagnostic] = []
        for file in self._included(document.get("include"), problems):
            try:
                self._join(file, self._parsed(file), problems)
            except InvalidInput as error:
                problems.extend(error.diagnostics)
        if problems:
            raise InvalidInput(tuple(problems))

    def diagnostics(self, problems: Iterable[Located]) -> tuple[Diagnostic, ...]:
        """Return problems with the places they stand at, in the order of the files."""
        located = [(self._origin(problem), problem) for problem in problems]
        by_file: dict[str, set[Path]] = {}
        for (file, path), _ in located:
            by_file.setdefault(file, set()).add(path)
        known = {
            file: spots(self._contents[file], file, paths) for file, paths in by_file.items() if file in self._contents
        }
        found = []
        for (file, path), problem in located:
            place = None
            for nearest in longest_known(path, known.get(file, {})) if path != NOWHERE else ():
                spot = known[file][nearest]
                place = spot.key if problem.at_key or nearest != path else spot.value
                break
            found.append(
                Diagnostic(
                    severity="warning" if problem.severity == "warning" else "error",
                    summary=problem.summary,
                    detail=problem.detail,
                    place=place,
                )
            )
        nowhere = Place("", 0, 0)
        return tuple(sorted(found, key=lambda diagnostic: diagnostic.place or nowhere))

    def _origin(self, problem: Located) -> tuple[str, Path]:
        path = problem.path
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                file, there = self._origins[path[:length]]
                return file, (*there, *path[length:])
        return FILE, path

    def _parsed(self, file: str, *, required: bool = False) -> Any:
        try:
            content = (self.directory / file).read_bytes()
        except FileNotFoundError:
            if not required:
                raise
            raise KvstackError(f"there is no {FILE} in {self.directory}", _START) from None
        except OSError as error:
            raise KvstackError(f"{file} cannot be read: {error.strerror}") from None
        self._contents[file] = content
        self.interpolates = self.interpolates or b"${" in content
        return yaml.data(content, file)

    def _included(self, patterns: Any, problems: list[Diagnostic]) -> list[str]:
        if not isinstance(patterns, list):
            return []  # the schema says what is wrong with it
        files: dict[str, None] = {}
        for index, pattern in enumerate(patterns):
            if not isinstance(pattern, str):
                continue
            if FilePath(pattern).is_absolute() or ".." in FilePath(pattern).parts:
                problems += self.diagnostics(
                    [
                        Located(
                            ("include", index),
                            f"`{pattern}` leaves the stack's folder",
                            "A stack includes files inside it.",
                        )
                    ]
                )
                continue
            if not _is_pattern(pattern):
                problems += self.diagnostics(
                    [Located(("include", index), f"`{pattern}` is no pattern of files", "Such as `vaults/*.yaml`.")]
                )
                continue
            matched = sorted(self.directory.glob(pattern))
            if not matched:
                problems += self.diagnostics([Located(("include", index), f"no file matches `{pattern}`")])
            for path in matched:
                if not path.resolve().is_relative_to(self.directory.resolve()):
                    problems += self.diagnostics(
                        [Located(("include", index), f"`{path.name}` is a link out of the stack's folder")]
                    )
                elif path.is_file():
                    files[path.relative_to(self.directory).as_posix()] = None
        files.pop(FILE, None)
        return list(files)

    def _section(self, section: str, empty: Any) -> Any:
        if self.document.get(section) is None:
            self.document[section] = empty
        return self.document[section]

    def _join(self, file: str, included: Any, problems: list[Diagnostic]) -> None:
        if included is None:
            return
        if not isinstance(included, dict):
            problems.append(Diagnostic(summary="an included file is a mapping", place=Place(file, 1, 1)))
            return
        for section, content in included.items():
            if section in _MAPPINGS and isinstance(content, dict):
                ours = self._section(section, {})
                for key, body in content.items():
                    if isinstance(ours, dict) and key in ours:
                        here = spots(self._contents[file], file, [(section, key)])[(section, key)].key
                        other, path = self._origins.get((section, key), (FILE, (section, key)))
                        there = spots(self._contents[other], other, [path])[path].key
                        problems.append(
                            Diagnostic(
                                summary=f"`{key}` stands in two files", detail=f"It stands at {there} too.", place=here
                            )
                        )
                    elif isinstance(ours, dict):
                        ours[key] = body
                        self._origins[(section, key)] = (file, (section, key))
            elif section in _LISTS and isinstance(content, list):
                ours = self._section(section, [])
                for index, entry in enumerate(content):
                    if isinstance(ours, list):
                        self._origins[(section, len(ours))] = (file, (section, index))
                        ours.append(entry)
            else:
                at = spots(self._contents[file], file, [(section,)])[(section,)].key
                wrong = (
                    f"`{section}` is not what it should be"
                    if section in (*_MAPPINGS, *_LISTS)
                    else f"an included file has no `{section}`"
                )
                problems.append(
                    Diagnostic(summary=wrong, detail=f"It holds {', '.join((*_MAPPINGS, *_LISTS))}.", place=at)
                )


def _is_pattern(pattern: str) -> bool:
    """Tell whether text is a pattern of files; to what is none, pathlib answers in one Python so and in another so."""
    parts = FilePath(pattern).parts
    return bool(parts) and "\0" not in pattern and all("**" not in part or part == "**" for part in parts)


_START = "`kvstack init` writes a first one; the least is `stack: NAME` and `vaults: {...}`."
