"""Release policies: what Azure's grammar says, what is none of it, and who meets one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.release_policy import LONGEST, ReleaseCondition, ReleaseRules, encoded, rules, unmet

A = "https://a.example.com"


def policy(*conditions: dict[str, Any], combined: str = "allOf", **more: Any) -> bytes:
    return json.dumps({"anyOf": [{"authority": A, combined: list(conditions)}], **more}).encode()


CLAIMS: dict[str, Any] = {
    "type": "sevsnpvm",
    "debug": False,
    "tested": True,
    "written": "true",
    "svn": 3,
    "ratio": 0.5,
    "microcode": 2**63 + 5,
    "tee": {"type": "snp", "vm": {"secure-boot": True}},
    "list": ["snp"],
    "nothing": None,
    "a.b": "dotted",
}
CONDITIONS = (
    ({"claim": "type", "equals": "sevsnpvm"}, True),
    ({"claim": "type", "equals": "SEVSNPVM"}, False),
    ({"claim": "type", "notEquals": "sgx"}, True),
    ({"claim": "type", "notEquals": "sevsnpvm"}, False),
    ({"claim": "missing", "equals": "x"}, False),
    ({"claim": "missing", "notEquals": "x"}, False),
    ({"claim": "debug", "equals": False}, True),
    ({"claim": "debug", "equals": "false"}, True),
    ({"claim": "debug", "equals": True}, False),
    ({"claim": "debug", "equals": 0}, False),
    ({"claim": "debug", "notEquals": True}, True),
    ({"claim": "debug", "notEquals": "false"}, False),
    ({"claim": "tested", "equals": 1}, False),
    ({"claim": "tested", "less": 2}, False),
    ({"claim": "written", "equals": "true"}, True),
    ({"claim": "written", "equals": True}, False),
    ({"claim": "svn", "equals": 3}, True),
    ({"claim": "svn", "equals": 3.0}, True),
    ({"claim": "svn", "equals": "3"}, False),
    ({"claim": "svn", "less": 3}, False),
    ({"claim": "svn", "less": 4}, True),
    ({"claim": "svn", "lessOrEquals": 3}, True),
    ({"claim": "svn", "greater": 3}, False),
    ({"claim": "svn", "greater": 2.5}, True),
    ({"claim": "svn", "greaterOrEquals": 3}, True),
    ({"claim": "microcode", "greater": 2**63 + 4}, True),
    ({"claim": "microcode", "greater": 2**63 + 5}, False),
    ({"claim": "microcode", "equals": 2**63 + 4}, False),
    ({"claim": "ratio", "equals": 0.5}, True),
    ({"claim": "type", "greater": 1}, False),
    ({"claim": "tee.type", "equals": "snp"}, True),
    ({"claim": "tee.vm.secure-boot", "equals": True}, True),
    ({"claim": "tee.vm", "equals": "snp"}, False),
    ({"claim": "tee.vm", "notEquals": "snp"}, False),
    ({"claim": "tee.vm.secure-boot.x", "equals": True}, False),
    ({"claim": "list", "equals": "snp"}, False),
    ({"claim": "list", "notEquals": "sgx"}, False),
    ({"claim": "list.0", "equals": "snp"}, False),
    ({"claim": "nothing", "equals": "null"}, False),
    ({"claim": "a.b", "equals": "dotted"}, False),
    ({"claim": "missing", "exists": False}, True),
    ({"claim": "missing", "exists": True}, False),
    ({"claim": "tee", "exists": True}, True),
    ({"claim": "nothing", "exists": False}, False),
    ({"anyOf": [{"claim": "svn", "equals": 1}, {"claim": "svn", "equals": 3}]}, True),
    ({"anyOf": [{"claim": "svn", "equals": 1}, {"claim": "svn", "equals": 2}]}, False),
    ({"allOf": [{"claim": "svn", "equals": 3}, {"claim": "type", "exists": True}]}, True),
    ({"allOf": [{"claim": "svn", "equals": 3}, {"claim": "type", "exists": False}]}, False),
    ({"anyOf": [{"allOf": [{"claim": "svn", "equals": 3}, {"anyOf": [{"claim": "debug", "equals": False}]}]}]}, True),
)


@pytest.mark.parametrize(("condition", "met"), CONDITIONS, ids=lambda one: json.dumps(one))
@pytest.mark.parametrize("combined", ["allOf", "anyOf"])
def test_a_condition_is_met_or_not(condition: dict[str, Any], met: bool, combined: str) -> None:
    found = rules(policy(condition, combined=combined))
    assert (unmet(found, A, CLAIMS) is None) == met
    # The same rules, written anew, ask the same.
    assert (unmet(rules(encoded(found)), A, CLAIMS) is None) == met


def test_any_of_the_authorities_will_do_but_only_for_its_own_conditions() -> None:
    both = {
        "version": "1.0.0",
        "anyOf": [
            {"authority": A, "allOf": [{"claim": "x", "equals": 1}]},
            {"authority": "b", "anyOf": [{"claim": "x", "equals": 2}]},
            {"authority": "b", "anyOf": [{"claim": "x", "equals": 3}]},
        ],
    }
    found = rules(json.dumps(both).encode())
    met = {(issuer, x) for issuer in (A, "b", "c") for x in range(5) if unmet(found, issuer, {"x": x}) is None}
    assert met == {(A, 1), ("b", 2), ("b", 3)}
    assert unmet(found, "c", {}) == "the policy does not name its authority `c`"


def deep(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"claim": "x", "equals": 1}
    for _ in range(levels):
        condition = {"anyOf": [condition]}
    return condition


NONE = {
    "nothing": b"",
    "no object": b"[]",
    "empty": b"{}",
    "no authority": b'{"anyOf":[]}',
    "allOf at its top": b'{"allOf":[]}',
    "an authority without conditions": json.dumps({"anyOf": [{"authority": A}]}).encode(),
    "an authority with both": json.dumps({"anyOf": [{"authority": A, "anyOf": [], "allOf": []}]}).encode(),
    "an authority without a name": json.dumps({"anyOf": [{"authority": "", "allOf": [deep(0)]}]}).encode(),
    "no conditions": policy(),
    "two comparisons": policy({"claim": "x", "equals": 1, "less": 2}),
    "no comparison": policy({"claim": "x"}),
    "no claim": policy({"equals": 1}),
    "claim and list": policy({"claim": "x", "equals": 1, "anyOf": [deep(0)]}),
    "an unknown comparison": policy({"claim": "x", "like": "y"}),
    "an object to match": policy({"claim": "x", "equals": {"y": 1}}),
    "a list to match": policy({"claim": "x", "equals": [1]}),
    "null to match": policy({"claim": "x", "equals": None}),
    "less than text": policy({"claim": "x", "less": "2"}),
    "less than true": policy({"claim": "x", "less": True}),
    "exists perhaps": policy({"claim": "x", "exists": "perhaps"}),
    "an empty claim": policy({"claim": "", "equals": 1}),
    "a claim with nothing between dots": policy({"claim": "a..b", "equals": 1}),
    "another version": policy(deep(0), version="2.0.0"),
    "too deep": policy(deep(10)),
    "far too deep": policy(deep(0))
    .replace(b'{"claim"', b'{"anyOf": [' * 900 + b'{"claim"')
    .replace(b"}]}]}", b"}" + b"]}" * 902),
    "no end": b"[" * 10_000,
    "too many": policy(*({"claim": "x", "equals": 1} for _ in range(300))),
    "too long": policy({"claim": "x", "equals": "y" * LONGEST}),
    "a name twice": b'{"anyOf":[],"anyOf":[{"authority":"a","allOf":[{"claim":"x","equals":1}]}]}',
    "NaN": b'{"anyOf":[{"authority":"a","allOf":[{"claim":"x","equals":NaN}]}]}',
    "a number without end": b'{"anyOf":[{"authority":"a","allOf":[{"claim":"x","equals":1e999}]}]}',
    "not UTF-8": b"\xff",
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_what_is_no_policy_is_one_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rules(data)


@pytest.mark.parametrize("version", ["1.0.0", "1.0", None])
def test_a_policy_may_leave_its_version_out(version: str | None) -> None:
    found = rules(policy(deep(9), **({} if version is None else {"version": version})))
    assert unmet(found, A, {"x": 1}) is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    ["anyOf", "allOf", "claim", "equals", "less", "greater", "notEquals", "exists", "authority", "version", "x"]
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_anything_is_a_policy_or_a_value_error(data: bytes) -> None:
    try:
        found = rules(data)
    except ValueError:
        return
    assert rules(encoded(found)) == found


CONDITION = st.recursive(
    st.builds(
        lambda claim, how, value: ReleaseCondition(claim=claim, **{how: value}),
        st.sampled_from(["x", "x.y"]),
        st.sampled_from(["equals", "not_equals"]),
        st.booleans() | st.integers() | st.text(max_size=3),
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda found: ReleaseCondition(any_of=tuple(found)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda found: ReleaseCondition(all_of=tuple(found)))
    ),
    max_leaves=8,
)


@given(CONDITION, JSON)
def test_any_claims_meet_a_policy_or_do_not(condition: ReleaseCondition, claims: Any) -> None:
    made = msgspec.convert({"anyOf": [{"authority": A, "allOf": [msgspec.to_builtins(condition)]}]}, ReleaseRules)
    found = claims if isinstance(claims, dict) else {"x": claims}
    assert unmet(made, A, found) is None or isinstance(unmet(made, A, found), str)
    assert unmet(made, "b", found) is not None
