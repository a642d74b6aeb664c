"""Of any edit of any stack, what the plan says waits for an approval is what the vault holds up: all of it, and nothing
else."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.plan.change import Plan
from kvstack.terms.approval import APPROVABLE
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from tests.properties.access import Declared
from tests.properties.worlds import World, settled, stacks, world

QUICK = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
LARGE = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))

ALICE, CREW = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a21", "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a22"
PLAN = "a1" * 32

_rules = st.none() | st.fixed_dictionaries(
    {
        "by": st.sampled_from([["alice"], ["crew"], ["alice", "bob"]]),
        "for": st.lists(st.sampled_from(APPROVABLE), min_size=1, unique=True),
    }
)
_wide = st.lists(
    st.sampled_from(
        [
            {"principal": "crew", "role": "Key Vault Reader", "scope": "subscription"},
            {"principal": "api", "role": "Key Vault Reader", "scope": "resource_group/elsewhere"},
            {"principal": "bob", "role": "Key Vault Reader", "scope": "subscription"},
        ]
    ),
    max_size=2,
    unique_by=str,
)


@st.composite
def ruled(draw: st.DrawFn) -> Declared:
    """A stack whose vaults may have rules, with a group whose members come and go, and access above the vaults."""
    stack = draw(stacks)
    members = draw(st.sampled_from([["alice"], ["alice", "bob"], ["alice", "api"]]))
    principals: dict[str, Any] = {
        **stack["principals"],
        "alice": {"type": "user", "id": ALICE},
        "crew": {"type": "group", "id": CREW, "members": members},
    }
    vaults = {name: {**block, "approval": draw(_rules)} for name, block in stack["vaults"].items()}
    for block in vaults.values():
        if block["approval"] is None:
            del block["approval"]
    return {**stack, "principals": principals, "vaults": vaults, "access": draw(_wide)}


def edited(of: World, first: Declared, second: Declared) -> Plan | None:
    """Apply one stack, declare the other, and return its plan; None where it holds what cannot be done."""
    of.declare(first)
    made = of.plan()
    if made.refused:
        return None
    assert made.needs_approval == (), "nothing that is new waits for anybody"
    of.apply(made)
    settled(of)
    of.declare(second)
    made = of.plan()
    return None if made.refused else made


def approved_it_is_done_whole(data: st.DataObject) -> None:
    with world() as of:
        made = edited(of, data.draw(ruled()), data.draw(ruled()))
        if made is None:
            return
        deeds = list(dict.fromkeys(need.deed for need in made.needs_approval))
        approved = ""
        if deeds:
            of.service.approve_plan(Caller(ALICE), PLAN, deeds, made_by=of.operator.id)
            approved = PLAN
        opened = of.workspace
        outcome = opened.apply(made, opened.state(), tell=lambda _: None, stop=threading.Event(), approved=approved)
        assert outcome.failed == (), (outcome.failed, deeds)
        assert outcome.skipped == ()
        settled(of)


def not_approved_it_is_refused_where_the_plan_said_so(data: st.DataObject) -> None:
    with world() as of:
        made = edited(of, data.draw(ruled()), data.draw(ruled()))
        if made is None:
            return
        opened = of.workspace
        if any(need.deed.group for need in made.needs_approval):
            # Who is in which group is told before anything else, and what follows would be something else.
            with pytest.raises(Forbidden, match="needs an approval"):
                opened.apply(made, opened.state(), tell=lambda _: None, stop=threading.Event())
            return
        wanted = {need.address for need in made.needs_approval if not need.declared}
        outcome = opened.apply(made, opened.state(), tell=lambda _: None, stop=threading.Event())
        failed = {result.address.removesuffix("/approval rule") for result in outcome.failed}
        skipped = {result.address.removesuffix("/approval rule") for result in outcome.skipped}
        assert failed <= wanted <= failed | skipped
        assert all("needs an approval" in str(one) for result in outcome.failed for one in result.diagnostics)


CLAIMS = pytest.mark.parametrize(
    "claim",
    [approved_it_is_done_whole, not_approved_it_is_refused_where_the_plan_said_so],
    ids=lambda claim: claim.__name__,
)


@CLAIMS
@given(data=st.data())
@QUICK
def test_in_a_few_cases(claim: Callable[[st.DataObject], None], data: st.DataObject) -> None:
    claim(data)


@pytest.mark.slow
@CLAIMS
@given(data=st.data())
@LARGE
def test_in_many_cases(claim: Callable[[st.DataObject], None], data: st.DataObject) -> None:
    claim(data)
