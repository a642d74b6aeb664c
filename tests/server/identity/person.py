"""People with what they sign in with, and the browser one of them uses: it keeps cookies and fills in forms.

Run as a program it is the browser that `BROWSER` names: it signs in at the address it is given.
"""

import base64
import html
import http.client
import json
import os
import re
import socket
import ssl
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from kvstack.terms.principal import Principal
from kvstack.terms.scope import Scope
from kvstack.vault.people import STEP, totp_code
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock

CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


class Person(NamedTuple):
    """Somebody. credential: its id; key: of his authenticator."""

    id: str
    name: str
    credential: str
    secret: str
    key: bytes

    def code(self, steps: int = 0) -> str:
        """The code of now, or of some steps later."""
        return totp_code(self.key, int(time.time()) // STEP + steps).decode()

    @property
    def fields(self) -> dict[str, str]:
        """What he fills in."""
        return {"name": self.name, "secret": self.secret, "code": self.code()}


def people(folder: Path, vault: str, *names: str) -> dict[str, Person]:
    """Make users who may read a vault's secrets."""
    unlocked = unlock(folder)
    try:
        service = VaultService(unlocked)
        scope = Scope(unlocked.settings.subscription_id, unlocked.settings.resource_group, vault)
        found = {}
        for name in names:
            identifier = str(uuid.uuid4())
            service.put_principal(service.operator, Principal(id=identifier, type="user", name=name))
            service.create_role_assignment(
                service.operator,
                scope,
                role="Key Vault Secrets User",
                principal_id=identifier,
                principal_type="user",
            )
            made = service.create_person_credential(service.operator, identifier)
            (key,) = parse_qs(urlsplit(made.enrolment.reveal().decode()).query)["secret"]
            secret = made.secret.reveal().decode()
            found[name] = Person(identifier, name, made.id, secret, base64.b32decode(key))
        return found
    finally:
        unlocked.close()


class Page(NamedTuple):
    """What a browser shows."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def action(self) -> str:
        """Where its form leads."""
        (found,) = re.findall(r'<form method="post" action="([^"]*)">', self.text)
        return html.unescape(found)

    @property
    def fields(self) -> dict[str, str]:
        """What its form holds by itself."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', self.text)
        return {html.unescape(name): html.unescape(value) for name, value in found}


class Browser:
    """A browser without JavaScript. host: the sign-in's, as `login.localhost:8443`; authority: whom it trusts."""

    def __init__(self, host: str, authority: str) -> None:
        self.host = host
        self._context = ssl.create_default_context(cafile=authority)
        self.cookies: dict[str, str] = {}
        self.last_cookies: list[str] = []

    def get(self, path: str) -> Page:
        """Show a page."""
        return self._asked("GET", path, {}, None)

    def send(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        """Send a form, as a page of this host would. headers: others than a browser sends by itself."""
        given = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{self.host}"}
        return self._asked("POST", path, given | headers, urlencode(fields).encode())

    def signed_in(self, path: str, fields: dict[str, str]) -> Page:
        """Show a page, fill in its form, and send that."""
        page = self.get(path)
        assert page.status == 200, page
        return self.send(page.action, page.fields | fields)

    def _asked(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Page:
        name, _, port = self.host.partition(":")
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
        raw = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
        connection.sock = self._context.wrap_socket(raw, server_hostname=name)
        cookies = "; ".join(f"{one}={value}" for one, value in self.cookies.items())
        given = {"Host": self.host} | ({"Cookie": cookies} if cookies else {}) | headers
        try:
            connection.request(method, path, body=body, headers=given)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            text = response.read().decode()
        finally:
            connection.close()
        self.last_cookies = response.headers.get_all("set-cookie") or []
        for one in self.last_cookies:
            name_, _, value = one.partition(";")[0].partition("=")
            self.cookies[name_] = value
        return Page(response.status, found, text)


def _main() -> None:
    """Sign in at the address given, as the person in the environment, and go on where the page leads."""
    place = urlsplit(sys.argv[1])
    browser = Browser(place.netloc, os.environ["REQUESTS_CA_BUNDLE"])
    fields = json.loads(Path(os.environ["PERSON"]).read_text())
    page = browser.signed_in(f"{place.path}?{place.query}", fields)
    if page.status == 303:
        urlopen(page.headers["location"], timeout=30).read()
    else:
        urlopen(page.action, urlencode(page.fields).encode(), timeout=30).read()


if __name__ == "__main__":
    _main()
