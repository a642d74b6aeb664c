"""A small real mail server on a real socket: it takes mail, with STARTTLS and a password where a test wants them."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec


class Mailed(msgspec.Struct, frozen=True):
    """One mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    content: str
    secure: bool
    user: str


class MailServer:
    """refuses: recipients it does not take; fails: how many mails it still answers 451 to; password: of `user`."""

    def __init__(self, certificate: tuple[Path, Path] | None, password: str) -> None:  # noqa: C901  # a verb a case
        self.got: list[Mailed] = []
        self.refuses: set[str] = set()
        self.fails = 0
        self.certificate = certificate
        self.password = password
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def finish(self) -> None:
                super().finish()
                self.connection.close()  # of TLS there is a socket of its own

            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self) -> None:
                sender, recipients, secure, user = "", list[str](), False, ""
                self.say("220 test")
                while line := self.rfile.readline().decode().strip():
                    verb = line.upper()
                    if verb.startswith("EHLO"):
                        self.say("250-test")
                        if server.certificate is not None and not secure:
                            self.say("250-STARTTLS")
                        self.say("250 AUTH PLAIN")
                    elif verb == "STARTTLS" and server.certificate is not None:
                        self.say("220 go")
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(*map(str, server.certificate))
                        self.connection = context.wrap_socket(self.connection, server_side=True)
                        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                        secure = True
                    elif verb.startswith("AUTH PLAIN"):
                        _, name, given = base64.b64decode(line.split()[2]).decode().split("\0")
                        user = name if given == server.password else ""
                        self.say("235 yes" if user else "535 no")
                    elif verb.startswith("MAIL FROM:"):
                        sender, recipients = _address(line), []
                        self.say("250 ok")
                    elif verb.startswith("RCPT TO:"):
                        refused = _address(line) in server.refuses
                        if not refused:
                            recipients.append(_address(line))
                        self.say("550 no" if refused else "250 ok")
                    elif verb == "DATA":
                        self.data(Mailed(sender, tuple(recipients), "", secure, user))
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

            def data(self, mailed: Mailed) -> None:
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(line)
                if server.fails:
                    server.fails -= 1
                    self.say("451 later")
                    return
                server.got.append(msgspec.structs.replace(mailed, content="".join(lines)))
                self.say("250 taken")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@contextmanager
def mail_server(certificate: tuple[Path, Path] | None = None, password: str = "") -> Iterator[MailServer]:
    """Run a mail server in the block."""
    running = MailServer(certificate, password)
    threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield running
    finally:
        running.server.shutdown()
        running.server.server_close()
