"""What is around every page: its head, the way back, who is signed in; and the headers that let it do nothing else."""

from collections.abc import Sequence
from typing import Final

import msgspec

from kvstack.server.answer import Answer, Header
from kvstack.server.identity.issuing import NEVER_KEPT
from kvstack.server.portal.html import Content, Html, element, html
from kvstack.server.portal.style import style_name

HOME: Final = "/portal"
# No script, no frame, nothing from elsewhere; forms lead to this very host.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode()),
    # With `no-referrer` a browser would not say which page sent a form.
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), browsing-topics=()"),
    *NEVER_KEPT,
)
_SECTIONS: Final = (
    ("vaults", "Vaults", HOME),
    ("deleted", "Manage deleted", f"{HOME}/deleted"),
    ("access", "Your access", f"{HOME}/access"),
    ("audit", "Audit", f"{HOME}/audit"),
    ("calendar", "Calendar", f"{HOME}/calendar"),
)


class Who(msgspec.Struct, frozen=True):
    """Who sees a page. token: what his forms have to bring back."""

    name: str
    token: str


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands. section: of the whole portal; trail: (name, address) of what it is in; parts: the same of
    the pages beside it, `part` the address of this one; parts_of: what they are the parts of."""

    section: str = ""
    trail: Sequence[tuple[str, str]] = ()
    parts: Sequence[tuple[str, str]] = ()
    part: str = ""
    parts_of: str = ""


def page(
    title: str,
    *content: Content,
    who: Who | None = None,
    around: Around = Around(),  # noqa: B008  # frozen
    status: int = 200,
    chips: Content = None,
    more: tuple[Header, ...] = (),
) -> Answer:
    """Return a page. title: also its first heading; who: None before anybody signed in; chips: what stands beside the
    title; more: headers."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("title", " · ".join((title, *(name for name, _ in reversed(around.trail)), "kvstack"))),
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("meta", name="robots", content="noindex,nofollow"),
        element("link", rel="stylesheet", href=f"{HOME}/{style_name()}"),
    )
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        element("header", element("div", _top(who, around.section)), class_="top"),
        element(
            "main",
            _trail(around.trail),
            element("h1", element("bdi", title), chips),
            _parts(around),
            content,
            id="content",
            tabindex="-1",
        ),
        element("footer", element("div", "kvstack. All times are UTC."), class_="foot"),
    )
    text = "<!DOCTYPE html>" + element("html", head, body, lang="en")
    return Answer(status, text.encode(), (*HEADERS, *more))


def form(who: Who, action: str, *content: Content, class_: str | None = None) -> Html:
    """Return a form that is sent by POST, and that no other site can send."""
    token = element("input", type="hidden", name="token", value=who.token)
    return element("form", token, content, method="post", action=action, class_=class_)


def leads_to(address: str, *more: Header) -> Answer:
    """Return what leads a browser on. address: a path of this host."""
    return Answer(303, b"", ((b"location", address.encode("ascii")), *HEADERS, *more))


def _top(who: Who | None, section: str) -> Content:
    brand = element("a", "kvstack", class_="brand", href=HOME)
    if who is None:
        return brand
    items = [
        element("li", element("a", name, href=address, aria_current="page" if key == section else None))
        for key, name, address in _SECTIONS
    ]
    leave = form(who, f"{HOME}/sign-out", element("button", "Sign out", class_="quiet small"))
    signed_in = element("span", "Signed in as ", element("bdi", who.name))
    return (
        brand,
        element("nav", element("ul", items), class_="main", aria_label="Main"),
        element("div", signed_in, leave, class_="who"),
    )


def _trail(trail: Sequence[tuple[str, str]]) -> Content:
    if not trail:
        return None
    items = [element("li", element("a", element("bdi", name), href=address)) for name, address in trail]
    return element("nav", element("ul", items), class_="trail", aria_label="Breadcrumb")


def _parts(around: Around) -> Content:
    if not around.parts:
        return None
    items = [
        element("li", element("a", name, href=address, aria_current="page" if address == around.part else None))
        for name, address in around.parts
    ]
    return element("nav", element("ul", items), class_="parts", aria_label=html(f"In {around.parts_of}"))
