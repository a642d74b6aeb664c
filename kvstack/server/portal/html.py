"""HTML that cannot be broken out of: whatever is not HTML by its type is escaped, and made visible, when it is put in.

Text of others can also mislead where it is no markup: what reorders, hides or joins is written as `\\u202e`.
"""

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias

from kvstack.render.escape import plain

Content: TypeAlias = "str | int | Iterable[Content] | None"
_VOID: Final = frozenset({"input", "link", "meta"})


class Html(str):
    """Markup that was put together here. Joined with text it is text again, and escaped."""

    __slots__ = ()


def html(content: Content) -> Html:
    """Return content as markup: text escaped, the parts of a list one after the other, nothing for None."""
    match content:
        case None:
            return Html()
        case Html():
            return content
        case str() | int():
            return Html(escape(plain(str(content))))
        case _:
            return Html("".join(map(html, content)))


def element(tag: str, *content: Content, **attributes: str | int | bool | None) -> Html:
    """Return an element. attributes: `class_` and `for_` for `class` and `for`, `aria_label` for `aria-label`; left out
    where None or False, without a value where True."""
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html(str(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{html(content)}</{tag}>")


def exactly(text: str) -> Html:
    """Return text as it is, every character of it that HTML can hold: for a value that is to be copied."""
    # A parser would make line ends of one kind of these, and drop one that stands first.
    return Html("\n" + escape(text).replace("\r", "&#13;"))
