"""What forms do: show a value, delete, recover, purge; only for the session they were made for, from its own pages."""

import base64
from datetime import timedelta

from kvstack.terms.secret import SecretValue
from tests.server.identity.person import Page
from tests.server.portal.browsing import PortalBrowser, Read
from tests.server.portal.conftest import CANARY, HOSTILE
from tests.server.portal.own import Own
from tests.server.portal.test_pages import accessible, confined, inert
from tests.server.served import SHOP

VALUE = "/portal/vaults/shop/secrets/db-password/value"
DELETE = "/portal/vaults/shop/secrets/delete"
DELETED = "/portal/deleted"


def shown_value(page: Page) -> str:
    """What a browser shows as the value: without the line end that stands first."""
    (pre,) = Read(page).all("pre")
    return "".join(pre.texts).removeprefix("\n")


def picked(*names: str) -> list[tuple[str, str]]:
    return [("pick", name) for name in names]


def test_a_value_is_shown_on_demand_and_that_is_a_get_by_this_person(own: Own) -> None:
    bob, person = own.browser("bob"), own.people["bob"]
    page = bob.get("/portal/vaults/shop/secrets/db-password")
    assert CANARY not in page.text
    assert own.audited("SecretGet") == []
    versions = [node.attributes["value"] for node in Read(page).all("input") if node.attributes["name"] == "version"]
    assert len(versions) == 2
    for version, value in zip(versions, (f"{CANARY}-2", CANARY), strict=True):
        answer = bob.submit(VALUE, ("version", version))
        assert answer.status == 200
        confined(answer)
        accessible(answer)
        inert(answer)
        assert shown_value(answer) == value
        record = own.audited("SecretGet")[0]
        assert (record.caller, record.result, record.address) == (person.id, "Success", "127.0.0.1")
        assert record.resource.endswith("/vaults/shop/secrets/db-password")
        assert record.client.startswith("kvstack-portal")
        assert record.request_uri == f"https://portal.localhost:{own.served.port}{VALUE}"
    assert len(own.audited("SecretGet")) == 2


def test_a_value_is_not_shown_to_who_may_not_get_it(own: Own) -> None:
    for one in own.service.list_role_assignments(own.service.operator, principal_id=own.people["bob"].id):
        own.service.delete_role_assignment(own.service.operator, one.id)
    page = own.browser("bob").submit(VALUE)
    assert page.status == 403
    assert CANARY not in page.text
    assert own.audited("SecretGet")[0].result != "Success"


def test_no_address_shows_a_value(own: Own) -> None:
    bob = own.browser("bob")
    assert bob.get(VALUE).status == 404
    assert bob.get(f"{VALUE}?token={bob.token}").status == 404
    assert own.audited("SecretGet") == []


VALUES = (
    HOSTILE,
    "\n\nline\r\nline\ttab\n",
    " spaces ",
    "</pre><script>",
    "שלום",
    "&amp;&#0;",
    "a" * 20_000,
    "",
    "two  spaces",
)


def test_a_value_is_shown_as_it_is(own: Own) -> None:
    bob = own.browser("bob")
    for value in VALUES:
        own.service.set_secret(own.service.operator, SHOP, "odd", SecretValue(value))
        page = bob.submit("/portal/vaults/shop/secrets/odd/value")
        inert(page)
        assert shown_value(page) == value


def test_what_is_not_seen_in_a_value_is_told(own: Own) -> None:
    own.service.set_secret(own.service.operator, SHOP, "odd", SecretValue("pass\u200bword\u202e"))
    page = own.browser("bob").submit("/portal/vaults/shop/secrets/odd/value")
    assert shown_value(page) == "pass\u200bword\u202e"
    assert "It holds 2 characters that are not seen" in Read(page).text


def test_what_is_no_text_is_shown_in_base64_and_said_to_be(own: Own) -> None:
    bob = own.browser("bob")
    for value in (b"\xff\xfe\x00", b"nul\x00in it"):
        own.service.set_secret(own.service.operator, SHOP, "odd", SecretValue(value))
        page = bob.submit("/portal/vaults/shop/secrets/odd/value")
        assert base64.b64decode(shown_value(page)) == value
        assert "in base64" in Read(page).text


def test_a_disabled_secret_is_refused_in_words(own: Own) -> None:
    page = own.browser("bob").submit("/portal/vaults/shop/secrets/paused/value")
    assert page.status == 403
    assert "is disabled" in Read(page).text


FORMS: tuple[tuple[str, list[tuple[str, str]]], ...] = (
    (VALUE, []),
    (DELETE, [*picked("greeting"), ("sure", "yes")]),
    (DELETED, [*picked("shop/secrets/gone-one"), ("deed", "recover")]),
    (DELETED, [*picked("shop/secrets/gone-one"), ("deed", "purge"), ("sure", "yes")]),
    ("/portal/sign-out", []),
)


ORIGINS = (
    "https://evil.example",
    "null",
    "",
    "http://portal.localhost",
    "https://login.localhost",
    "https://portal.localhost",
)


def test_a_form_of_another_site_does_nothing(own: Own) -> None:
    alice = own.browser("alice")
    for path, fields in FORMS:
        for origin in ORIGINS:
            page = alice.submit(path, *fields, Origin=origin)
            assert page.status == 403, (path, origin)
            nothing_was_done(own, alice, page)


def test_a_form_of_another_session_does_nothing(own: Own) -> None:
    alice, again, bob = own.browser("alice"), own.browser("alice"), own.browser("bob")
    for path, fields in FORMS:
        for token in (again.token, bob.token, "", "AAAA", "é"):
            page = alice.send(path, {"token": token} | dict(fields))
            assert page.status == 403, (path, token)
            nothing_was_done(own, alice, page)


def test_a_form_without_a_session_does_nothing(own: Own) -> None:
    token = own.browser("alice").token
    browser = PortalBrowser(own.served)
    for path, fields in FORMS:
        page = browser.send(path, {"token": token} | dict(fields))
        assert (page.status, "Nothing was done." in page.text) == (403, True)
        nothing_was_done(own, own.browser("alice"), page)


def nothing_was_done(own: Own, alice: PortalBrowser, page: Page) -> None:
    confined(page)
    accessible(page)
    assert CANARY not in page.text
    for operation in ("SecretGet", "SecretRecover", "SecretPurge", "SecretDelete"):
        mine = [one for one in own.audited(operation) if one.caller == own.people["alice"].id]
        assert mine == []
    assert alice.get("/portal/access").status == 200


def test_what_is_no_form_is_refused(own: Own) -> None:
    alice = own.browser("alice")
    for content_type in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
        page = alice.submit(VALUE, **{"Content-Type": content_type})
        assert page.status == 400, content_type
        assert CANARY not in page.text


def test_what_was_picked_is_deleted_once_that_is_said_twice(own: Own) -> None:
    alice = own.browser("alice")
    asks = alice.submit(DELETE, *picked("greeting", "old-token"))
    accessible(asks)
    assert "Delete 2 secrets?" in Read(asks).text
    assert alice.get("/portal/vaults/shop/secrets/greeting").status == 200
    done = alice.submit(DELETE, *picked("greeting", "old-token", "none", "front"), ("sure", "yes"))
    accessible(done)
    text = Read(done).text
    assert [node.text for node in Read(done).all("li")][-2:] == ["greeting", "old-token"]
    assert "none was left as it is" in text
    assert "front was left as it is" in text
    assert alice.get("/portal/vaults/shop/secrets/greeting").status == 404
    assert {one.name for one in own.service.list_deleted_secrets(own.service.operator, SHOP)} >= {
        "greeting",
        "old-token",
    }
    record = own.audited("SecretDelete")[0]
    assert record.caller == own.people["alice"].id


def test_several_deleted_things_come_back_at_once_a_vault_with_them(own: Own) -> None:
    alice = own.browser("alice")
    names = ("shop/secrets/gone-one", "shop/secrets/gone-two", "attic", "other/secrets/elsewhere")
    done = alice.submit(DELETED, *picked(*names), ("deed", "recover"))
    accessible(done)
    for name in names:
        assert name in Read(done).text
    left = alice.read(DELETED).text
    assert "gone-one" not in left
    assert "attic" not in left
    assert "gone-three" in left
    assert "attic" in alice.read("/portal").text


def test_a_purge_is_asked_once_more_and_is_for_good(own: Own) -> None:
    alice = own.browser("alice")
    asks = alice.submit(DELETED, *picked("shop/secrets/gone-one"), ("deed", "purge"))
    accessible(asks)
    assert "Purge 1 thing, for good?" in Read(asks).text
    assert "gone-one" in alice.read(DELETED).text
    done = alice.submit(DELETED, *picked("shop/secrets/gone-one"), ("deed", "purge"), ("sure", "yes"))
    assert "Purged, for good" in Read(done).text
    assert "gone-one" not in alice.read(DELETED).text


def test_what_is_purge_protected_says_so_and_is_not_purged(own: Own) -> None:
    operator = own.service.operator
    own.service.create_vault(operator, "strict", sku="standard", purge_protection=True)
    own.service.set_secret(operator, "strict", "kept", SecretValue("k"))
    own.service.delete_secret(operator, "strict", "kept")
    alice = own.browser("alice")
    (row,) = [one for one in alice.read(DELETED).all("tr") if "strict/secrets/kept" in one.text]
    assert "Purge-protected" in row.text
    (row,) = [one for one in alice.read("/portal/vaults/strict/deleted").all("tr") if "strict/secrets/kept" in one.text]
    assert "Purge-protected" in row.text
    wanted = picked("strict/secrets/kept", "shop/secrets/gone-one")
    done = alice.submit(DELETED, *wanted, ("deed", "purge"), ("sure", "yes"))
    text = Read(done).text
    assert "strict/secrets/kept was left as it is" in text
    assert "shop/secrets/gone-one" in text
    assert "strict/secrets/kept" in alice.read(DELETED).text


def test_one_vault_has_a_page_of_what_is_deleted_in_it(own: Own) -> None:
    path = "/portal/vaults/shop/deleted"
    operator = own.service.operator
    own.service.create_role_assignment(
        operator,
        own.service.list_role_assignments(operator, principal_id=own.people["bob"].id)[0].scope,
        role="Key Vault Secrets Officer",
        principal_id=own.people["bob"].id,
        principal_type="user",
    )
    bob = own.browser("bob")
    page = bob.read(path)
    assert "shop/secrets/gone-one" in page.text
    assert "elsewhere" not in page.text
    done = bob.submit(path, *picked("shop/secrets/gone-one", "other/secrets/elsewhere"), ("deed", "recover"))
    assert "Not deleted any more, or not to be seen by you:other/secrets/elsewhere" in Read(done).text
    assert bob.get("/portal/vaults/shop/secrets/gone-one").status == 200


def test_nothing_picked_does_nothing(own: Own) -> None:
    alice = own.browser("alice")
    for path in (DELETE, DELETED):
        page = alice.submit(path, ("deed", "recover"))
        assert page.status == 400
        assert "Nothing was picked" in Read(page).text


def test_who_may_only_read_deletes_nothing(own: Own) -> None:
    bob = own.browser("bob")
    done = bob.submit(DELETE, *picked("greeting"), ("sure", "yes"))
    assert "greeting was left as it is" in Read(done).text
    assert bob.get("/portal/vaults/shop/secrets/greeting").status == 200


def test_an_expiry_long_gone_and_one_to_come_are_told_apart(own: Own) -> None:
    now = own.service.now
    own.service.set_secret(own.service.operator, SHOP, "far", SecretValue("x"), expires=now + timedelta(days=31))
    rows = {one.text.split()[0]: one.text for one in own.browser("bob").read("/portal/vaults/shop/secrets").all("tr")}
    assert "Enabled" in rows["far"]
    assert "Expires soon" not in rows["far"]
