"""What is wrong, where, and how to mend it: the one shape of every message about a user's input."""

from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands. line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `summary` says what is wrong, `detail` why and how to mend it; neither ever holds a secret value.
    code: the stable id of a warning that can be silenced, or of the rule that is broken; None for all others."""

    severity: Severity = "error"
    summary: str
    detail: str = ""
    place: Place | None = None
    address: str | None = None
    code: str | None = None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else f"{self.address}: " if self.address else ""
        return f"{where}{self.summary}" + (f"\n  {self.detail}" if self.detail else "")

    def document(self) -> dict[str, Any]:
        """Return the shape of design section 9: one flat object with every key present; `code` where there is one."""
        return {
            "severity": self.severity,
            "summary": self.summary,
            "detail": self.detail,
            "file": self.place.file if self.place else None,
            "line": self.place.line if self.place else None,
            "column": self.place.column if self.place else None,
            "address": self.address,
            **({"code": self.code} if self.code is not None else {}),
        }


class KvstackError(Exception):
    """Anything a user can cause or can mend: shown as its diagnostics, never as a traceback.

    exit_code: what the command line answers with (design section 9).
    """

    exit_code = 1

    def __init__(
        self, summary: str, detail: str = "", *, place: Place | None = None, address: str | None = None
    ) -> None:
        super().__init__(summary)
        self.diagnostics: tuple[Diagnostic, ...] = (
            Diagnostic(summary=summary, detail=detail, place=place, address=address),
        )

    def __str__(self) -> str:
        return "\n".join(str(diagnostic) for diagnostic in self.diagnostics)


class InvalidInput(KvstackError):
    """All problems of a user's input at once."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics[0].summary if diagnostics else "invalid input")
        self.diagnostics = diagnostics
