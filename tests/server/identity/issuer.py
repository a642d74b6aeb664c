"""A small OpenID provider in a process of its own, and the tokens a test has it sign.

Run as a program: `python -m tests.server.identity.issuer FOLDER` serves the files of a folder, over TLS where there is
a `tls.pem` in it, tells its port, and then every path it is asked for, one a line.
"""

import json
import shutil
import ssl
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.command_line import ROOT, environment
from tests.server.identity.assertions import signing_by, text

AUDIENCE = "api://AzureADTokenExchange"
CONFIGURATION, KEYS = ".well-known/openid-configuration", "keys"


class Issuer:
    """The process. folder: what it serves; certificate: key and certificate for TLS, PEM, None for none."""

    def __init__(self, folder: Path, certificate: bytes | None = None) -> None:
        self.folder = folder
        (folder / ".well-known").mkdir(parents=True)
        if certificate is not None:
            (folder / "tls.pem").write_bytes(certificate)
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.log = folder / "asked.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.server.identity.issuer", str(folder)],
                cwd=ROOT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http{'s' if certificate else ''}://localhost:{self.port}"
        self.configure()
        self.turn("k1")

    @property
    def allowed(self) -> dict[str, Any]:
        """What the operator says so that it may be asked."""
        return {"allow": [f"localhost:{self.port}"], "http": [f"localhost:{self.port}"]}

    def configure(self, **more: Any) -> None:
        """Publish its configuration."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/{KEYS}"} | more
        (self.folder / CONFIGURATION).write_text(json.dumps(document))

    def turn(self, *kids: str) -> None:
        """Sign with new keys, under these ids."""
        self.keys = {kid: rsa.generate_private_key(65537, 2048) for kid in kids}
        self.publish([public_jwk(kid, key) for kid, key in self.keys.items()])

    def publish(self, keys: list[dict[str, Any]]) -> None:
        """Publish keys, whole or not at all."""
        fresh = self.folder / "keys.new"
        fresh.write_text(json.dumps({"keys": keys}))
        fresh.rename(self.folder / KEYS)

    def token(self, subject: str, *, kid: str = "k1", header: Any = None, sign: Any = None, **claims: Any) -> str:
        """Return a token, right where nothing else is said. A claim that is None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "sub": subject, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 3600} | claims
        named = {"alg": "RS256", "kid": kid} | (header or {})
        content = ".".join(
            text(json.dumps({k: v for k, v in part.items() if v is not None}).encode()) for part in (named, said)
        )
        signing = sign or signing_by(self.keys[kid if kid in self.keys else "k1"], str(named.get("alg")))
        return f"{content}.{text(signing(content.encode()))}"

    def asked(self) -> int:
        """How often its keys were asked for."""
        return self.log.read_text().count(f"/{KEYS}\n")

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, where it still runs, and leave nothing behind."""
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self.folder)


def public_jwk(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return a public key as a key set has it."""
    numbers = key.public_key().public_numbers()
    n, e = (text(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sys.stderr.write(f"{self.path}\n")
        sys.stderr.flush()
        file = Path(sys.argv[1]) / self.path.lstrip("/")
        redirect = file.with_name("redirect")
        if redirect.exists():
            self.send_response(302)
            self.send_header("Location", redirect.read_text())
            self.end_headers()
            return
        content = file.read_bytes() if file.is_file() else b""
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


def _main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    tls = Path(sys.argv[1]) / "tls.pem"
    if tls.exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _main()
