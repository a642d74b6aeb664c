"""Everything worth a warning in a declaration: found, silenced where the stack says so, and put in order."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from kvstack.declare.graph import Desired
from kvstack.declare.rules import Silence
from kvstack.lint.checks import CHECKS
from kvstack.lint.rules import breaches
from kvstack.lint.stack import Found, Stack
from kvstack.terms.address import Address, is_within
from kvstack.terms.diagnostic import Diagnostic, Severity

NEVER_TOLD = "KV000"


def findings(desired: Desired, *, now: datetime, more: Iterable[Diagnostic] = ()) -> tuple[Diagnostic, ...]:
    """Return what is worth a word in a declaration. more: what policies from outside the stack found: no line of the
    stack silences these."""
    stack = Stack(desired, now)
    found = list(_own(stack))
    used: set[Silence] = set()
    told = [one for one in found if not _silenced(one, desired.silences, used)]
    return (*told, *_useless(desired.silences, used), *more)


def _own(stack: Stack) -> Iterator[Diagnostic]:
    for check in CHECKS:
        for one in check.find(stack):
            yield _diagnostic(check.id, one, check.mend, "warning")
    for rule in stack.desired.rules:
        for one in breaches(stack, rule):
            yield _diagnostic(rule.id, one, "", rule.severity)


def _diagnostic(code: str, found: Found, detail: str, severity: Severity) -> Diagnostic:
    return Diagnostic(severity=severity, summary=found.summary, detail=detail, address=found.address, code=code)


def _silenced(one: Diagnostic, silences: Iterable[Silence], used: set[Silence]) -> bool:
    # A rule that refuses a plan is not silenced beside it, but taken out, or changed.
    matching = [
        silence
        for silence in silences
        if silence.warning == one.code and one.address and is_within(Address(one.address), Address(silence.at))
    ]
    used.update(matching)
    return bool(matching) and one.severity == "warning"


def _useless(silences: Iterable[Silence], used: set[Silence]) -> Iterator[Diagnostic]:
    for silence in silences:
        if silence not in used:
            yield Diagnostic(
                severity="warning",
                summary=f"`silence` of {silence.warning} at `{silence.at}` silences nothing",
                detail="Take the line out: what it was about is mended.",
                code=NEVER_TOLD,
            )
