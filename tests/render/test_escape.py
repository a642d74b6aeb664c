"""Data cannot leave its place, whatever it is written in."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kvstack.render.escape import code_span, encodable, in_fence, in_json, plain
from tests.render.texts import HOSTILE, texts

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("payments-dev/keys/signing", "payments-dev/keys/signing"),
        ("\x1b[2K", "\\x1b[2K"),
        ("\x9b", "\\x9b"),
        ("\x7f", "\\x7f"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\u202edrowssap", "\\u202edrowssap"),
        ("\u2066x\u2069\u200e\u200f", "\\u2066x\\u2069\\u200e\\u200f"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\xa0", "\\xa0"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164\u2800\ufe0f", "\\u3164\\u2800\\ufe0f"),
        ("Zürich, 漢字, שלום", "Zürich, 漢字, שלום"),
        ("e\u0301", "e\u0301"),
        ("\u0301e", "\\u0301e"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + "\\u0301" * 2),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_is_not_plainly_visible_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(texts)
def test_no_text_keeps_a_character_that_moves_hides_or_reorders(text: str) -> None:
    assert not {unicodedata.category(character) for character in plain(text)} & FORBIDDEN


@given(texts)
def test_a_visible_text_is_not_changed_by_escaping_it_again(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(texts)
def test_json_means_the_same_after_escaping(text: str) -> None:
    encoded = json.dumps(encodable(text), ensure_ascii=False)

    shown = in_json(encoded)

    assert json.loads(shown) == encodable(text)
    assert not {unicodedata.category(character) for character in shown} & FORBIDDEN


@given(texts)
def test_half_a_surrogate_pair_does_not_stop_a_document(text: str) -> None:
    assert encodable(text).encode().decode() == encodable(text)


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_code_span_holds_its_text_and_nothing_else(found: list[str]) -> None:
    (block,) = MarkdownIt().parseInline("x " + " x ".join(map(code_span, found)))

    assert [token.type for token in block.children or ()] == ["text", "code_inline"] * len(found)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_in_a_fence_opens_a_tag_or_a_fence(text: str) -> None:
    shown = in_fence(plain(text))

    assert "```" not in shown
    assert not any(f"<{letter}" in shown for letter in "!/abcdefghijklmnopqrstuvwxyz")
