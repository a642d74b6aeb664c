"""A pull-request comment shows the plan, whatever the plan is full of, and however large it is."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kvstack.plan.change import AttributeChange, Change, Plan
from kvstack.render.markdown import LIMIT, drift_markdown, markdown
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from tests.render.example import RICH
from tests.render.texts import plans

UNLIMITED = 10_000_000
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class Tags(HTMLParser):
    """The tags, comments and declarations in a text, in order; not what stands between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"<{tag} {attrs}>")

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.found.append("<!-- -->")

    def handle_decl(self, decl: str) -> None:
        self.found.append("<!>")

    def handle_pi(self, data: str) -> None:
        self.found.append("<?>")

    def unknown_decl(self, data: str) -> None:
        self.found.append("<![]>")


def structure(tokens: list[Token]) -> list[tuple[str, int]]:
    """The Markdown's parts, each with the number of lines in it."""
    return [
        part
        for token in tokens
        for part in ((token.type, token.content.count("\n")), *structure(token.children or []))
        if part[0] != "text" or part[1]
    ]


@given(plans())
def test_no_data_is_markup(twins: tuple[Plan, Plan]) -> None:
    for shown in (markdown, drift_markdown):
        hostile, harmless = (PARSER.parse(shown(plan, limit=UNLIMITED)) for plan in twins)
        # Changes of vaults with one name stand in one group, and hostile names can be alike before the first `/`.
        if vaults(twins[0]) == vaults(twins[1]):
            assert structure(hostile) == structure(harmless)
        assert {token.type for token in flat(hostile)} <= {
            *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "softbreak"),
            *("strong_open", "strong_close", "code_inline", "fence", "html_block"),
            *("blockquote_open", "blockquote_close"),
        }


@given(plans())
def test_no_data_is_html_even_where_markdown_is_not_understood(twins: tuple[Plan, Plan]) -> None:
    for shown in (markdown, drift_markdown):
        raw = Tags(shown(twins[0])).found
        rendered = Tags(PARSER.render(shown(twins[0]))).found
        assert set(raw) <= {"<details []>", "</details>", "<summary []>", "</summary>"}
        assert [tag for tag in rendered if "details" in tag or "summary" in tag] == raw
        assert not [tag for tag in rendered if re.match(r"<(a|img|script|!|\?)", tag)]


@given(plans())
def test_every_change_is_listed_once_under_its_vault(twins: tuple[Plan, Plan]) -> None:
    plan, _ = twins
    shown = markdown(plan, limit=UNLIMITED)
    fences = [token for token in PARSER.parse(shown) if token.type == "fence" and token.info == "diff"]
    folded = [line for line in shown.split("\n") if line.startswith("<details>")]

    # Headlines begin at the first column: one in the list, one above the details, one in the alert where it is forever.
    lines = Counter(line[0] for fence in fences for line in fence.content.splitlines() if line[0] != " ")
    expected: Counter[str] = Counter()
    for change in plan.changes:
        expected[change.action.symbol] += 1 if change.action is Action.REFUSE else 2 + change.irreversible
    assert lines == expected
    assert bool(folded) is any(change.action is not Action.REFUSE for change in plan.changes)


@given(plans(), st.integers(700, 5_000))
def test_a_comment_stays_within_its_limit_and_counts_what_it_leaves_out(twins: tuple[Plan, Plan], limit: int) -> None:
    plan, _ = twins
    assert len(markdown(plan, limit=limit)) <= limit
    assert len(drift_markdown(plan, limit=limit)) <= limit


@pytest.mark.parametrize("limit", [0, 50, 300])
def test_the_smallest_comment_still_begins_with_the_counts(limit: int) -> None:
    assert markdown(RICH, limit=limit) == markdown(RICH, limit=limit)[:limit]
    assert "**Plan: 2 to create".startswith(markdown(RICH, limit=limit)[:19])


def many(count: int) -> Plan:
    attributes = (AttributeChange("content_type", None, "text/plain"),)
    created = tuple(
        Change(address=Address(f"v{at % 9}/secrets/s{at}"), kind="secret", action=Action.CREATE, attributes=attributes)
        for at in range(count)
    )
    deleted = tuple(
        Change(address=Address(f"v{at}/keys/k"), kind="key", action=Action.DELETE, irreversible=at == 3)
        for at in range(9)
    )
    refused = (Change(address=Address("v1/keys/x"), kind="key", action=Action.REFUSE, reasons=("it is not ours",)),)
    return Plan(stack="platform", environment=None, changes=(*created, *refused, *deleted))


def test_a_large_plan_is_cut_and_says_so() -> None:
    shown = markdown(many(10_000))

    listed = len(re.findall(r"^\+ ", shown, re.MULTILINE))
    assert len(shown) <= LIMIT
    assert f"{10_000 - listed} more changes, see the job's log ({10_000 - listed} to create)." in shown
    assert listed > 1_000


def test_a_cut_never_takes_a_deletion_or_a_refusal_before_a_creation() -> None:
    shown = markdown(many(10_000), limit=3_000)

    assert len(re.findall(r"^- v\d/keys/k", shown, re.MULTILINE)) == 9
    assert "it is not ours" in shown
    assert "> - v3/keys/k  (key)  cannot be undone" in shown


def test_a_plan_that_fits_is_not_cut() -> None:
    assert "Cut to fit" not in markdown(RICH)


def test_headings_are_the_same_whatever_changes() -> None:
    headings = [line for line in markdown(RICH).splitlines() if line.startswith("#")]

    assert headings == [
        "## kvstack plan for `payments` (`prod`)",
        "### `payments-prod`",
        "### `payments-old`",
        "### `access`",
        "### Who gains and loses access",
        "### Changed outside kvstack since the last apply",
        "### Values compared at apply",
    ]


def vaults(plan: Plan) -> list[int]:
    """Which changes share a group: the number of the first of each."""
    groups = [change.address.split("/", 1)[0] for change in plan.changes if change.action is not Action.REFUSE]
    return [groups.index(group) for group in groups]


def flat(tokens: list[Token]) -> list[Token]:
    return [found for token in tokens for found in (token, *flat(token.children or []))]
