"""A real browser, Chromium, with JavaScript switched off: it signs somebody in, and the code arrives at the program."""

import base64
import hashlib
import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.command_line import environment
from tests.server.identity.person import CLIENT, people
from tests.server.identity.test_people import CHALLENGE, VERIFIER
from tests.server.served import SHOP, Served

pytestmark = pytest.mark.toolchain
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATH = "/secrets/greeting?api-version=7.4"


class Chromium:
    """A browser, spoken to by WebDriver. trusted: the one authority whose certificates it takes."""

    def __init__(self, folder: Path, trusted: Path) -> None:
        self._driver = subprocess.Popen(
            [str(shutil.which("chromedriver")), "--port=0"],
            env=environment(HOME=str(folder)),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if "started successfully on port" in line:
                self._port = int(line.rstrip().rstrip(".").rpartition(" ")[2])
                break
        else:
            raise AssertionError("chromedriver did not start")
        key = x509.load_pem_x509_certificate(trusted.read_bytes()).public_key()
        pin = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        options = {
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                f"--user-data-dir={folder / 'profile'}",
                f"--ignore-certificate-errors-spki-list={base64.b64encode(pin).decode()}",
            ],
            "prefs": {"profile.managed_default_content_settings.javascript": 2},
        }
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = ""
        self._session = "/session/" + self.ask("POST", "/session", wanted)["sessionId"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Have it do something."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            given = json.dumps(body) if body is not None else None
            connection.request(method, f"{self._session}{path}", given, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not isinstance(answer, dict) or "error" not in answer, answer
        return answer

    def show(self, address: str) -> None:
        """Show a page."""
        self.ask("POST", "/url", {"url": address})

    def fill(self, field: str, value: str) -> None:
        """Type into a field."""
        self.ask("POST", f"/element/{self._one(f'#{field}')}/value", {"text": value})

    def press(self) -> None:
        """Press the page's button, by the keyboard, and wait for the page it leads to."""
        before = self._page()
        self.ask("POST", f"/element/{self._one('button')}/value", {"text": "\ue007"})
        deadline = time.monotonic() + 60
        while self._page() in (before, ""):
            assert time.monotonic() < deadline, "no other page came"
            time.sleep(0.02)

    def _page(self) -> str:
        """Return what tells the page that is shown, and complete, from others; empty between two."""
        try:
            return self._one("html > body")
        except AssertionError:
            return ""

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.ask("GET", f"/element/{self._one('body')}/text"))

    def picture(self, file: Path) -> None:
        """Keep what is seen."""
        file.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def close(self) -> None:
        """End it."""
        if self._session:
            self.ask("DELETE", "")
        self._driver.terminate()
        self._driver.communicate()

    def _one(self, selector: str) -> str:
        return str(self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])


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
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("NO CHROMIUM: install chromium and chromium-driver to try the sign-in page in a browser")
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
