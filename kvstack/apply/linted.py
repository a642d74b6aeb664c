"""What lint finds in a declaration, each where it stands in the files."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from kvstack.declare.declaration import Declaration
from kvstack.lint.lint import findings
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic


def linted(declaration: Declaration, *, now: datetime, policies: Path | None = None) -> tuple[Diagnostic, ...]:
    """Return everything worth a word in a declaration. policies: the folder of Python policies. Raises KvstackError
    where these cannot be run."""
    more: tuple[Diagnostic, ...] = ()
    if policies is not None:
        from kvstack.lint.policies import breaches  # runs code: of whoever named the folder, never of the stack

        more = breaches(policies, declaration.desired, stack_folder=declaration.directory)
    return _placed(declaration, findings(declaration.desired, now=now, more=more))


def of_plan(found: Iterable[Diagnostic], changed: Iterable[Address]) -> tuple[Diagnostic, ...]:
    """Return what of it a plan tells: what refuses it, and warnings about what it changes."""
    touched = frozenset(map(str, changed))
    return tuple(one for one in found if one.severity == "error" or one.address in touched)


def _placed(declaration: Declaration, found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    nodes = declaration.desired.nodes
    addresses = dict.fromkeys(one.address for one in found if one.address is not None)
    places = declaration.places({one: nodes[Address(one)].path for one in addresses if Address(one) in nodes})
    return tuple(msgspec.structs.replace(one, place=places.get(one.address or "")) for one in found)
