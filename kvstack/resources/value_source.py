"""Where a secret's value comes from; the value itself never stands in a file."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from kvstack.schema.attribute import doc
from kvstack.schema.resource import Problem
from kvstack.terms import limits
from kvstack.terms.generator import Characters, Generator

_NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]
_Program = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Generate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A random value, drawn once and again when this specification changes."""

    length: Annotated[int, doc("Characters.", 48, ge=1, le=limits.SECRET_BYTES)] = 32
    characters: Annotated[Characters, doc("What it is drawn from.", "alphanumeric")] = "alphanumeric"

    @property
    def generator(self) -> Generator:
        """The same as a vault keeps it, to make other values by itself."""
        return Generator(self.length, self.characters)


class ValueFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of four sources. `env` and `file` are read where they are there, at plan and at apply; `generate` and
    `command` run in apply alone, and again only when their specification changed or the value drifted."""

    env: Annotated[_NotEmpty | None, doc("The environment variable that holds the value.", "DB_PASSWORD")] = None
    file: Annotated[
        _NotEmpty | None, doc("The file that holds the value, byte for byte; inside the stack's folder.", "token.txt")
    ] = None
    generate: Annotated[Generate | None, doc("Draw a random value.", {"length": 48})] = None
    command: Annotated[
        _Program | None,
        doc(
            "A program and its arguments; its standard output, less one trailing newline, is the value.",
            ["pass", "show", "db"],
        ),
    ] = None

    @property
    def read_at_plan(self) -> bool:
        """Whether looking at the value runs nothing."""
        return self.env is not None or self.file is not None

    @property
    def waits_for(self) -> str | None:
        """What is being waited for where getting the value takes long."""
        return f"running {self.command[0]}" if self.command else None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the source."""
        named = [("env", self.env), ("file", self.file), *(("command", part) for part in self.command or ())]
        for field, text in named:
            if text is not None and "\0" in text:
                yield Problem(("value_from", field), f"no `{field}` has the character NUL in it")
        given = [field for field in self.__struct_fields__ if getattr(self, field) is not None]
        if len(given) != 1:
            yield Problem(
                ("value_from",),
                "a value comes from one of `env`, `file`, `generate` and `command`"
                + (f", not from {' and '.join(given)}" if given else ""),
            )

    def __str__(self) -> str:
        """Say where the value comes from, in words."""
        match self:
            case ValueFrom(env=str(variable)):
                return f"environment variable {variable}"
            case ValueFrom(file=str(path)):
                return f"file {path}"
            case ValueFrom(command=(program, *_)):
                return f"command {program}"
            case _:
                return "generated"
