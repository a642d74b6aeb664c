"""Going on with an approved plan: what is left has to be part of what was planned."""

from typing import Any

import msgspec
import pytest

from kvstack.apply.continuing import require_continues
from kvstack.apply.saved import SavedPlan, of
from kvstack.plan.change import AttributeChange, Change, KnownAfterApply, Plan, Sensitive
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError

PLANNED = Plan(stack="s", environment=None, changes=(), lineage="l", serial=4, declaration_digest="d")
TAGS = AttributeChange("tags", {}, {"a": "b"})
DRAWN = AttributeChange("value", None, KnownAfterApply())


def change(action: Action, *attributes: AttributeChange, address: str = "dev/secrets/s") -> Change:
    return Change(address=Address(address), kind="secret", action=action, attributes=attributes)


def saved(*changes: Change, **more: Any) -> SavedPlan:
    return of(msgspec.structs.replace(PLANNED, changes=changes, **more))


def now(*changes: Change, **more: Any) -> Plan:
    return msgspec.structs.replace(PLANNED, changes=changes, **{"serial": 5, **more})


@pytest.mark.parametrize(
    ("planned", "left"),
    [
        ((change(Action.DELETE),), ()),
        ((change(Action.DELETE),), (change(Action.DELETE),)),
        ((change(Action.DELETE),), (change(Action.FORGET),)),
        ((change(Action.PURGE),), (change(Action.PURGE),)),
        ((change(Action.PURGE),), (change(Action.FORGET),)),
        ((change(Action.REPLACE, TAGS),), (change(Action.CREATE, TAGS, DRAWN),)),
        ((change(Action.UPDATE, TAGS),), (change(Action.UPDATE, TAGS),)),
        ((change(Action.CREATE, TAGS, DRAWN),), (change(Action.UPDATE, TAGS),)),
        ((change(Action.ROTATE, DRAWN),), (change(Action.ROTATE, AttributeChange("value", None, Sensitive("f"))),)),
        ((change(Action.DELETE), change(Action.DELETE, address="dev/secrets/t")), (change(Action.DELETE),)),
    ],
)
def test_what_is_left_of_it_is_gone_on_with(planned: tuple[Change, ...], left: tuple[Change, ...]) -> None:
    require_continues(saved(*planned), now(*left))


@pytest.mark.parametrize(
    ("planned", "left"),
    [
        ((), (change(Action.DELETE),)),
        ((change(Action.CREATE),), (change(Action.DELETE),)),
        ((change(Action.UPDATE, TAGS),), (change(Action.DELETE),)),
        ((change(Action.DELETE),), (change(Action.PURGE),)),
        ((change(Action.DELETE),), (change(Action.REPLACE),)),
        ((change(Action.UPDATE, TAGS),), (change(Action.UPDATE, AttributeChange("tags", {}, {"a": "c"})),)),
        ((change(Action.UPDATE, TAGS),), (change(Action.UPDATE, AttributeChange("enabled", True, False)),)),
        ((change(Action.DELETE),), (change(Action.DELETE, address="dev/secrets/t"),)),
    ],
)
def test_anything_else_is_stale(planned: tuple[Change, ...], left: tuple[Change, ...]) -> None:
    with pytest.raises(KvstackError, match="what is left to do to `dev/secrets/"):
        require_continues(saved(*planned), now(*left))


@pytest.mark.parametrize(
    ("then", "since", "words"),
    [
        ({}, {"declaration_digest": "e"}, "the declaration is another now"),
        ({}, {"lineage": "m"}, "made for another state"),
    ],
)
def test_another_declaration_or_state_is_stale(then: dict[str, Any], since: dict[str, Any], words: str) -> None:
    with pytest.raises(KvstackError, match=words):
        require_continues(saved(**then), now(**since))


def test_a_first_apply_has_a_lineage_only_once_it_began() -> None:
    require_continues(saved(serial=0, lineage="drawn"), now(lineage="written", serial=1))


def test_a_value_compared_at_apply_may_still_be_set() -> None:
    compared = saved(compared_at_apply=(Address("dev/secrets/s"),))
    require_continues(compared, now(change(Action.ROTATE, AttributeChange("value", None, Sensitive("f")))))
    with pytest.raises(KvstackError):
        require_continues(compared, now(change(Action.ROTATE, TAGS)))
