"""The receiver of the demo: a webhook on a free port of this machine, that writes a line for each event the vault sent.

    HOOK_KEY=... python3 demo_webhook.py PORT-FILE EVENTS-FILE

Standard library only. Who really sent an event its signature says, checked as examples/consumer does it; what the
vault did not sign is refused.
"""

import json
import os
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "consumer"))
from function import genuine


def line(event: dict[str, object], data: dict[str, object]) -> str:
    """Return an event as people read it."""
    expires = data.get("EXP")
    ends = f", expires {datetime.fromtimestamp(expires, UTC):%Y-%m-%d}" if isinstance(expires, int) else ""
    thing = f"{data['VaultName']}/{data['ObjectName']}"
    return f"{str(event['time'])[:16]} {event['type']}: {thing}{ends} (signed by the vault)\n"


def main(port_file: Path, events: Path) -> None:
    """Serve until somebody ends it, or who started it is gone, however that came."""
    parent, key = os.getppid(), os.environ["HOOK_KEY"].encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_OPTIONS(self) -> None:
            self.answer(200, {"WebHook-Allowed-Origin": self.headers.get("webhook-request-origin", "")})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            # The vault's clock is simulated, and this one's with it: else an event of next year would be refused.
            stamp = headers.get("webhook-timestamp", "")
            if not stamp.isdigit() or not genuine(headers, body, key, float(stamp)):
                return self.answer(401, {})
            event = json.loads(body)
            with events.open("a") as file:
                file.write(line(event, event["data"]))
            return self.answer(204, {})

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's own name
            """Say nothing: the events are in the file."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    ready = port_file.with_suffix(".new")
    ready.write_text(str(server.server_address[1]))
    ready.rename(port_file)
    server.timeout = 1
    while os.getppid() == parent:
        server.handle_request()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
