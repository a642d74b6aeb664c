"""Whatever text is put into a page, a parser reads text again: nobody's name is ever markup."""

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from kvstack.render.escape import plain
from kvstack.server.portal.html import Html, element, exactly, html
from tests.server.portal.conftest import HOSTILE, TURNED

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ends: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.ends.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


@given(TEXTS)
@example(HOSTILE)
@example(TURNED)
@example("<!-- ")
@example("&lt;b&gt;")
def test_text_is_text_in_an_element_and_in_an_attribute(text: str) -> None:
    parsed = Parsed(element("p", text, title=text, data_label=text))
    assert parsed.tags == [("p", {"title": plain(text), "data-label": plain(text)})]
    assert parsed.text == plain(text)
    assert parsed.ends == ["p"]


@given(TEXTS)
@example("\n\r\n")
def test_a_value_is_read_exactly_as_it_is(text: str) -> None:
    # A browser drops the line end that stands first in a `pre`; Python's parser leaves it.
    assert Parsed(element("pre", exactly(text.replace("\0", "")))).text == "\n" + text.replace("\0", "")


@given(TEXTS, TEXTS)
def test_markup_that_is_joined_with_text_is_text(one: str, other: str) -> None:
    joined = element("b", one) + other
    assert type(joined) is str
    assert not isinstance(joined, Html)
    assert Parsed(html(joined)).tags == []


def test_what_reorders_text_is_seen() -> None:
    assert html(TURNED) == "safe\\u202egnp.exe"


def test_attributes_are_left_out_or_have_no_value() -> None:
    assert element("input", required=True, value=None, disabled=False, for_="x") == '<input required for="x">'
    assert html([None, 3, ["<", Html("<b>")]]) == "3&lt;<b>"
