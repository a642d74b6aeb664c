"""A serverless function that updates a consumer when a secret changes. Standard library only.

`handle` is the function: it answers the handshake, refuses what was not signed by the vault or not just now, does a
thing once however often it is told of it, and then reads the newest value itself: an event never holds one.

    HOOK_KEY=... STACK=DIR python function.py --port-file FILE      serves it on this machine, to try it
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_TOLERANCE = 300  # seconds a signature is good for: an older request is a copy of one

Update = Callable[[str, str], None]


def handle(
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: bytes,
    seen: set[str],
    update: Update,
    now: Callable[[], float] = time.time,
) -> tuple[int, dict[str, str]]:
    """Handle one request. headers: in lower case; seen: ids of the events that were done; update: is called with the
    vault and the secret's name. Returns status and headers."""
    if method == "OPTIONS":
        # CloudEvents' handshake: yes, this wants events of whoever asks. Who really sent one its signature says.
        return 200, {"WebHook-Allowed-Origin": headers.get("webhook-request-origin", ""), "WebHook-Allowed-Rate": "*"}
    if not genuine(headers, body, key, now()):
        return 401, {}
    event = json.loads(body)
    if event["id"] not in seen:
        update(event["data"]["VaultName"], event["data"]["ObjectName"])
        seen.add(event["id"])
    return 204, {}


def genuine(headers: Mapping[str, str], body: bytes, key: bytes, now: float) -> bool:
    """Tell whether the vault sent this, and just now."""
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > _TOLERANCE:
        return False
    signed = f"{identifier}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    # One comparison that takes as long for a wrong signature as for a right one.
    return hmac.compare_digest(expected.encode(), headers.get("webhook-signature", "").encode())


def with_command_line(stack: str, folder: Path) -> Update:
    """Return what gives the consumer its new password: here a file that only its owner can read, replaced whole."""

    def update(vault: str, name: str) -> None:
        fresh = folder / f".{name}.new"
        fresh.unlink(missing_ok=True)
        command = ["kvstack", "-C", stack, "secret", "download", f"{vault}/{name}", "--file", str(fresh)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        fresh.replace(folder / name)

    return update


def main(port_file: str) -> None:
    """Serve the function on a free port of this machine, which is written into a file."""
    key, seen, update = os.environ["HOOK_KEY"].encode(), set[str](), with_command_line(os.environ["STACK"], Path())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = handle(self.command, headers, body, key=key, seen=seen, update=update)
            self.send_response(status)
            for name, value in {**more, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_POST = do_OPTIONS = answer  # noqa: N815  # the base class's own names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's own name
            """Say nothing: the vault lists what was delivered."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Path(port_file).write_text(str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--port-file") + 1])
