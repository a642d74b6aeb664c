"""A real `kvstack serve`, in a process of its own, and what a test asks it over real TLS."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from kvstack.server.trust import trust_files
from kvstack.vault.layout import layout
from tests.e2e.command_line import Ran, begun, without_defects

SHOP, OTHER = "shop", "other"
APP = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
READER = "7a1d8d1f-4b1f-4c1f-8c1d-3e4e6e1e2b22"
STRANGER = "8b2e9e2a-5c2a-4d2a-9d2e-4f5f7f2f3c33"


class Answered(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Azure's word for a refusal."""
        return str(self.json["error"]["code"])

    @property
    def inner(self) -> str:
        """Azure's more exact word for it."""
        return str(self.json["error"]["innererror"]["code"])


class Served:
    """One server on a folder's vault."""

    def __init__(self, folder: Path, *options: str, workers: int = 1, **environ: str) -> None:
        self.folder = folder
        options = ("--port", "0", "--proxy-port", "0", "--workers", str(workers), *options)
        self.process = begun(folder, "serve", *options, **environ)
        self.lines: list[dict[str, Any]] = []
        told = self.told("serving")
        self.port, self.proxy_port, self.tenant = told["port"], told["proxy_port"], told["tenant"]
        self.authority = trust_files(layout(folder).root).authority
        self.vaults = f"vault.localhost:{self.port}"
        self.workers = [int(self.told("a worker answers")["process"]) for _ in range(workers - 1)]

    def told(self, event: str) -> dict[str, Any]:
        """Return the next line of the log that tells this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if not line.startswith("{"):
                continue
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"the server ended before it told `{event}`: {self.lines}")

    def stop(self, number: int = signal.SIGTERM) -> Ran:
        """Have it stop. Returns how it ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return without_defects(Ran(self.process.returncode, out, err))

    def kill(self) -> None:
        """End it at once, where it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def url(self, vault: str = SHOP) -> str:
        """A vault's address."""
        return f"https://{vault}.{self.vaults}"

    @property
    def login(self) -> str:
        """The host where tokens are given."""
        return f"login.localhost:{self.port}"

    @property
    def management(self) -> str:
        """The host of resource manager."""
        return f"management.localhost:{self.port}"

    @cached_property
    def subscription(self) -> str:
        """The subscription all is in, as resource manager tells the app."""
        answer = self.ask(
            "GET", "/subscriptions?api-version=2022-12-01", host=self.management, token=self.management_token()
        )
        return str(answer.json["value"][0]["subscriptionId"])

    @property
    def proxies(self) -> dict[str, str]:
        """What leads a client of Azure's to the names, which do not resolve."""
        return {"https": f"http://127.0.0.1:{self.proxy_port}"}

    @property
    def transport(self) -> dict[str, Any]:
        """What a client of Azure's is told beside an address: through which proxy, whom to trust, and to try once."""
        return {"proxies": self.proxies, "connection_verify": str(self.authority), "retry_total": 0}

    def credential(self, client: str = APP, secret: str | None = None) -> Any:
        """Return a credential of azure-identity."""
        from azure.identity import ClientSecretCredential

        return ClientSecretCredential(
            self.tenant,
            client,
            secret or self.secret(client),
            authority=f"https://{self.login}",
            disable_instance_discovery=True,
            **self.transport,
        )

    def secret(self, client: str = APP) -> str:
        """A principal's client secret."""
        return (self.folder / f"{client}.secret").read_text()

    def token(self, client: str = APP) -> str:
        """Return a token, asked for without any client."""
        answer = self.sign_in(client_id=client, client_secret=self.secret(client))
        assert answer.status == 200, answer
        return str(answer.json["access_token"])

    def management_token(self, client: str = APP) -> str:
        """Return a token for resource manager."""
        scope = f"https://{self.management}/.default"
        answer = self.sign_in(client_id=client, client_secret=self.secret(client), scope=scope)
        assert answer.status == 200, answer
        return str(answer.json["access_token"])

    def sign_in(self, tenant: str | None = None, **fields: str) -> Answered:
        """Ask for a token."""
        from urllib.parse import urlencode

        form = {"grant_type": "client_credentials", "scope": f"https://{self.vaults}/.default"} | fields
        return self.ask(
            "POST",
            f"/{tenant or self.tenant}/oauth2/v2.0/token",
            host=self.login,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        host: str = "",
        token: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        json_body: Any = None,
    ) -> Answered:
        """Send one request over TLS that is verified, and return its answer."""
        given = {"Host": host or f"{SHOP}.{self.vaults}"} | ({"Authorization": f"Bearer {token}"} if token else {})
        if json_body is not None:
            body, given["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.sock = self.connected(given["Host"].partition(":")[0])
        try:
            connection.request(method, path, body=body, headers=given | (headers or {}))
            response = connection.getresponse()
            return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def connected(self, name: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Return a connection to the server under one of its names."""
        known = name if name.endswith("localhost") else "localhost"
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        try:
            return (context or self.context).wrap_socket(raw, server_hostname=known)
        except BaseException:
            raw.close()
            raise

    @property
    def context(self) -> ssl.SSLContext:
        """What a client trusts: this server's authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority))

    def raw(self, sent: bytes, name: str = "shop.vault.localhost") -> bytes:
        """Send bytes as they are, and return all that comes back."""
        with self.connected(name) as connection:
            connection.sendall(sent)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


def client_program(
    served: Served, program: str, *, secret: bool = True, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a program that knows nothing of kvstack, in the environment that `kvstack env` prints. secret: whether there
    is a client secret in it."""
    import shlex
    import sys

    script = f'eval "$(kvstack -C {shlex.quote(str(served.folder))} env --vault {SHOP})" && exec python program.py'
    folder = served.folder / "client"
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(program)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
    }
    if secret:
        environment |= {"AZURE_CLIENT_ID": APP, "AZURE_CLIENT_SECRET": served.secret()}
    return subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
