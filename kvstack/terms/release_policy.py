"""Which environments a key may be released to: Azure's policy grammar, what is wrong with a policy, and who meets it.

Source: Azure Key Vault, secure key release policy grammar. Where it is silent, what is not understood is not met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, Any, Final, NoReturn

import msgspec

CONTENT_TYPE = "application/json; charset=utf-8"
VERSIONS = ("1.0.0", "1.0")
LONGEST = 16 << 10
_DEEPEST = 10
_MOST = 256

ClaimValue = str | int | float | bool


class ReleaseCondition(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One claim with exactly one comparison, or a list of conditions."""

    claim: Annotated[str | None, msgspec.Meta(description="The claim; dots lead into objects.")] = None
    equals: Annotated[ClaimValue | None, msgspec.Meta(description="It is this.")] = None
    not_equals: Annotated[ClaimValue | None, msgspec.Meta(description="It is there, and is not this.")] = None
    less: Annotated[int | float | None, msgspec.Meta(description="It is a number below this.")] = None
    less_or_equals: Annotated[int | float | None, msgspec.Meta(description="It is a number up to this.")] = None
    greater: Annotated[int | float | None, msgspec.Meta(description="It is a number above this.")] = None
    greater_or_equals: Annotated[int | float | None, msgspec.Meta(description="It is a number from this on.")] = None
    exists: Annotated[bool | None, msgspec.Meta(description="Whether it is there at all.")] = None
    any_of: Annotated[tuple[ReleaseCondition, ...] | None, msgspec.Meta(description="One of these is met.")] = None
    all_of: Annotated[tuple[ReleaseCondition, ...] | None, msgspec.Meta(description="All of these are met.")] = None


class ReleaseAuthority(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Who has to say so, and what: an authority with one list of conditions."""

    authority: Annotated[
        str, msgspec.Meta(description="The `iss` of its tokens.", examples=["https://attest.example.com"])
    ]
    any_of: Annotated[tuple[ReleaseCondition, ...] | None, msgspec.Meta(description="One of these is met.")] = None
    all_of: Annotated[tuple[ReleaseCondition, ...] | None, msgspec.Meta(description="All of these are met.")] = None


class ReleaseRules(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The policy itself, in Azure's grammar."""

    any_of: Annotated[tuple[ReleaseAuthority, ...], msgspec.Meta(description="One of these authorities says so.")]
    version: Annotated[str, msgspec.Meta(description="Of the grammar.")] = VERSIONS[0]


class ReleasePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy as a vault keeps it. data: its JSON, as it was given; immutable: it can never be changed again."""

    data: bytes
    immutable: bool = False
    content_type: str = CONTENT_TYPE


_encoder = msgspec.json.Encoder()


def encoded(rules: ReleaseRules) -> bytes:
    """Return a policy's JSON, the same for the same rules."""
    return _encoder.encode(rules)


def rules(data: bytes) -> ReleaseRules:
    """Return the rules in a policy's JSON. Raises ValueError, which repeats nothing of it."""
    if len(data) > LONGEST:
        raise ValueError(f"a release policy has at most {LONGEST} bytes, this one has {len(data)}")
    try:
        found = msgspec.convert(unambiguous_json(data), ReleaseRules)
    except RecursionError:
        raise ValueError(f"conditions stand at most {_DEEPEST} deep in one another") from None
    except msgspec.ValidationError as error:  # what it says of a value is not repeated
        raise ValueError(f"it is no release policy: {_words(error)}") from None
    for path, summary in problems(found):
        where = ".".join(str(step) for step in path)
        raise ValueError(f"{where}: {summary}" if where else summary)
    return found


def unambiguous_json(data: bytes) -> Any:
    """Return what JSON holds, as every reader of it understands it: no name twice in an object, no NaN, nothing after
    it. Raises ValueError, which repeats nothing of it."""
    try:
        return _decoder.decode(data.decode())
    except _Ambiguous:
        raise ValueError("its JSON has a name twice in one object, or a number that is none") from None
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON in UTF-8") from None


def problems(policy: ReleaseRules) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (where, what is wrong) for a policy no vault would take."""
    if policy.version not in VERSIONS:
        yield ("version",), f"the grammar's version is {VERSIONS[0]}"
    if not policy.any_of:
        yield ("anyOf",), "it names no authority: the key could never be released"
    seen = 0
    for index, authority in enumerate(policy.any_of):
        here: tuple[str | int, ...] = ("anyOf", index)
        if not authority.authority or len(authority.authority) > 2048:
            yield (*here, "authority"), "an authority is told by the `iss` of its tokens, up to 2048 characters"
        if (authority.any_of is None) == (authority.all_of is None):
            yield here, "an authority has either `anyOf` or `allOf`"
        for name, conditions in (("anyOf", authority.any_of), ("allOf", authority.all_of)):
            yield from _list_problems(conditions, (*here, name), 1)
        seen += sum(_count(condition, 0) for condition in (*(authority.any_of or ()), *(authority.all_of or ())))
    if seen > _MOST:
        yield ("anyOf",), f"a policy has at most {_MOST} conditions"


def _list_problems(
    conditions: tuple[ReleaseCondition, ...] | None, here: tuple[str | int, ...], depth: int
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if conditions is None:
        return
    if not conditions:
        yield here, "a list of conditions holds at least one"
    if depth > _DEEPEST:
        yield here, f"conditions stand at most {_DEEPEST} deep in one another"
        return
    for index, condition in enumerate(conditions):
        path = (*here, index)
        given = [name for name in ReleaseCondition.__struct_fields__ if getattr(condition, name) is not None]
        match given:
            case ["any_of"] | ["all_of"]:
                name, inner = _inner(condition)
                yield from _list_problems(inner, (*path, name), depth + 1)
            case ["claim", operator] if operator in _COMPARISONS:
                pass
            case _:
                yield (
                    path,
                    "a condition is a `claim` with one of equals, notEquals, less, lessOrEquals, greater, "
                    "greaterOrEquals and exists; or `anyOf`, or `allOf`",
                )
        if condition.claim is not None and not all(condition.claim.split(".")):
            yield (*path, "claim"), "a claim is a name, or names with dots between them"


_COMPARISONS = ("equals", "not_equals", "less", "less_or_equals", "greater", "greater_or_equals", "exists")


def _inner(condition: ReleaseCondition) -> tuple[str, tuple[ReleaseCondition, ...]]:
    return ("anyOf", condition.any_of) if condition.any_of is not None else ("allOf", condition.all_of or ())


def _count(condition: ReleaseCondition, depth: int) -> int:
    if depth > _DEEPEST:
        return 1
    inner = (*(condition.any_of or ()), *(condition.all_of or ()))
    return 1 + sum(_count(one, depth + 1) for one in inner)


def unmet(policy: ReleaseRules, issuer: str, claims: Mapping[str, Any]) -> str | None:
    """Return why an environment is not one the key may be released to, None where it is. issuer: the authority whose
    signature is on the claims."""
    asked = [authority for authority in policy.any_of if authority.authority == issuer]
    reason: str | None = f"the policy does not name its authority `{issuer}`"
    for authority in asked:
        reason = _unmet(ReleaseCondition(any_of=authority.any_of, all_of=authority.all_of), claims)
        if reason is None:
            return None
    return reason


def _unmet(condition: ReleaseCondition, claims: Mapping[str, Any]) -> str | None:
    if condition.any_of is not None:
        reasons = [_unmet(one, claims) for one in condition.any_of]
        return None if None in reasons else reasons[0]
    if condition.all_of is not None:
        return next((reason for one in condition.all_of if (reason := _unmet(one, claims)) is not None), None)
    name = condition.claim or ""
    value = _claim(name, claims)
    if condition.exists is not None:
        there = value is not _ABSENT
        return None if there == condition.exists else f"the claim `{name}` is {'there' if there else 'not there'}"
    if value is _ABSENT:
        return f"the claim `{name}` is not there"
    return None if _compares(condition, value) else f"the claim `{name}` is not as the policy asks"


def _compares(condition: ReleaseCondition, value: Any) -> bool:
    match condition:
        case ReleaseCondition(equals=wanted) if wanted is not None:
            return _equal(wanted, value)
        case ReleaseCondition(not_equals=unwanted) if unwanted is not None:
            # What is no single value cannot be told to be another one.
            return isinstance(value, str | int | float) and not _equal(unwanted, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    match condition:
        case ReleaseCondition(less=bound) if bound is not None:
            return value < bound
        case ReleaseCondition(less_or_equals=bound) if bound is not None:
            return value <= bound
        case ReleaseCondition(greater=bound) if bound is not None:
            return value > bound
        case ReleaseCondition(greater_or_equals=bound) if bound is not None:
            return value >= bound
    return False


def _equal(wanted: ClaimValue, value: Any) -> bool:
    # The grammar writes booleans as "true" and "false": both spellings mean a claim that is a boolean.
    if isinstance(value, bool):
        return wanted is value or wanted == ("true" if value else "false")
    if isinstance(wanted, bool):
        return False
    if isinstance(wanted, str):
        return isinstance(value, str) and wanted == value
    return isinstance(value, int | float) and wanted == value


def _claim(name: str, claims: Mapping[str, Any]) -> Any:
    found: Any = claims
    for step in name.split("."):
        if not isinstance(found, dict) or step not in found:
            return _ABSENT
        found = found[step]
    return found


_ABSENT = object()


class _Ambiguous(Exception):
    """JSON that two readers may understand differently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Ambiguous
    return found


def _no_number(_: str) -> NoReturn:
    raise _Ambiguous


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _Ambiguous
    return number


# Made once: making one takes longer than reading a short body.
_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)


def _words(error: msgspec.ValidationError) -> str:
    """Return where its shape is wrong; what stands there is not repeated."""
    _, _, where = str(error).partition(" - at `")
    return f"what stands at {where.rstrip('`').lstrip('$.') or 'its top'} is not what the grammar asks for"
