"""Data as an enemy would write it, and plans full of it."""

from collections.abc import Iterator
from datetime import UTC, datetime

from hypothesis import strategies as st

from kvstack.plan.change import (
    AttributeChange,
    Change,
    Drifted,
    GivenApproval,
    KnownAfterApply,
    NeedsApproval,
    Plan,
    Sensitive,
    UnreadThing,
)
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.approval import Deed
from kvstack.terms.diagnostic import Diagnostic, Place

HOSTILE = (
    "\x1b[2K\x1b[1A",
    "\x9b31m",
    "\r\n  + create",
    "\x08\x08\x08",
    "\u202e\u2066\u2069",
    "\u200b\u200e\ufeff\u2028\u2029\x85",
    "\udc80",
    "a" + "\u0335" * 40,
    "<!--",
    "-->",
    "</details>",
    "<details><summary>",
    "<script>alert(1)</script>",
    "<img src=x onerror=y>",
    "```",
    "\n```\n",
    "~~~~",
    "`",
    "``",
    "| a | b |",
    "[x](http://example.com)",
    "![x](http://example.com/x.png)",
    "http://example.com",
    "@everyone",
    "#1",
    "> [!NOTE]",
    "# heading",
    "---",
    "&lt;&#64;",
    "\\",
    '"',
    " -> ",
    "    ",
    "漢字",
    "👩‍💻",
    "\U000e0041",
    "\x1f",
    "\x00",
)

texts = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4).map("".join),
    st.text(alphabet=st.characters(), max_size=20),  # with halves of surrogate pairs
)
actions = st.sampled_from([action for action in Action if action is not Action.NO_OP])


def plans() -> st.SearchStrategy[tuple[Plan, Plan]]:
    """Two plans of one shape: one with any text wherever there is text, one with harmless words in its place."""
    return st.builds(
        _twins,
        st.lists(texts, min_size=1, max_size=12),
        st.lists(actions, max_size=5),
        st.sets(st.sampled_from(["drift", "unread", "compared", "diagnostics", "targets", "approval"])),
        st.booleans(),
    )


def _twins(found: list[str], wanted: list[Action], parts: set[str], irreversible: bool) -> tuple[Plan, Plan]:
    # Each text is told from all others by a number in it, so that both plans have the same differences.
    hostile = (f"{found[at % len(found)]}<{at}>{found[(at + 1) % len(found)]}" for at in range(10_000))
    harmless = (f"word{at}" for at in range(10_000))
    return _plan(hostile, wanted, parts, irreversible), _plan(harmless, wanted, parts, irreversible)


def _plan(words: Iterator[str], wanted: list[Action], parts: set[str], irreversible: bool) -> Plan:
    def word() -> str:
        return next(words)

    def address() -> Address:
        return Address(word())

    return Plan(
        stack=word(),
        environment=word(),
        changes=tuple(
            Change(
                address=address(),
                kind=word(),
                action=action,
                irreversible=irreversible,
                reasons=(word(), word()),
                attributes=(
                    AttributeChange(word(), word(), word()),
                    AttributeChange(word(), {word(): word(), "kept": 1}, {word(): word(), "kept": 1}, "replace"),
                    AttributeChange(word(), [word()], [word(), word()], word()),
                    AttributeChange(word(), Sensitive(word()), KnownAfterApply(word()), "new version"),
                ),
                moved_from=address(),
                place=Place(word(), 1, 2),
            )
            for action in wanted
        ),
        drift=(
            Drifted(
                address=address(),
                kind=word(),
                what="changed",
                attributes=(AttributeChange(word(), word(), None),),
                by=word(),
                at=datetime(2026, 11, 2, tzinfo=UTC),
                operation=word(),
            ),
        )
        if "drift" in parts
        else (),
        unread=(UnreadThing(address(), word()),) if "unread" in parts else (),
        compared_at_apply=(address(),) if "compared" in parts else (),
        diagnostics=(
            Diagnostic(summary=word(), detail=word(), place=Place(word(), 3, 4), address=word()),
            Diagnostic(severity="warning", summary=word(), detail=word(), address=word()),
        )
        if "diagnostics" in parts
        else (),
        targets=(address(),) if "targets" in parts else (),
        needs_approval=(
            NeedsApproval(
                address=address(),
                vault=word(),
                deed=Deed("access", word(), word(), word()),
                by=(word(),),
                names=(word(), word()),
            ),
        )
        if "approval" in parts
        else (),
        approvals=(GivenApproval(word(), datetime(2026, 11, 2, tzinfo=UTC), word()),) if "approval" in parts else None,
    )
