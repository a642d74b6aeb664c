"""Every page: found by its links, whole, usable by keyboard and screen reader, without a value, without a way in."""

import itertools
import re

import pytest

from kvstack.server.portal.style import style_name
from tests.server.identity.person import Page
from tests.server.portal.browsing import PortalBrowser, Read
from tests.server.portal.conftest import CANARY, HOSTILE, MALLORY, TURNED
from tests.server.served import Served

PAGES = (
    "/portal",
    "/portal/deleted",
    "/portal/access",
    "/portal/audit",
    "/portal/calendar",
    "/portal/vaults/shop",
    "/portal/vaults/shop/keys",
    "/portal/vaults/shop/secrets",
    "/portal/vaults/shop/certificates",
    "/portal/vaults/shop/deleted",
    "/portal/vaults/shop/access",
    "/portal/vaults/shop/keys/orders-signing",
    "/portal/vaults/shop/secrets/db-password",
    "/portal/vaults/shop/secrets/hostile",
    "/portal/vaults/shop/certificates/front",
    "/portal/vaults/ledger",
    "/portal/vaults/other/keys",
    "/portal/sign-in",
)
REFUSED = {
    "/portal/nothing": 404,
    "/portal/vaults/shop/keys/none": 404,
    "/portal/vaults/nowhere/keys": 404,
    "/portal/vaults/ledger/secrets": 403,
    "/portal/vaults/shop/%3Cscript%3E": 404,
    "/portal/..%2f..": 404,
    "/elsewhere": 404,
    "/portal/audit?before=x": 400,
    "/portal/deleted?page=-1": 400,
    "/portal?vault=%3Cscript%3E": 400,
}
POLICY = {
    "default-src 'none'",
    "style-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
}


def confined(page: Page) -> None:
    """A page may do nothing, be in nobody's frame, and stay in no cache."""
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert set(page.headers["content-security-policy"].split("; ")) == POLICY
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert "max-age=31536000" in page.headers["strict-transport-security"]


def accessible(page: Page) -> None:
    """A page says what it is, has its landmarks, one first heading, and a name for everything that can be used."""
    read = Read(page)
    assert page.text.startswith("<!DOCTYPE html>")
    assert read.all("html")[0].attributes["lang"] == "en"
    (title,) = read.all("title")
    assert title.text.endswith(" · kvstack")
    assert [node.tag for node in read.nodes if node.tag in ("header", "main", "footer")] == ["header", "main", "footer"]
    ids = [node.attributes["id"] for node in read.nodes if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    # The first thing the keyboard reaches leads past what is on every page.
    first = next(node for node in read.nodes if node.tag in ("a", "button", "input"))
    assert (first.text, first.attributes["href"]) == ("Skip to the content", "#content")
    assert read.all("main")[0].attributes["id"] == "content"
    levels = [int(node.tag[1]) for node in read.nodes if re.fullmatch(r"h[1-6]", node.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    labelled = {node.attributes["for"] for node in read.all("label")}
    for node in read.nodes:
        match node.tag:
            case "input" if node.attributes["type"] != "hidden":
                assert node.attributes.get("id") in labelled or node.attributes.get("aria-label"), node
            case "button" | "a" | "th" | "label" | "caption" | "h1" | "h2":
                assert node.text, node
            case "nav":
                assert node.attributes["aria-label"], node
            case "table":
                assert [one for one in read.all("caption") if any(around is node for around in one.inside)], node
        assert int(node.attributes.get("tabindex", "0")) <= 0
        assert "autofocus" not in node.attributes
    names = [node.attributes["aria-label"] for node in read.all("nav")]
    assert len(names) == len(set(names))
    for row in read.all("tr"):
        mine = [node for node in read.nodes if node.inside and node.inside[-1] is row]
        in_head = any(node.tag == "thead" for node in row.inside)
        heads = [node for node in mine if node.attributes.get("scope")]
        assert len(heads) == (len(mine) if in_head else 1)


def inert(page: Page) -> None:
    """A page holds nothing that runs, whatever it shows."""
    read = Read(page)
    assert not {"script", "img", "iframe", "object", "embed", "style", "svg", "base"} & {
        node.tag for node in read.nodes
    }
    for node in read.nodes:
        assert not [name for name in node.attributes if name.startswith("on") or name == "style"], node
        for name in ("href", "action"):
            assert node.attributes.get(name, "/").startswith(("/", "#content")), node
            assert not node.attributes.get(name, "").startswith("//"), node


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_confined_accessible_and_inert(alice: PortalBrowser, path: str) -> None:
    page = alice.get(path)
    assert page.status == 200, page
    confined(page)
    accessible(page)
    inert(page)
    assert CANARY not in page.text


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_refused_is_told_on_a_page(alice: PortalBrowser, path: str) -> None:
    page = alice.get(path)
    assert page.status == REFUSED[path], page
    confined(page)
    accessible(page)
    inert(page)
    alerts = [node for node in Read(page).nodes if node.attributes.get("role") == "alert"]
    assert len(alerts) == 1
    assert alerts[0].text.endswith((".", "?"))


def test_no_two_pages_have_one_title(alice: PortalBrowser) -> None:
    titles = [Read(alice.get(path)).all("title")[0].text for path in PAGES]
    assert len(set(titles)) == len(titles)
    assert "db-password · Secrets · shop · Vaults · kvstack" in titles


def test_every_link_of_every_page_leads_somewhere(alice: PortalBrowser) -> None:
    seen, waiting = {"#content"}, ["/portal"]
    while waiting:
        path = waiting.pop()
        if path in seen or len(seen) > 150:
            continue
        seen.add(path)
        page = alice.get(path)
        assert page.status == 200 or "/ledger/" in path, (path, page.status)
        assert CANARY not in page.text
        accessible(page)
        inert(page)
        waiting += Read(page).links
    assert {path for path in PAGES if path != "/portal/sign-in" and "ledger" not in path} <= seen


def test_a_hostile_name_is_read_as_it_is_written(alice: PortalBrowser, mallory: PortalBrowser) -> None:
    page = alice.read("/portal/vaults/shop/secrets/hostile")
    assert HOSTILE in page.text
    assert TURNED not in page.page.text
    assert "safe\\u202egnp.exe" in page.text
    own = mallory.read("/portal/access")
    (header,) = own.all("header")
    assert f"Signed in as {MALLORY}" in header.text
    assert MALLORY in alice.read("/portal/vaults/shop/access").text


def test_how_a_thing_is_is_told_in_words(alice: PortalBrowser) -> None:
    rows = {row.text.split()[0]: row.text for row in alice.read("/portal/vaults/shop/secrets").all("tr")}
    assert "Enabled" in rows["db-password"]
    assert "Expires soon" in rows["api-token"]
    assert "Expired" in rows["old-token"]
    assert "Not valid yet" in rows["next-token"]
    assert "Disabled" in rows["paused"]
    assert "Of a certificate" in rows["front"]
    vaults = {row.text.split()[0]: row.text for row in alice.read("/portal").all("tr")}
    assert "Purge-protected" in vaults["ledger"]
    assert "attic" not in vaults
    assert "attic" in alice.read("/portal/deleted").text


def test_dates_are_for_people_and_for_programs(alice: PortalBrowser) -> None:
    times = alice.read("/portal/vaults/shop/secrets").all("time")
    assert times
    for one in times:
        assert one.attributes["datetime"][:16] == one.text.replace(" ", "T")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one.attributes["datetime"])


def test_an_empty_vault_says_so(alice: PortalBrowser) -> None:
    assert "There are no keys in this vault." in alice.read("/portal/vaults/other/keys").text


def test_a_long_list_is_shown_in_pages(alice: PortalBrowser, portal: Served) -> None:
    names = [f"many-{number:03}" for number in range(120)]
    token = portal.token()
    for name in names:
        path = f"/secrets/{name}?api-version=7.4"
        made = portal.ask("PUT", path, token=token, json_body={"value": "v"}, host=f"shop.{portal.vaults}")
        assert made.status == 200
    path, found, count = "/portal/vaults/shop/secrets", [], 0
    while path:
        page = alice.read(path)
        found += [box.attributes["value"] for box in page.all("input") if box.attributes["type"] == "checkbox"]
        following = [node.attributes["href"] for node in page.all("a") if node.attributes.get("rel") == "next"]
        path, count = (following[0] if following else ""), count + 1
    assert [name for name in found if name.startswith("many-")] == names
    assert len(found) == len(set(found))
    assert count == 3


def test_the_audit_goes_back_page_by_page(alice: PortalBrowser) -> None:
    first = alice.read("/portal/audit")
    (onward,) = [node.attributes["href"] for node in first.all("a") if node.attributes.get("rel") == "next"]
    assert len(alice.read(onward).all("tr")) > 1
    assert "AuditRead" in first.text


def test_a_vault_is_opened_by_its_name(alice: PortalBrowser) -> None:
    page = alice.get("/portal?vault=shop")
    assert (page.status, page.headers["location"]) == (303, "/portal/vaults/shop")


def test_the_style_is_kept_for_good_and_needs_no_session(portal: Served) -> None:
    page = PortalBrowser(portal).get(f"/portal/{style_name()}")
    assert (page.status, page.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in page.headers["cache-control"]
    assert PortalBrowser(portal).get("/portal/style-0000000000000000.css").status == 303


def test_the_server_tells_where_it_is(portal: Served, alice: PortalBrowser) -> None:
    assert portal.lines[0]["portal"] == f"https://{alice.host}/portal"


def test_the_root_leads_to_the_portal(alice: PortalBrowser) -> None:
    page = alice.get("/")
    assert (page.status, page.headers["location"]) == (303, "/portal")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused_on_a_page(portal: Served, alice: PortalBrowser, method: str) -> None:
    answer = portal.ask(method, "/portal", host=alice.host, body=b"" if method != "OPTIONS" else None)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_other_hosts_have_no_portal(portal: Served) -> None:
    for host in (portal.login, portal.management, f"shop.{portal.vaults}", f"localhost:{portal.port}"):
        answer = portal.ask("GET", "/portal", host=host)
        assert answer.status in (400, 401, 404)
        assert b"<html" not in answer.body
