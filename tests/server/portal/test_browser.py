"""The portal in a real browser, without JavaScript, by the keyboard alone; and how it looks, on screens of two kinds.

The pictures are kept in `build/portal/`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import ROOT, copied
from tests.server.chromium import Chromium, require_chromium
from tests.server.portal.browsing import COOKIE
from tests.server.portal.conftest import CANARY, There
from tests.server.portal.own import Own

pytestmark = pytest.mark.toolchain
PICTURES = ROOT / "build" / "portal"
AXE = ROOT / "build" / "axe-core" / "node_modules" / "axe-core" / "axe.min.js"
TAB, ENTER = "\ue004", "\ue007"
SEEN = {
    "vaults": "",
    "vault": "/vaults/ledger",
    "secrets": "/vaults/shop/secrets",
    "secret": "/vaults/shop/secrets/db-password",
    "key": "/vaults/shop/keys/orders-signing",
    "certificate": "/vaults/shop/certificates/front",
    "deleted": "/deleted",
    "who-has-access": "/vaults/shop/access",
    "your-access": "/access",
    "audit": "/audit",
    "calendar": "/calendar",
    "refused": "/vaults/ledger/secrets",
    "empty": "/vaults/other/keys",
}


class Seen:
    """A browser, and what it looks at."""

    def __init__(self, folder: Path, there: There, *, scripts: bool = False) -> None:
        require_chromium()
        self.own = Own(copied(there.folder, folder / "stack"), there.people)
        self.browser = Chromium(folder, self.own.served.authority, scripts=scripts)
        self.portal = f"https://portal.localhost:{self.own.served.port}/portal"

    def sign_in(self) -> None:
        """Sign alice in, by the form."""
        self.browser.show(self.portal)
        for field, value in self.own.people["alice"].fields.items():
            self.browser.fill(field, value)
        self.browser.press("main button")

    def close(self) -> None:
        self.browser.close()
        self.own.close()


@pytest.fixture
def seen(portal_vault: There, tmp_path: Path) -> Iterator[Seen]:
    found = Seen(tmp_path, portal_vault)
    yield found
    found.close()


def test_somebody_does_his_work_by_the_keyboard_without_javascript(seen: Seen) -> None:
    browser, own = seen.browser, seen.own
    browser.show(f"{seen.portal}/vaults/shop/secrets")
    assert browser.address == f"{seen.portal}/sign-in?to=%2Fportal%2Fvaults%2Fshop%2Fsecrets"
    for field, value in (own.people["alice"].fields | {"secret": "AAAA"}).items():
        browser.fill(field, value)
    browser.press("main button")
    assert "is not right" in browser.text
    # The name is there still; what is secret is not.
    for field in ("secret", "code"):
        browser.fill(field, own.people["alice"].fields[field])
    browser.press("main button")
    assert browser.address == f"{seen.portal}/vaults/shop/secrets"
    assert "Signed in as alice" in browser.text
    (cookie,) = browser.cookies
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (COOKIE, True, True, "Strict")
    browser.keys(TAB)
    assert browser.focused == "Skip to the content"

    browser.press("a[href$='/secrets/db-password']")
    assert CANARY not in browser.text
    browser.press("form[action$='/value'] button")
    assert f"{CANARY}-2" in browser.text
    assert CANARY not in browser.address
    assert own.audited("SecretGet")[0].caller == own.people["alice"].id

    browser.press("nav.parts a[href$='/secrets']")
    for name in ("greeting", "old-token"):
        browser.tick(f"input[value='{name}']")
    browser.press("main form > .deeds button")
    assert "Delete 2 secrets?" in browser.text
    browser.press("button.danger")
    assert "Deleted:\ngreeting\nold-token" in browser.text

    browser.press("nav.main a[href$='/deleted']")
    for name in ("shop/secrets/greeting", "shop/secrets/gone-one", "attic"):
        browser.tick(f"input[value='{name}']")
    browser.press("button[value='recover']")
    assert "Recovered:\nattic\nshop/secrets/gone-one\nshop/secrets/greeting" in browser.text
    browser.press("nav.main a[href$='/deleted']")
    browser.tick("input[value='shop/secrets/gone-two']")
    browser.press("button[value='purge']")
    assert "for good?" in browser.text
    browser.press("button.danger")
    assert "Purged, for good:\nshop/secrets/gone-two" in browser.text

    browser.press("form[action$='/sign-out'] button")
    assert "You are signed out" in browser.text
    assert browser.cookies == []
    browser.show(f"{seen.portal}/vaults")
    assert "Code of your authenticator" in browser.text


def test_a_page_fits_wide_and_narrow_screens_light_and_dark(seen: Seen) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    browser = seen.browser
    browser.show(seen.portal)
    too_wide = []
    for signed_in in (False, True):
        if signed_in:
            seen.sign_in()
        for dark in (False, True):
            for width in (360, 1280):
                browser.looks(width=width, dark=dark)
                for name, path in (SEEN if signed_in else {"sign-in": "/sign-in"}).items():
                    browser.show(seen.portal + path)
                    picture = PICTURES / f"{name}-{'dark' if dark else 'light'}-{width}.png"
                    if browser.whole_picture(picture) > width:
                        too_wide.append(picture.name)
    assert too_wide == []


def test_axe_finds_nothing_that_keeps_people_out(portal_vault: There, tmp_path: Path) -> None:
    if not AXE.is_file():
        pytest.skip("NO AXE-CORE: `scripts/axe-core.sh` installs it from npm")
    seen = Seen(tmp_path, portal_vault, scripts=True)
    run = f"""{AXE.read_text()};
        const done = arguments[arguments.length - 1];
        const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
        axe.run(document, {{runOnly: tags}}).then(
            found => done(
                [found.passes.length, found.violations.map(one => [one.id, one.nodes.map(node => node.html)])]),
            error => done([0, String(error)]));"""
    found = {}
    try:
        browser = seen.browser
        browser.show(f"{seen.portal}/sign-in")
        found["sign-in"] = browser.run(run)
        seen.sign_in()
        for dark in (False, True):
            for width in (360, 1280):
                browser.looks(width=width, dark=dark)
                for name, path in SEEN.items():
                    browser.show(seen.portal + path)
                    found[f"{name} {dark} {width}"] = browser.run(run)
    finally:
        seen.close()
    assert {name: violations for name, (passed, violations) in found.items() if violations or passed < 10} == {}
    assert len(found) == 1 + 4 * len(SEEN)
