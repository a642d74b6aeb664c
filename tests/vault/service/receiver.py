"""A real webhook on a real socket, that does what a test tells it to."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec


class Posted(msgspec.Struct, frozen=True):
    """What came in. headers: in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Told(msgspec.Struct, frozen=True):
    """What to answer. hangs: seconds before anything is said; drips: of the body, a byte at a time; raw: instead of
    HTTP; again: what to answer a moment after that, too, though nothing was asked."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    hangs: float = 0.0
    drips: float = 0.0
    raw: bytes = b""
    again: bytes = b""


OK = Told()


class Receiver:
    """A webhook. answer: called with each post; handshake: of OPTIONS, None to allow nothing; place: where it is."""

    def __init__(
        self,
        *,
        answer: Callable[[Posted], Told],
        allowed: str | None,
        certificate: tuple[Path, Path] | None,
        place: tuple[str, int] = ("127.0.0.1", 0),
    ):
        self.answer = answer
        self.allowed = allowed
        self.asked: list[Posted] = []
        self.got: list[Posted] = []
        self.connections = 0
        self.said_again = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

            def posted(self) -> Posted:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                return Posted(self.command, self.path, headers, body)

            def do_OPTIONS(self) -> None:
                receiver.asked.append(self.posted())
                headers = {} if receiver.allowed is None else {"WebHook-Allowed-Origin": receiver.allowed}
                self.tell(Told(headers=headers))

            def do_POST(self) -> None:
                posted = self.posted()
                answer = receiver.answer(posted)
                receiver.got.append(posted)
                self.tell(answer)

            def tell(self, told: Told) -> None:
                time.sleep(told.hangs)
                if told.raw:
                    self.wfile.write(told.raw)
                    self.close_connection = True
                    return
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(told.body)))
                self.end_headers()
                if not told.drips:
                    self.wfile.write(told.body)
                    if told.again:
                        time.sleep(0.05)
                        self.wfile.write(told.again)
                        receiver.said_again.set()
                    return
                for byte in told.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(told.drips)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(place, Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port: int = self.server.server_address[1]
        self.secure = certificate is not None

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def subjects(self) -> list[str]:
        return [posted.event["subject"] for posted in self.got]


@contextmanager
def receiving(
    answer: Callable[[Posted], Told] = lambda _: OK,
    *,
    allowed: str | None = "*",
    certificate: tuple[Path, Path] | None = None,
    place: tuple[str, int] = ("127.0.0.1", 0),
) -> Iterator[Receiver]:
    """Run a receiver in the block."""
    receiver = Receiver(answer=answer, allowed=allowed, certificate=certificate, place=place)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


def in_turn(*answers: Told, then: Told = OK) -> Callable[[Posted], Told]:
    """Return what answers so, one after the other, and then always the same."""
    left = list(answers)
    return lambda _: left.pop(0) if left else then


def certified(folder: Path, name: str = "") -> tuple[Path, Path, Path]:
    """Return an authority's certificate, and a certificate and key for a name, or 127.0.0.1, it has signed: files."""
    import ipaddress
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)

    def made(subject: str, key: Any, issuer: Any, signer: Any, extensions: list[Any]) -> x509.Certificate:
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = x509.CertificateBuilder(
            issuer if issuer is not None else named,
            named,
            key.public_key(),
            x509.random_serial_number(),
            now - timedelta(days=1),
            now + timedelta(days=30),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = made(
        "root",
        root_key,
        None,
        root_key,
        [x509.BasicConstraints(True, None), x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())],
    )
    whom = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    alternative = x509.SubjectAlternativeName([whom])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = made("hook", key, root.subject, root_key, [alternative, identifier])
    files = folder / "ca.pem", folder / "hook.pem", folder / "hook.key"
    pem = serialization.Encoding.PEM
    files[0].write_bytes(root.public_bytes(pem))
    files[1].write_bytes(leaf.public_bytes(pem))
    files[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files
