"""Whatever is asked for, sent, or written on a thing: the portal answers with a page that does nothing of it."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kvstack.render.escape import plain
from kvstack.terms.secret import SecretValue
from tests.e2e.command_line import copied
from tests.server.identity.person import Page
from tests.server.portal.browsing import PortalBrowser, Read
from tests.server.portal.conftest import CANARY, HOSTILE, TURNED, There
from tests.server.portal.own import Own
from tests.server.portal.test_pages import accessible, confined, inert
from tests.server.served import SHOP

pytestmark = pytest.mark.slow

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
PARTS = st.sampled_from(
    [
        *("portal", "vaults", "shop", "ledger", "nowhere", "keys", "secrets", "certificates", "deleted", "access"),
        *("audit", "calendar", "value", "delete", "sign-in", "sign-out", "db-password", "front", "orders-signing"),
        *("", "..", "%00", "%2e%2e", "<b>", "ä", "'", '"', "style.css", "x" * 300, "favicon.ico"),
    ]
)
QUERY = st.dictionaries(st.sampled_from(["page", "after", "before", "vault", "to", "x"]), TEXTS, max_size=3)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["token", "pick", "deed", "sure", "version", "name", "secret", "code", "request"]), TEXTS
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def shared(portal_vault: There, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    found = Own(copied(portal_vault.folder, tmp_path_factory.mktemp("anything") / "stack"), portal_vault.people)
    yield found
    found.close()


@pytest.fixture(scope="module")
def browser(shared: Own) -> PortalBrowser:
    return shared.browser("alice")


def harmless(page: Page) -> None:
    assert page.status < 500, page
    assert CANARY not in page.text
    confined(page)
    if page.status != 303:
        accessible(page)
        inert(page)


@settings(max_examples=60, deadline=None)
@given(content_type=TEXTS, tags=st.dictionaries(NAMES, TEXTS, max_size=4))
@example(content_type=HOSTILE, tags={HOSTILE: HOSTILE, TURNED: TURNED})
@example(content_type="--><!--", tags={"</title>": "]]>", "\0": "\x1b[31m"})
def test_what_is_written_on_a_thing_is_read_and_nothing_else(
    shared: Own, browser: PortalBrowser, content_type: str, tags: dict[str, str]
) -> None:
    service = shared.service
    service.set_secret(service.operator, SHOP, "odd", SecretValue("v"), content_type=content_type, tags=tags)
    for path in ("/portal/vaults/shop/secrets/odd", "/portal/vaults/shop/secrets"):
        page = browser.get(path)
        assert page.status == 200
        confined(page)
        accessible(page)
        inert(page)
        text = "".join(Read(page).all("main")[0].texts)
        for written in (content_type, *tags, *tags.values()):
            assert plain(written) in text


@settings(max_examples=150, deadline=None)
@given(method=st.sampled_from(["GET", "HEAD"]), path=st.lists(PARTS, max_size=6), query=QUERY)
def test_no_address_makes_the_portal_fail(
    browser: PortalBrowser, method: str, path: list[str], query: dict[str, str]
) -> None:
    written = "/" + "/".join(quote(part, safe="%'") for part in path) + "?" + urlencode(query)
    page = browser._asked(method, written, {}, None)
    if method == "GET":
        harmless(page)
    else:
        assert (page.status < 500, page.text) == (True, "")


@settings(max_examples=150, deadline=None)
@given(path=st.lists(PARTS, max_size=6), fields=FIELDS, known=st.booleans())
def test_no_form_makes_the_portal_fail(
    browser: PortalBrowser, path: list[str], fields: list[tuple[str, str]], known: bool
) -> None:
    if "sign-out" in path or path[-1:] == ["value"]:
        return  # the one would end the session, the other is to show a value
    written = "/portal/" + "/".join(quote(part, safe="%") for part in path)
    given_headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{browser.host}"}
    sent = [*([("token", browser.token)] if known else []), *fields]
    harmless(browser._asked("POST", written, given_headers, urlencode(sent).encode()))


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200))
@example(body=b"token=%ff&pick=%00")
@example(body=b"&" * 150)
@example(body=b"a=1&" * 1000)
def test_no_body_makes_the_portal_fail(browser: PortalBrowser, body: bytes) -> None:
    given_headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{browser.host}"}
    for path in ("/portal/deleted", "/portal/sign-in"):
        harmless(browser._asked("POST", path, given_headers, body))


def test_a_cookie_of_anything_is_no_session(shared: Own) -> None:
    stranger = PortalBrowser(shared.served)
    for text in ("x", "." * 9000, "=;=;=", 'a"b', "é" * 10, "\t"):
        stranger.cookies = {"__Host-kvstack-portal": text}
        assert stranger.get("/portal").status == 303
