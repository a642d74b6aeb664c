"""What else has to hold for a role assignment to count: Azure's attribute conditions, as far as Key Vault has them.

A condition is a tree of tests on one request, read by `condition_parser.py` and decided by `holds`. An attribute the
request has no value for makes a comparison false, one with a negated operator (`StringNotEquals`) as well.

The attributes are names, and a vault compares names without case: `DB-Password` and `db-password` are one secret. So do
all operators, those without `IgnoreCase` too; else another spelling of a name would get around a condition.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Final, Literal

import msgspec

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import folded
from kvstack.terms.wildcard import wildcard

VAULT_NAME: Final = "Microsoft.KeyVault/vaults:name"
SECRET_NAME: Final = "Microsoft.KeyVault/vaults/secrets:name"  # noqa: S105  # an attribute's name
ATTRIBUTES: Final = (VAULT_NAME, SECRET_NAME)

LONGEST: Final = 8 * 1024  # characters, as in Azure
DEEPEST: Final = 64  # brackets and negations within one another

Quantifier = Literal["", "ForAnyOfAnyValues", "ForAllOfAnyValues", "ForAnyOfAllValues", "ForAllOfAllValues"]


class ConditionError(KvstackError):
    """A condition that cannot be read. offset: where in its text, counted from 0."""

    def __init__(self, offset: int, summary: str, detail: str = "") -> None:
        super().__init__(summary, detail)
        self.offset = offset


class Request(msgspec.Struct, frozen=True):
    """What a condition is asked about. attributes: the values of those in `ATTRIBUTES` the request has."""

    action: str
    attributes: Mapping[str, str]


class All(msgspec.Struct, frozen=True):
    """Holds where all its parts do: `AND`, `&&`."""

    parts: "tuple[Condition, ...]"


class Any(msgspec.Struct, frozen=True):
    """Holds where one of its parts does: `OR`, `||`."""

    parts: "tuple[Condition, ...]"


class Not(msgspec.Struct, frozen=True):
    """Holds where its part does not: `NOT`, `!`."""

    part: "Condition"


class ActionMatches(msgspec.Struct, frozen=True):
    """Holds for the actions its pattern stands for; `*` is anything, case does not count."""

    pattern: str


class Exists(msgspec.Struct, frozen=True):
    """Holds where the request has a value for the attribute."""

    attribute: str


class Comparison(msgspec.Struct, frozen=True, dict=True):
    """Holds where the attribute's value compares so with one of the values, or with all of them.

    operator: a key of `OPERATORS`. A single value's quantifier is empty. An attribute has one value here, so that
    `ForAllOf` and `ForAnyOf` say the same.
    """

    attribute: str
    operator: str
    values: tuple[str, ...]
    quantifier: Quantifier = ""

    @cached_property
    def tests(self) -> tuple[Callable[[str], bool], ...]:
        """One test a value, made when first needed."""
        return tuple(OPERATORS[self.operator](value) for value in self.values)


Condition = All | Any | Not | ActionMatches | Exists | Comparison


def holds(condition: Condition, request: Request) -> bool:
    """Tell whether a condition holds for a request."""
    match condition:
        case All():
            return all(holds(part, request) for part in condition.parts)
        case Any():
            return any(holds(part, request) for part in condition.parts)
        case Not():
            return not holds(condition.part, request)
        case ActionMatches():
            return wildcard(condition.pattern).fullmatch(request.action) is not None
        case Exists():
            return condition.attribute in request.attributes
        case Comparison():
            value = request.attributes.get(condition.attribute)
            if value is None:
                return False
            every = condition.quantifier.endswith("AllValues")
            spelled = folded(value)
            return (all if every else any)(test(spelled) for test in condition.tests)


def is_about_items(condition: Condition) -> bool:
    """Tell whether a condition looks at a secret's name, so that the answer differs from thing to thing."""
    match condition:
        case All() | Any():
            return any(is_about_items(part) for part in condition.parts)
        case Not():
            return is_about_items(condition.part)
        case Exists() | Comparison():
            return condition.attribute == SECRET_NAME
        case ActionMatches():
            return False


def _equals(value: str) -> Callable[[str], bool]:
    wanted = folded(value)
    return lambda actual: actual == wanted


def _starts_with(value: str) -> Callable[[str], bool]:
    wanted = folded(value)
    return lambda actual: actual.startswith(wanted)


def _is_like(value: str) -> Callable[[str], bool]:
    pattern = re.compile(re.escape(folded(value)).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    return lambda actual: pattern.fullmatch(actual) is not None


def _negated(test: Callable[[str], Callable[[str], bool]]) -> Callable[[str], Callable[[str], bool]]:
    def negated(value: str) -> Callable[[str], bool]:
        plain = test(value)
        return lambda actual: not plain(actual)

    return negated


def _operators() -> Iterator[tuple[str, Callable[[str], Callable[[str], bool]]]]:
    for name, test in (("Equals", _equals), ("StartsWith", _starts_with), ("Like", _is_like)):
        for case in ("", "IgnoreCase"):
            yield f"String{name}{case}", test
            yield f"StringNot{name}{case}", _negated(test)


# By name: from a text to a test of a folded value.
OPERATORS: Final = dict(_operators())
