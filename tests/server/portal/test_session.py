"""A session: who gets one, what it is bound to, and that it ends wherever what it rests on does."""

import json
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

from kvstack.server.identity.signed_json import base64url, from_base64url
from kvstack.server.identity.stamps import brought_back, handed_out
from kvstack.server.portal.session import Held
from tests.e2e.command_line import copied
from tests.server.portal.browsing import COOKIE, PortalBrowser, Read
from tests.server.portal.conftest import HOSTILE, There
from tests.server.portal.own import Own
from tests.server.served import Served


def is_out(browser: PortalBrowser) -> bool:
    """Whether the portal knows this browser no more."""
    page = browser.get("/portal/access")
    return page.status == 303 and page.headers["location"].startswith("/portal/sign-in?")


def test_who_is_not_signed_in_sees_the_form_and_comes_to_the_page_he_asked_for(own: Own) -> None:
    browser = PortalBrowser(own.served)
    page = browser.get("/portal/vaults/shop/secrets")
    assert (page.status, page.headers["location"]) == (303, "/portal/sign-in?to=%2Fportal%2Fvaults%2Fshop%2Fsecrets")
    assert page.text == ""
    assert browser.sign_in(own.people["bob"], to="/portal/vaults/shop/secrets").headers["location"] == (
        "/portal/vaults/shop/secrets"
    )
    assert "greeting" in browser.read("/portal/vaults/shop/secrets").text


def test_the_cookie_is_for_this_host_over_tls_and_for_no_script_and_no_other_site(own: Own) -> None:
    browser = PortalBrowser(own.served)
    browser.sign_in(own.people["bob"])
    (session,) = [one for one in browser.last_cookies if one.startswith(f"{COOKIE}=")]
    parts = session.split("; ")
    assert parts[1:2] + parts[3:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"]
    assert 3000 < int(parts[2].removeprefix("Max-Age=")) <= 3600
    assert own.people["bob"].secret.replace("-", "") not in session


def test_what_is_wrong_lets_nobody_in_and_tells_nothing(own: Own) -> None:
    browser, bob = PortalBrowser(own.served), own.people["bob"]
    told = set()
    for wrong in ({"secret": "AAAA"}, {"code": "000000"}, {"name": "nobody"}, {"name": "app"}, {"name": HOSTILE}):
        fields = Read(browser.get("/portal/sign-in")).fields("/portal/sign-in")
        page = browser.send("/portal/sign-in", fields | bob.fields | wrong)
        assert page.status == 401
        assert bob.secret not in page.text
        (named,) = [node for node in Read(page).all("input") if node.attributes["name"] == "name"]
        assert named.attributes["value"] == (bob.fields | wrong)["name"]
        told.add(Read(page).text)
        assert is_out(browser)
    assert len(told) == 1
    assert "The name, the secret or the code is not right." in told.pop()


def test_a_code_counts_once(own: Own) -> None:
    bob = own.people["bob"]
    code = bob.code()
    assert PortalBrowser(own.served).sign_in(bob, code=code).status == 303
    assert PortalBrowser(own.served).sign_in(bob, code=code).status == 401


def test_nobody_signs_somebody_elses_browser_in(own: Own) -> None:
    mine, victim = PortalBrowser(own.served), PortalBrowser(own.served)
    fields = Read(mine.get("/portal/sign-in")).fields("/portal/sign-in") | own.people["bob"].fields
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert victim.send("/portal/sign-in", fields, **headers).status == 403
    victim.get("/portal/sign-in")
    assert victim.send("/portal/sign-in", fields).status == 403
    assert COOKIE not in victim.cookies


def test_a_sign_in_leads_nowhere_else(own: Own) -> None:
    browser = PortalBrowser(own.served)
    for to in (
        "https://evil.example/",
        "//evil.example",
        "/portal/../x",
        "/portal/sign-out",
        "/portal\r\nx: y",
        "/portal//x",
    ):
        page = browser.get(f"/portal/sign-in?{urlencode({'to': to})}")
        held = brought_back(own.service, Read(page).fields("/portal/sign-in")["request"], Held, time.time())
        assert held is not None
        assert held.to == "/portal", to


def test_signing_out_ends_the_session_and_every_copy_of_it(own: Own) -> None:
    browser, copy = own.browser("bob"), own.browser("bob")
    copy.cookies.update(browser.cookies)
    assert not is_out(copy)
    page = browser.submit("/portal/sign-out")
    assert page.status == 200
    assert "You are signed out" in Read(page).text
    assert browser.cookies[COOKIE] == ""
    assert is_out(browser)
    assert is_out(copy)


def test_a_session_outlives_the_process_that_began_it(own: Own) -> None:
    browser = PortalBrowser(own.served)
    assert browser.sign_in(own.people["bob"]).status == 303
    assert own.served.stop().code == 0
    own.served = Served(own.folder, "--port", str(own.served.port))
    assert not is_out(browser)


def test_several_processes_know_a_session_and_its_end(portal_vault: There, tmp_path: Path) -> None:
    served = Served(copied(portal_vault.folder, tmp_path / "stack"), workers=3)
    try:
        browser = PortalBrowser(served)
        assert browser.sign_in(portal_vault.people["bob"]).status == 303
        # Each request is a connection of its own, which any of the three may get.
        assert not any(is_out(browser) for _ in range(24))
        copy = PortalBrowser(served)
        copy.cookies.update(browser.cookies)
        assert browser.submit("/portal/sign-out").status == 200
        assert all(is_out(copy) for _ in range(24))
    finally:
        served.kill()


def test_a_session_ends_with_its_time(own: Own) -> None:
    assert is_out(own.browser("bob", ends=time.time() - 1))


def test_a_session_ends_with_its_credential(own: Own) -> None:
    browser, bob = own.browser("bob"), own.people["bob"]
    assert not is_out(browser)
    own.service.delete_credential(own.service.operator, bob.id, bob.credential)
    assert is_out(browser)


def test_a_session_ends_when_its_person_is_disabled(own: Own) -> None:
    browser, bob = own.browser("bob"), own.people["bob"]
    assert not is_out(browser)
    own.service.set_sign_in_rules(own.service.operator, bob.id, enabled=False)
    assert is_out(browser)


def test_a_session_ends_where_its_person_may_not_be(own: Own) -> None:
    browser, bob = own.browser("bob"), own.people["bob"]
    own.service.set_sign_in_rules(own.service.operator, bob.id, networks=("203.0.113.0/24",))
    assert is_out(browser)


def test_a_session_is_no_longer_than_its_person_may_have_one(own: Own) -> None:
    bob = own.people["bob"]
    own.service.set_sign_in_rules(own.service.operator, bob.id, longest=timedelta(seconds=300))
    assert is_out(own.browser("bob", began=time.time() - 301))
    assert not is_out(own.browser("bob", began=time.time() - 10))
    browser = PortalBrowser(own.served)
    browser.sign_in(bob)
    (session,) = [one for one in browser.last_cookies if one.startswith(f"{COOKIE}=")]
    assert 290 <= int(session.split("; ")[2].removeprefix("Max-Age=")) <= 300


def test_a_right_that_was_taken_away_is_gone_at_the_next_page(own: Own) -> None:
    browser, bob = own.browser("bob"), own.people["bob"]
    assert browser.get("/portal/vaults/shop/secrets").status == 200
    for one in own.service.list_role_assignments(own.service.operator, principal_id=bob.id):
        own.service.delete_role_assignment(own.service.operator, one.id)
    assert browser.get("/portal/vaults/shop/secrets").status == 403


def test_a_session_that_was_not_given_out_here_is_none(own: Own) -> None:
    browser, alice = own.browser("bob"), own.people["alice"]
    content, _, mac = browser.cookies[COOKIE].partition(".")
    forged = json.loads(from_base64url(content.encode())) | {"principal_id": alice.id}
    other = Held(id="x", ends=time.time() + 60, browser="", to="")
    for text in (
        f"{base64url(json.dumps(forged).encode())}.{mac}",
        f"{content}.{mac[:-2]}AA",
        f"{content}.",
        content,
        "",
        ".",
        "é",
        handed_out(own.service, other),
    ):
        browser.cookies[COOKIE] = text
        assert is_out(browser), text


def test_a_cookie_that_is_there_twice_is_none(own: Own) -> None:
    browser = own.browser("bob")
    mine = browser.cookies[COOKIE]
    browser.cookies[COOKIE] = f"{mine}; {COOKIE}={mine}"
    assert is_out(browser)


def test_a_sign_in_is_audited_as_one_to_the_portal(own: Own) -> None:
    assert PortalBrowser(own.served).sign_in(own.people["bob"]).status == 303
    bob = own.people["bob"]
    (record,) = [one for one in own.unlocked.audit.records(newest_first=True, limit=3) if one.operation == "SignIn"]
    assert (record.caller, record.result, record.address) == (bob.id, "Success", "127.0.0.1")
    assert record.client.startswith("kvstack-portal")
    assert record.request_uri == f"https://portal.localhost:{own.served.port}/portal/sign-in"
