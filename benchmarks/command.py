"""One process to be run, and what it has to answer."""

from collections.abc import Mapping
from pathlib import Path

import msgspec


class Command(msgspec.Struct, frozen=True):
    """A process to run. exit_code: what it has to answer; says: what its output has to hold."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    exit_code: int = 0
    says: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((Path(self.arguments[0]).name, *self.arguments[1:]))
