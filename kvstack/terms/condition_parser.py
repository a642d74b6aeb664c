"""Reading a condition: its text into a tree, or the exact place where it stops making sense.

    condition  = conjunction { ("OR" | "||") conjunction }
    conjunction = term { ("AND" | "&&") term }
    term       = ("NOT" | "!") term | "(" condition ")" | function | comparison
    function   = "ActionMatches" "{" text "}" | "Exists" attribute
    comparison = attribute [ quantifier ":" ] operator ( text | "{" text { "," text } "}" )
    attribute  = "@Resource" "[" name "]"

Words are compared without case where Azure does so: `and` is `AND`.
"""

import re
from functools import lru_cache
from typing import Final, cast, get_args

import msgspec

from kvstack.terms.condition import (
    ATTRIBUTES,
    DEEPEST,
    LONGEST,
    OPERATORS,
    ActionMatches,
    All,
    Any,
    Comparison,
    Condition,
    ConditionError,
    Exists,
    Not,
    Quantifier,
)
from kvstack.terms.near import nearest

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<text>'(?:[^']|'')*')
      | (?P<attribute>@[A-Za-z]+\[[^\]\s]*\])
      | (?P<word>[A-Za-z][A-Za-z0-9_-]*)
      | (?P<sign>&&|\|\||[!(){},:])""",
    re.VERBOSE,
)
_QUANTIFIERS: Final = tuple(filter(None, get_args(Quantifier)))
_BY_FOLDED = {name.lower(): name for name in (*OPERATORS, *_QUANTIFIERS, "ActionMatches", "Exists")}
_NOT_HERE = {
    "suboperationmatches": "no action of a vault has suboperations",
    "guidequals": "the attributes of a vault are texts: use `StringEqualsIgnoreCase`",
    "numericequals": "the attributes of a vault are texts",
    "booleanequals": "the attributes of a vault are texts",
    "datetimeequals": "use `from` and `until` of the assignment",
}


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    offset: int


@lru_cache(maxsize=4096)
def parsed(text: str) -> Condition:
    """Return a condition. Raises ConditionError, which says where."""
    if len(text) > LONGEST:
        raise ConditionError(LONGEST, f"a condition has at most {LONGEST:,} characters, this one {len(text):,}")
    reader = _Reader(_tokens(text), len(text))
    condition = reader.condition(0)
    left = reader.next
    if left.kind != "end":
        raise ConditionError(left.offset, f"`{left.text}` stands where `AND`, `OR` or the end belongs")
    return condition


def _tokens(text: str) -> list[_Token]:
    found, offset = [], 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise _unreadable(text, offset)
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match.group(), offset))
        offset = match.end()
    return found


def _unreadable(text: str, offset: int) -> ConditionError:
    match text[offset]:
        case "'":
            return ConditionError(offset, "a text begins here and does not end", "Close it with `'`.")
        case '"':
            return ConditionError(offset, "texts stand in single quotes", "Write 'db-*', not \"db-*\".")
        case "@":
            return ConditionError(
                offset, "an attribute is written `@Resource[NAME]`", f"There are {' and '.join(ATTRIBUTES)}."
            )
        case other:
            return ConditionError(offset, f"`{other}` has no meaning in a condition")


class _Reader:
    """The tokens, from left to right."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = _Token("end", "the end", end)
        self._at = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    def condition(self, depth: int) -> Condition:
        parts = [self._conjunction(depth)]
        while self._passes("or", "||"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _conjunction(self, depth: int) -> Condition:
        parts = [self._term(depth)]
        while self._passes("and", "&&"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _term(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise ConditionError(self.next.offset, f"more than {DEEPEST} brackets stand within one another")
        if self._passes("not", "!"):
            return Not(self._term(depth + 1))
        if self._passes("("):
            opened = self._tokens[self._at - 1]
            inner = self.condition(depth + 1)
            if not self._passes(")"):
                raise ConditionError(
                    self.next.offset,
                    f"{_named(self.next)} stands where `)` belongs",
                    f"The bracket opened at character {opened.offset + 1} is not closed.",
                )
            return inner
        token = self._taken()
        match token.kind, _BY_FOLDED.get(token.text.lower()):
            case "word", "ActionMatches":
                return self._action(token)
            case "word", "Exists":
                return Exists(_attribute(self._taken()))
            case "attribute", _:
                return self._comparison(_attribute(token))
        if token.text.lower() in _NOT_HERE:
            raise ConditionError(token.offset, f"there is no `{token.text}` here: {_NOT_HERE[token.text.lower()]}")
        raise ConditionError(
            token.offset,
            f"{_named(token)} stands where a test belongs",
            "A test is `@Resource[NAME] OPERATOR 'text'`, `Exists @Resource[NAME]` or `ActionMatches{'action'}`.",
        )

    def _action(self, word: _Token) -> ActionMatches:
        if self.next.text != "{":
            raise ConditionError(self.next.offset, "an action in braces belongs after `ActionMatches`: {'ACTION'}")
        start = self.next
        values = self._values(word)
        if len(values) != 1:
            raise ConditionError(
                start.offset, "`ActionMatches` takes one action", "Join several with `OR`, or use `*`."
            )
        return ActionMatches(values[0])

    def _comparison(self, attribute: str) -> Comparison:
        first = self._taken()
        name = _BY_FOLDED.get(first.text.lower(), first.text)
        quantifier: Quantifier = ""
        operator = first
        if name in _QUANTIFIERS:
            if not self._passes(":"):
                raise ConditionError(self.next.offset, f"`:` and an operator belong after `{name}`")
            quantifier, operator = cast(Quantifier, name), self._taken()
        operator_name = _BY_FOLDED.get(operator.text.lower(), operator.text)
        if operator_name not in OPERATORS:
            raise _no_operator(operator)
        several = self.next.text == "{"
        if several and not quantifier:
            raise ConditionError(
                self.next.offset,
                f"`{operator_name}` compares with one text",
                f"For several write `ForAnyOfAnyValues:{operator_name} {{'a', 'b'}}`.",
            )
        return Comparison(attribute, operator_name, self._values(operator), quantifier)

    def _values(self, after: _Token) -> tuple[str, ...]:
        """Read one text, or several in braces."""
        if not self._passes("{"):
            return (_text(self._taken(), after),)
        values = [_text(self._taken(), after)]
        while self._passes(","):
            values.append(_text(self._taken(), after))
        if not self._passes("}"):
            raise ConditionError(self.next.offset, f"{_named(self.next)} stands where `,` or `}}` belongs")
        return tuple(values)

    def _passes(self, *wanted: str) -> bool:
        token = self.next
        if token.kind in ("word", "sign") and token.text.lower() in wanted:
            self._at += 1
            return True
        return False

    def _taken(self) -> _Token:
        token = self.next
        if token.kind != "end":
            self._at += 1
        return token


def _text(token: _Token, after: _Token) -> str:
    if token.kind != "text":
        raise ConditionError(token.offset, f"a text in single quotes belongs after `{after.text}`, not {_named(token)}")
    return token.text[1:-1].replace("''", "'")


def _attribute(token: _Token) -> str:
    if token.kind != "attribute":
        raise ConditionError(token.offset, f"an attribute such as `@Resource[{ATTRIBUTES[1]}]` belongs here")
    source, _, name = token.text[1:-1].partition("[")
    if source.lower() != "resource":
        raise ConditionError(token.offset, f"there is no `@{source}` for a vault", "What a vault knows is `@Resource`.")
    for known in ATTRIBUTES:
        if known.lower() == name.lower():
            return known
    raise ConditionError(
        token.offset + len(source) + 2,
        f"a vault has no attribute `{name}` for conditions",
        f"There are {' and '.join(f'`{known}`' for known in ATTRIBUTES)}.",
    )


def _no_operator(token: _Token) -> ConditionError:
    if token.text.lower() in _NOT_HERE:
        return ConditionError(token.offset, f"there is no `{token.text}` here: {_NOT_HERE[token.text.lower()]}")
    near = nearest(token.text, OPERATORS)
    return ConditionError(
        token.offset,
        f"{_named(token)} stands where an operator belongs",
        f"Did you mean `{near}`?" if near else f"There are {', '.join(OPERATORS)}.",
    )


def _named(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"`{token.text}`"
