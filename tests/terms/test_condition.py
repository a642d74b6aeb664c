"""Conditions: what they mean, where they are wrong, and that no text makes them fall over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.terms.condition import (
    ATTRIBUTES,
    OPERATORS,
    SECRET_NAME,
    VAULT_NAME,
    ActionMatches,
    All,
    Any,
    Comparison,
    Condition,
    ConditionError,
    Exists,
    Not,
    Request,
    holds,
    is_about_items,
)
from kvstack.terms.condition_parser import parsed

GET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
SET = "Microsoft.KeyVault/vaults/secrets/setSecret/action"
NAME = f"@Resource[{SECRET_NAME}]"


def asked(name: str | None = "db-password", action: str = GET, vault: str = "shop-dev") -> Request:
    attributes = {VAULT_NAME: vault} | ({} if name is None else {SECRET_NAME: name})
    return Request(action, attributes)


@pytest.mark.parametrize(
    ("text", "request_", "expected"),
    [
        (f"{NAME} StringEquals 'db-password'", asked(), True),
        (f"{NAME} StringEqualsIgnoreCase 'DB-password'", asked(), True),
        # A vault's names are one in any case: another spelling neither opens nor closes anything.
        (f"{NAME} StringEquals 'DB-password'", asked(), True),
        (f"{NAME} StringEquals 'db-password'", asked("DB-PASSWORD"), True),
        (f"{NAME} StringNotEquals 'db-password'", asked("DB-Password"), False),
        (f"{NAME} StringNotLike 'db-*'", asked("Db-password"), False),
        (f"{NAME} StringNotEquals 'other'", asked(), True),
        (f"{NAME} StringStartsWith 'db-'", asked(), True),
        (f"{NAME} StringNotStartsWith 'db-'", asked(), False),
        (f"{NAME} StringLike 'db-*'", asked(), True),
        (f"{NAME} StringLike '??-p*d'", asked(), True),
        (f"{NAME} StringLike 'db-'", asked(), False),
        (f"{NAME} StringNotLike 'api-*'", asked(), True),
        (f"{NAME} StringLikeIgnoreCase 'DB-*'", asked(), True),
        # What is missing makes a comparison false, a negated operator as well.
        (f"{NAME} StringEquals 'x'", asked(None), False),
        (f"{NAME} StringNotEquals 'x'", asked(None), False),
        (f"!({NAME} StringEquals 'x')", asked(None), True),
        (f"Exists {NAME}", asked(None), False),
        (f"NOT Exists {NAME}", asked(None), True),
        (f"@Resource[{VAULT_NAME}] StringEquals 'shop-dev'", asked(), True),
        # Sets.
        (f"{NAME} ForAnyOfAnyValues:StringEquals {{'a', 'db-password'}}", asked(), True),
        (f"{NAME} ForAnyOfAnyValues:StringEquals {{'a', 'b'}}", asked(), False),
        (f"{NAME} ForAllOfAllValues:StringNotEquals {{'a', 'b'}}", asked(), True),
        (f"{NAME} ForAnyOfAllValues:StringNotEquals {{'a', 'db-password'}}", asked(), False),
        # Together: AND binds closer than OR, as everywhere.
        (f"{NAME} StringEquals 'a' AND {NAME} StringEquals 'b' OR Exists {NAME}", asked(), True),
        (f"Exists {NAME} or {NAME} StringEquals 'a' and {NAME} StringEquals 'b'", asked(), True),
        (f"(Exists {NAME} || {NAME} StringEquals 'a') && {NAME} StringEquals 'b'", asked(), False),
        # The shape the portal writes: other actions are not restricted.
        (f"((!(ActionMatches{{'{GET}'}})) OR ({NAME} StringLike 'api-*'))", asked(), False),
        (f"((!(ActionMatches{{'{GET}'}})) OR ({NAME} StringLike 'api-*'))", asked(action=SET), True),
        ("ActionMatches{'microsoft.keyvault/vaults/secrets/*'}", asked(), True),
        ("ActionMatches{'Microsoft.KeyVault/vaults/keys/*'}", asked(), False),
        # A quote within a text is written twice; a text is a text, whatever stands in it.
        (f"{NAME} StringEquals 'it''s'", asked("it's"), True),
        (f"{NAME} StringEquals ') OR (Exists'", asked(), False),
        (f"{NAME} StringLike '.*'", asked(), False),
    ],
)
def test_a_condition_decides(text: str, request_: Request, expected: bool) -> None:
    assert holds(parsed(text), request_) is expected


@pytest.mark.parametrize(
    ("text", "character", "words"),
    [
        ("", 1, "the end stands where a test belongs"),
        (NAME, len(NAME) + 1, "the end stands where an operator belongs"),
        (f"{NAME} StringLik 'a'", len(NAME) + 2, "`StringLik` stands where an operator belongs"),
        (f"{NAME} StringLike db", len(NAME) + 13, "a text in single quotes belongs after `StringLike`"),
        (f'{NAME} StringLike "db"', len(NAME) + 13, "texts stand in single quotes"),
        (f"{NAME} StringLike 'db", len(NAME) + 13, "a text begins here and does not end"),
        (f"{NAME} StringEquals {{'a','b'}}", len(NAME) + 15, "`StringEquals` compares with one text"),
        (f"({NAME} StringEquals 'a'", len(NAME) + 19, "the end stands where `)` belongs"),
        (f"Exists {NAME})", len(NAME) + 8, "`)` stands where `AND`, `OR` or the end belongs"),
        ("Exists @Resource[Microsoft.Storage/x:name]", 18, "no attribute `Microsoft.Storage/x:name`"),
        ("Exists @Principal[x:name]", 8, "there is no `@Principal` for a vault"),
        ("Exists db-password", 8, "an attribute such as"),
        (f"{NAME} GuidEquals 'a'", len(NAME) + 2, "there is no `GuidEquals` here"),
        ("SubOperationMatches{'x'}", 1, "there is no `SubOperationMatches` here"),
        ("ActionMatches 'x'", 15, "an action in braces belongs after `ActionMatches`"),
        ("ActionMatches{'x','y'}", 14, "`ActionMatches` takes one action"),
        (f"{NAME} ForAnyOfAnyValues StringEquals {{'a'}}", len(NAME) + 20, "`:` and an operator belong"),
        (f"Exists {NAME} % 1", len(NAME) + 9, "`%` has no meaning in a condition"),
        ("(" * 100 + "Exists", 66, "more than 64 brackets"),
        ("! " * 100 + f"Exists {NAME}", 131, "more than 64 brackets"),
        (" " * 9000, 8193, "a condition has at most 8,192 characters, this one 9,000"),
    ],
)
def test_a_mistake_is_told_where_it_stands(text: str, character: int, words: str) -> None:
    with pytest.raises(ConditionError) as raised:
        parsed(text)
    assert (raised.value.offset + 1, words in str(raised.value)) == (character, True), raised.value


TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)
LEAVES = st.one_of(
    st.builds(ActionMatches, TEXTS),
    st.builds(Exists, st.sampled_from(ATTRIBUTES)),
    st.builds(Comparison, st.sampled_from(ATTRIBUTES), st.sampled_from(sorted(OPERATORS)), st.tuples(TEXTS)),
    st.builds(
        Comparison,
        st.sampled_from(ATTRIBUTES),
        st.sampled_from(sorted(OPERATORS)),
        st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
        st.sampled_from(["ForAnyOfAnyValues", "ForAllOfAnyValues", "ForAnyOfAllValues", "ForAllOfAllValues"]),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


def written(condition: Condition, *, signs: bool) -> str:
    """Write a condition as people do, every part in brackets."""
    match condition:
        case All() | Any():
            words = {True: ("&&", "||"), False: ("AND", "or")}[signs]
            joint = words[0] if isinstance(condition, All) else words[1]
            return f" {joint} ".join(f"({written(part, signs=signs)})" for part in condition.parts)
        case Not():
            return f"{'!' if signs else 'NOT'} ({written(condition.part, signs=signs)})"
        case ActionMatches():
            return f"ActionMatches{{{quoted(condition.pattern)}}}"
        case Exists():
            return f"Exists @Resource[{condition.attribute}]"
        case Comparison():
            values = ", ".join(map(quoted, condition.values))
            if condition.quantifier:
                return f"@resource[{condition.attribute}] {condition.quantifier}:{condition.operator} {{{values}}}"
            return f"@Resource[{condition.attribute}]\n  {condition.operator} {values}"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(TREES, st.booleans())
def test_what_is_written_is_read_as_it_was_meant(condition: Condition, signs: bool) -> None:
    assert parsed(written(condition, signs=signs)) == condition


@given(st.text(max_size=60) | st.text("@Resource[]{}()!&|,:' StringEqualsNOTActionMatches", max_size=60))
def test_no_text_makes_the_parser_fall_over(text: str) -> None:
    wrong: ConditionError | None = None
    try:
        holds(parsed(text), asked())
    except ConditionError as error:
        wrong = error
    assert wrong is None or 0 <= wrong.offset <= len(text)


@given(TREES, st.sampled_from(["db-password", "api", None]))
def test_a_condition_that_is_not_about_names_has_one_answer_for_all_of_them(
    condition: Condition, name: str | None
) -> None:
    if not is_about_items(condition):
        assert holds(condition, asked(name)) == holds(condition, asked("another"))
