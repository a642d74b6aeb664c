"""People sign in on a page, for a program or for a device without a browser: by a secret and a code, both right."""

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from azure.identity import DeviceCodeCredential
from azure.keyvault.secrets import SecretClient

from tests.e2e.command_line import ROOT, copied
from tests.server.identity.person import CLIENT, Browser, Page, Person, people
from tests.server.identity.test_federation import PATH, command
from tests.server.served import SHOP, Answered, Served, client_program

NAMES = tuple(f"person-{number}" for number in range(24))
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "http://localhost:8400/back"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class World(NamedTuple):
    """A server, and people nobody has signed in as yet."""

    served: Served
    left: list[Person]

    def person(self) -> Person:
        """Somebody new: each code counts once."""
        return self.left.pop()

    def browser(self) -> Browser:
        """Somebody's browser."""
        return Browser(self.served.login, str(self.served.authority))


@pytest.fixture(scope="module")
def world(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = copied(stocked_vault, tmp_path_factory.mktemp("people") / "stack")
    found = people(folder, SHOP, *NAMES)
    # What is begun in one process goes on in another: nothing of a sign-in may be in a process's memory.
    served = Served(folder, workers=3)
    yield World(served, list(found.values()))
    served.kill()


def address(world: World, **more: str | None) -> str:
    asked: dict[str, str | None] = {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": f"https://{world.served.vaults}/.default openid profile offline_access",
        "state": "st&te",
        "nonce": "n-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    said = {name: value for name, value in (asked | more).items() if value is not None}
    return f"/{world.served.tenant}/oauth2/v2.0/authorize?{urlencode(said)}"


def code_of(page: Page) -> str:
    assert page.status == 303, page
    place = urlsplit(page.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == BACK
    query = parse_qs(place.query)
    assert query["state"] == ["st&te"]
    return query["code"][0]


def redeemed(world: World, code: str, **more: str) -> Answered:
    fields = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_info": "1",
    }
    return world.served.sign_in(**(fields | more))


def claims(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_code_gives_a_token_that_opens_the_vault_as_that_person(world: World) -> None:
    person = world.person()
    answer = redeemed(world, code_of(world.browser().signed_in(address(world), person.fields)))
    assert answer.status == 200, answer
    assert world.served.ask("GET", PATH, token=answer.json["access_token"]).json["value"] == "hello"
    said = claims(answer.json["access_token"])
    assert (said["oid"], said["idtyp"], said["amr"]) == (person.id, "user", ["pwd", "otp", "mfa"])
    identity = claims(answer.json["id_token"])
    assert (identity["aud"], identity["nonce"], identity["preferred_username"]) == (CLIENT, "n-1", person.name)
    discovery = f"/{world.served.tenant}/v2.0/.well-known/openid-configuration"
    issuer = world.served.ask("GET", discovery, host=world.served.login).json["issuer"]
    assert (said["iss"], identity["iss"]) == (issuer, issuer)
    assert world.served.ask("GET", PATH, token=answer.json["id_token"]).status == 401


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_what_goes_back_goes_to_this_machine_with_its_state(world: World, mode: str) -> None:
    page = world.browser().signed_in(address(world, response_mode=mode), world.person().fields)
    if mode == "query":
        assert redeemed(world, code_of(page)).status == 200
        return
    assert (page.status, page.action, page.fields["state"]) == (200, BACK, "st&te")
    assert redeemed(world, page.fields["code"]).status == 200


def test_a_code_is_good_once_and_only_for_who_asked(world: World) -> None:
    code = code_of(world.browser().signed_in(address(world), world.person().fields))
    wrong: list[dict[str, str]] = [
        {"code_verifier": "w" * 50},
        {"code_verifier": ""},
        {"code_verifier": CHALLENGE},
        {"client_id": "11111111-2222-4333-8444-555555555555"},
        {"redirect_uri": "http://localhost:9999/back"},
        {"code": code[:-2] + ("AA" if code[-2:] != "AA" else "BB")},
        {"code": "x.y"},
        {"code": ""},
    ]
    for more in wrong:
        answer = redeemed(world, code, **more) if "code" not in more else redeemed(world, **more)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant"), more
    assert redeemed(world, code).status == 200
    assert redeemed(world, code).json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "more",
    [
        {"redirect_uri": "https://evil.example/back"},
        {"redirect_uri": "http://localhost.evil.example/"},
        {"redirect_uri": "http://evil.example#@localhost/"},
        {"redirect_uri": "http://localhost@evil.example/"},
        {"redirect_uri": "http://localhost:8400/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://localhost:8400/;script-src *"},
        {"redirect_uri": None},
        {"client_id": "no id"},
        {"response_type": "token"},
        {"response_mode": "fragment"},
        {"code_challenge": None},
        {"code_challenge": "short"},
        {"code_challenge_method": "plain"},
        {"scope": "openid"},
        {"scope": "https://vault.azure.net/.default"},
        {"scope": "https://vault.localhost/.default https://managedhsm.localhost/.default"},
        {"state": "x" * 1100},
    ],
)
def test_what_a_program_may_not_ask_is_told_here_and_sent_nowhere(world: World, more: dict[str, str | None]) -> None:
    page = world.browser().get(address(world, **more))
    assert page.status == 400
    assert "location" not in page.headers
    assert "<form" not in page.text


def test_a_page_can_do_nothing_but_what_it_is_for(world: World) -> None:
    page = world.browser().get(address(world, state="<script>"))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://localhost:8400;" in policy
    assert "script" not in policy
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert all(word in cookie for word in ("; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"))
    for label in ("name", "secret", "code"):
        assert f'<label for="{label}">' in page.text
    assert '<html lang="en">' in page.text


def test_what_is_shown_is_escaped(world: World) -> None:
    attack = '"><script>alert(1)</script>'
    page = world.browser().get(f"/device?{urlencode({'code': attack})}")
    assert "<script" not in page.text
    page = world.browser().get(address(world, redirect_uri='http://localhost:8400/a?b="><b>'))
    assert page.status == 400
    page = world.browser().get(address(world, redirect_uri="http://localhost:8400/a?b=1&c=2"))
    assert "b=1&amp;c=2" in page.text
    person = world.person()
    page = world.browser().signed_in("/device", person.fields | {"user_code": attack, "name": attack})
    assert "<script" not in page.text


def test_a_form_that_another_site_sends_signs_nobody_in(world: World) -> None:
    person, browser, other = world.person(), world.browser(), world.browser()
    page = browser.get(address(world))
    sent = page.fields | person.fields
    for origin in ("https://evil.example", "null", f"http://{browser.host}", "https://localhost"):
        assert browser.send(page.action, sent, Origin=origin).status == 403
    assert other.send(page.action, sent).status == 403, "the cookie is another browser's"
    other.get(address(world))
    assert other.send(page.action, sent).status == 403
    assert browser.send(page.action, {**sent, "request": sent["request"][:-1] + "x"}).status == 403
    assert browser.send(page.action, {**sent, "request": ""}).status == 403
    assert browser.send(page.action, sent).status == 303, "none of them was tried"


def test_whatever_is_wrong_is_one_refusal_that_takes_one_time(world: World) -> None:
    person = world.person()
    for wrong in (
        {"secret": "AAAA-AAAA"},
        {"name": "nobody"},
        {"name": ""},
        {"name": "app"},
        {"code": "000000" if person.code() != "000000" else "111111"},
        {"code": ""},
        {"code": "ä"},
        {"secret": ""},
    ):
        began = time.perf_counter()
        page = world.browser().signed_in(address(world), person.fields | wrong)
        assert time.perf_counter() - began >= 0.1
        assert page.status == 401
        assert "is not right" in page.text
        assert person.secret not in page.text
        assert page.fields["request"], "the form can be filled in again"
    assert world.browser().signed_in(address(world), person.fields).status == 303


def test_a_code_of_the_authenticator_counts_once(world: World) -> None:
    person, browser = world.person(), world.browser()
    fields = person.fields
    assert browser.signed_in(address(world), fields).status == 303
    assert browser.signed_in(address(world), fields).status == 401


def test_who_knows_the_secret_guesses_no_code_and_others_lock_nobody_out(world: World) -> None:
    victim, other = world.person(), world.person()
    for _ in range(8):
        wrong = victim.fields | {"secret": "AAAA", "code": "000000"}
        assert world.browser().signed_in(address(world), wrong).status == 401
    assert world.browser().signed_in(address(world), victim.fields).status == 303
    for _ in range(5):
        assert world.browser().signed_in(address(world), other.fields | {"code": "x"}).status == 401
    assert world.browser().signed_in(address(world), other.fields).status == 401, "he has to wait now"


def test_a_deleted_credential_ends_a_persons_tokens(world: World) -> None:
    person = world.person()
    code = code_of(world.browser().signed_in(address(world), person.fields))
    token = redeemed(world, code).json["access_token"]
    assert world.served.ask("GET", PATH, token=token).status == 200
    command(world.served.folder, "credential", "delete", person.id, person.credential, "--yes")
    until = time.monotonic() + 1
    while world.served.ask("GET", PATH, token=token).status != 401:
        assert time.monotonic() < until
    assert world.browser().signed_in(address(world), person.fields | {"code": person.code(1)}).status == 401


def test_a_disabled_persons_code_gives_no_token(world: World) -> None:
    person = world.person()
    code = code_of(world.browser().signed_in(address(world), person.fields))
    command(world.served.folder, "credential", "rules", person.id, "--disabled")
    assert redeemed(world, code).json["error"] == "invalid_grant"


def test_two_factors_are_enough_for_who_has_to_have_them(world: World) -> None:
    person = world.person()
    command(world.served.folder, "credential", "rules", person.id, "--mfa", "--session", "PT10M")
    code = code_of(world.browser().signed_in(address(world), person.fields))
    answer = redeemed(world, code)
    assert answer.json["expires_in"] == 600


def device(world: World, **more: str) -> Answered:
    fields = {"client_id": CLIENT, "scope": f"https://{world.served.vaults}/.default openid"} | more
    return world.served.ask(
        "POST",
        f"/{world.served.tenant}/oauth2/v2.0/devicecode",
        host=world.served.login,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(fields).encode(),
    )


def polled(world: World, code: str, **more: str) -> Answered:
    return world.served.sign_in(**({"grant_type": DEVICE_GRANT, "client_id": CLIENT, "device_code": code} | more))


def test_a_device_waits_until_somebody_lets_it_in_and_is_let_in_once(world: World) -> None:
    flow = device(world).json
    assert polled(world, flow["device_code"]).json["error"] == "authorization_pending"
    person = world.person()
    page = world.browser().signed_in("/device", person.fields | {"user_code": flow["user_code"].lower()})
    assert page.status == 200, page
    assert "signed in" in page.text
    assert polled(world, flow["device_code"], client_id=person.id).json["error"] == "expired_token"
    answer = polled(world, flow["device_code"])
    assert world.served.ask("GET", PATH, token=answer.json["access_token"]).json["value"] == "hello"
    assert polled(world, flow["device_code"]).json["error"] == "authorization_pending"


def test_a_code_no_device_shows_lets_none_in(world: World) -> None:
    person = world.person()
    for entered in ("", "BCDFG-HJKLM", "x" * 50, "ÄÄÄÄÄ-ÄÄÄÄÄ"):
        page = world.browser().signed_in("/device", person.fields | {"user_code": entered})
        assert (page.status, "No device shows this code." in page.text) == (400, True)
    for code in ("", "x.y", "a" * 9000):
        assert polled(world, code).json["error"] == "expired_token"
    assert device(world, client_id="x").status == 400
    assert device(world, scope="https://vault.azure.net/.default").json["error"] == "invalid_scope"


def test_azures_device_code_credential_opens_the_vault(world: World) -> None:
    served, person = world.served, world.person()

    def let_in(_: str, user_code: str, __: Any) -> None:
        page = world.browser().signed_in("/device", person.fields | {"user_code": user_code})
        assert page.status == 200, page

    credential = DeviceCodeCredential(
        CLIENT,
        tenant_id=served.tenant,
        prompt_callback=let_in,
        authority=f"https://{served.login}",
        disable_instance_discovery=True,
        **served.transport,
    )
    with credential, SecretClient(served.url(), credential, **served.transport) as client:
        assert client.get_secret("greeting").value == "hello"


def test_azures_interactive_browser_credential_opens_the_vault(world: World, tmp_path: Path) -> None:
    filled = tmp_path / "person.json"
    filled.write_text(json.dumps(world.person().fields))
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.server.identity.person "$1"\n')
    browser.chmod(0o755)
    ran = client_program(
        world.served,
        _PROGRAM,
        secret=False,
        BROWSER=f"{browser} %s &",
        PERSON=str(filled),
        NO_PROXY="127.0.0.1,localhost:1",
    )
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr


_PROGRAM = """
import os
from azure.identity import InteractiveBrowserCredential
from azure.keyvault.secrets import SecretClient

credential = InteractiveBrowserCredential(
    tenant_id=os.environ["AZURE_TENANT_ID"], disable_instance_discovery=True, timeout=30
)
with SecretClient(os.environ["AZURE_KEYVAULT_URL"], credential) as client:
    print(client.get_secret("greeting").value)
"""


def test_many_who_never_end_what_they_begin_leave_nothing_behind(world: World) -> None:
    """Neither a page nor a device's code is anything the server keeps."""
    database = world.served.folder / ".kvstack" / "vault" / "vault.db"
    before = database.stat().st_size
    threads = [threading.Thread(target=lambda: [device(world) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.stat().st_size == before
