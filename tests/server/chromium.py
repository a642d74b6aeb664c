"""A real browser, Chromium, headless, that tests speak to by WebDriver."""

import base64
import hashlib
import http.client
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.command_line import environment

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def require_chromium() -> None:
    """Leave a test out, and say so, where there is no browser."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("NO CHROMIUM: install chromium and chromium-driver to try the pages in a browser")


class Chromium:
    """A browser, spoken to by WebDriver. trusted: the one authority whose certificates it takes; scripts: whether pages
    may run any."""

    def __init__(self, folder: Path, trusted: Path, *, scripts: bool = False) -> None:
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
            "prefs": {"profile.managed_default_content_settings.javascript": 1 if scripts else 2},
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

    def press(self, selector: str = "button") -> None:
        """Press a button or follow a link, by the keyboard, and wait for the page it leads to."""
        before = self._page()
        self.ask("POST", f"/element/{self._one(selector)}/value", {"text": "\ue007"})
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

    def tick(self, selector: str) -> None:
        """Tick a box, by the keyboard."""
        self.ask("POST", f"/element/{self._one(selector)}/value", {"text": " "})

    def keys(self, *pressed: str) -> None:
        """Press keys, wherever the keyboard is."""
        actions = [{"type": kind, "value": key} for key in pressed for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    @property
    def focused(self) -> str:
        """What can be read where the keyboard is."""
        return str(self.ask("GET", f"/element/{self.ask('GET', '/element/active')[ELEMENT]}/text"))

    @property
    def address(self) -> str:
        """Where it is."""
        return str(self.ask("GET", "/url"))

    @property
    def cookies(self) -> list[dict[str, Any]]:
        """What it keeps for where it is."""
        return list(self.ask("GET", "/cookie"))

    def picture(self, file: Path) -> None:
        """Keep what is seen."""
        file.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def looks(self, *, width: int, dark: bool) -> None:
        """Have it look like a screen of this width, in pixels, whose owner likes it light or dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )

    def whole_picture(self, file: Path) -> int:
        """Keep all of the page, however long. Returns how wide it is."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(found["data"]))
        return int(size["width"])

    def command(self, command: str, **parameters: Any) -> Any:
        """Have it do what only Chromium can."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script: str) -> Any:
        """Run a script of the test's own, and return what it resolves to."""
        return self.ask("POST", "/execute/async", {"script": script, "args": []})

    def close(self) -> None:
        """End it."""
        if self._session:
            self.ask("DELETE", "")
        self._driver.terminate()
        self._driver.communicate()

    def _one(self, selector: str) -> str:
        return str(self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])
