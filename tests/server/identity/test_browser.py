"""A real browser, Chromium, with JavaScript switched off: it signs somebody in, and the code arrives at the program."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.server.chromium import Chromium, require_chromium
from tests.server.identity.person import CLIENT, people
from tests.server.identity.test_people import CHALLENGE, VERIFIER
from tests.server.served import SHOP, Served

pytestmark = pytest.mark.toolchain
PATH = "/secrets/greeting?api-version=7.4"


class Program:
    """A program that waits for its code on this machine."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, list[str]]]] = []
        program = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._take("GET", self.path.partition("?")[2])

            def do_POST(self) -> None:
                self._take("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _take(self, method: str, sent: str) -> None:
                if "code" in parse_qs(sent):
                    program.got.append((method, parse_qs(sent)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"You may close this window.")

            def log_message(self, *_: Any) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Answering)
        self.address = f"http://localhost:{self._server.server_port}/back"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def program() -> Iterator[Program]:
    found = Program()
    yield found
    found.close()


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_chromium_signs_somebody_in(stack: Path, tmp_path: Path, program: Program, mode: str) -> None:
    require_chromium()
    alice = people(stack, SHOP, "alice")["alice"]
    served = Served(stack)
    browser = Chromium(tmp_path, served.authority)
    query = {
        "client_id": CLIENT,
        "response_type": "code",
        "response_mode": mode,
        "redirect_uri": program.address,
        "scope": f"https://{served.vaults}/.default openid",
        "state": "a state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    try:
        browser.show(f"https://{served.login}/{served.tenant}/oauth2/v2.0/authorize?{urlencode(query)}")
        browser.picture(tmp_path / "sign-in.png")
        for field, value in (alice.fields | {"secret": "AAAA"}).items():
            browser.fill(field, value)
        browser.press()
        assert "is not right" in browser.text
        for field, value in alice.fields.items():
            browser.fill(field, value)
        browser.press()
        if mode == "form_post":
            assert "You are signed in" in browser.text
            browser.press()
        assert "You may close this window." in browser.text
        ((method, sent),) = program.got
        assert (method, sent["state"]) == ("GET" if mode == "query" else "POST", ["a state"])
        answer = served.sign_in(
            grant_type="authorization_code",
            client_id=CLIENT,
            code=sent["code"][0],
            redirect_uri=program.address,
            code_verifier=VERIFIER,
        )
        assert served.ask("GET", PATH, token=answer.json["access_token"]).json["value"] == "hello"
    finally:
        browser.close()
        served.kill()
