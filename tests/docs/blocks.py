"""The code blocks of a Markdown page: what is to be run, what it should show, and the files it stands on.

- `console`: commands behind `$ ` (going on behind `> `), each followed by what it shows. A command whose line ends with
  `# exits with N` has that exit code, any other 0.
- `sh`: commands that are run too, without a word on what they show; `sh not-run` is for those that need a network or a
  clone of their own.
- `yaml`: a stack, or sections of one; it has to be valid, unless it is `broken`. `file=NAME` writes it to a file for
  the commands that follow. `yaml workflow` is a pipeline's file.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_EXIT = re.compile(r"# exits with (\d+)$")


class Command(msgspec.Struct, frozen=True):
    """One command, the exit code it should have, and the lines it should show. first, last: the lines of the page its
    output stands on, counted from 0, the last not included."""

    text: str
    code: int
    output: tuple[str, ...]
    first: int
    last: int


class Block(msgspec.Struct, frozen=True):
    """One fenced block. words: what stands behind the fence; start: the line of the page the fence stands on."""

    words: tuple[str, ...]
    lines: tuple[str, ...]
    start: int

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def file(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def commands(self) -> Iterator[Command]:
        """Yield the commands of a console block."""
        lines = self.lines
        index = 0
        while index < len(lines):
            if not lines[index].startswith("$ "):
                raise ValueError(f"line {self.start + index + 2}: what is shown stands before the first command")
            written = [lines[index].removeprefix("$ ")]
            index += 1
            while index < len(lines) and lines[index].startswith("> "):
                written.append(lines[index].removeprefix("> "))
                index += 1
            first = index
            while index < len(lines) and not lines[index].startswith("$ "):
                index += 1
            code = _EXIT.search(written[-1])
            yield Command(
                "\n".join(written),
                int(code[1]) if code else 0,
                lines[first:index],
                self.start + 1 + first,
                self.start + 1 + index,
            )


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines()):
        fence = _FENCE.match(line)
        if fence is None:
            lines.append(line)
        elif opened is None:
            opened, lines = (fence["info"].strip(), number), []
        else:
            found.append(Block(tuple(opened[0].split()), tuple(lines), opened[1]))
            opened = None
    if opened is not None:
        raise ValueError(f"{page}: the block in line {opened[1] + 1} has no end")
    return found


# What differs from run to run, and what stands for it when two runs are compared.
VARIABLE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z| UTC|\+00:00)?", "TIME"),
        (r"\b20\d\d-\d\d-\d\d\b", "DAY"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "GUID"),
        (r"\b[0-9a-f]{64}\b", "FINGERPRINT"),
        (r"\b[0-9a-f]{32}\b", "VERSION"),
        (r"\b[0-9a-f]{16}\b", "SERIAL"),  # of a token, or the beginning of a custodian's fingerprint
        (r"\b([0-9a-f]{34,40}|[0-9A-F]{40})\b", "NUMBER"),  # of a certificate, or its thumbprint
        (r"\b[A-Za-z0-9_-]{80,}\b", "SIGNATURE"),
        (r"\b\d+(\.\d+)? (ms|s|min)\b", "DURATION"),
        (r"\(sensitive [0-9a-f]{8}\)", "(sensitive)"),
        (r"\b\d+ records\b", "RECORDS"),
        (r" {2,}", "  "),
        (r"[ ]+$", ""),
    )
)


def comparable(line: str) -> str:
    """Return a line without what differs from run to run."""
    for pattern, word in VARIABLE:
        line = pattern.sub(word, line)
    return line


def agrees(expected: tuple[str, ...], shown: tuple[str, ...]) -> bool:
    """Tell whether what was shown is what the page says; a line `...` stands for any lines."""
    if not expected:
        return not shown
    if expected[0] == "...":
        return any(agrees(expected[1:], shown[start:]) for start in range(len(shown) + 1))
    return bool(shown) and comparable(expected[0]) == comparable(shown[0]) and agrees(expected[1:], shown[1:])
