"""One webhook: asked whether it wants events, then posted them, each signed, over one connection.

Signed as Standard Webhooks has it (webhook-id, webhook-timestamp, webhook-signature); the handshake is that of the
CloudEvents HTTP WebHook specification, or Event Grid's validation event.
"""

import http.client
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from urllib.parse import urlsplit

import msgspec

from kvstack.terms.signature import signature_headers
from kvstack.vault.delivery_policy import TAKEN, Answer, asked_to_wait
from kvstack.vault.event_configuration import EventConfiguration
from kvstack.vault.public_address import NotPublic, Place, Resolver, checked_addresses, system_resolver

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_TOTAL_SECONDS = 20.0
_MOST_BYTES = 65_536
_EVENT_TYPE = "application/cloudevents+json; charset=utf-8"


class Webhook:
    """A receiver, with the connection to it. key: what signs, None for nothing; random: draws random bytes; resolver:
    says what its name means; most: bytes of an answer that are read."""

    def __init__(
        self,
        url: str,
        configuration: EventConfiguration,
        key: bytes | None,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        seconds: tuple[float, float, float] = (_CONNECT_SECONDS, _READ_SECONDS, _TOTAL_SECONDS),
        resolver: Resolver = system_resolver,
        most: int = _MOST_BYTES,
    ) -> None:
        self._place = urlsplit(url)
        self._port = self._place.port or (443 if self._place.scheme == "https" else 80)
        self._configuration = configuration
        self._key = key
        self._now = now
        self._random = random
        self._resolver = resolver
        self._connect_seconds, self._read_seconds, total = seconds
        self._most = most
        self._connection: http.client.HTTPConnection | None = None
        self._watch = _Watch(total)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._watch.stop()

    def post(self, identifier: str, event: bytes) -> Answer:
        """Post one event."""
        status, failure, _, wait = self.exchange(identifier, event, _EVENT_TYPE)
        if not failure:
            return TAKEN
        if status == 410:  # HTTP's own word: the receiver is gone for good
            return Answer("gone", "answered 410: it wants no events any more")
        return Answer("later", failure, wait)

    def exchange(self, identifier: str, body: bytes, kind: str) -> tuple[int, str, bytes, float | None]:
        """Post something. kind: its media type. Returns the status, 0 where there was no answer; why it was not taken,
        empty where it was; the beginning of what was answered; and the seconds it asks to be left alone for."""
        headers = {"Content-Type": kind, **self._signed(identifier, body)}
        try:
            status, answered, content = self._ask("POST", headers, body)
        except (OSError, http.client.HTTPException) as error:
            return 0, _why(error), b"", None
        if 200 <= status < 300:
            return status, "", content, None
        wait = asked_to_wait(answered.get("retry-after", ""), self._now()) if status in (429, 503) else None
        redirect = ", and redirects are not followed" if 300 <= status < 400 else ""
        return status, f"answered {status}{redirect}", content, wait

    def validated(self) -> Answer:
        """Ask whether it wants events of ours: nobody is to be flooded who did not say so."""
        origin = self._configuration.origin
        try:
            status, answered, _ = self._ask("OPTIONS", {"WebHook-Request-Origin": origin}, b"")
            allowed = answered.get("webhook-allowed-origin", "").strip().lower()
            if 200 <= status < 300 and allowed in ("*", origin.lower()):
                return TAKEN
            return self._validated_by_code()
        except (OSError, http.client.HTTPException) as error:
            return Answer("later", _why(error))

    def _validated_by_code(self) -> Answer:
        code, identifier = self._random(16).hex(), self._random(16).hex()
        event = {
            "id": identifier,
            "topic": "",
            "subject": "",
            "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": self._now().isoformat(),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        body = msgspec.json.encode([event])
        headers = {
            "Content-Type": "application/json",
            "aeg-event-type": "SubscriptionValidation",
            **self._signed(identifier, body),
        }
        status, answered, content = self._ask("POST", headers, body)
        if 200 <= status < 300 and _says(content, code):
            return TAKEN
        wait = asked_to_wait(answered.get("retry-after", ""), self._now()) if status in (429, 503) else None
        return Answer("later", f"did not say that it wants events (answered {status})", wait)

    def _signed(self, identifier: str, body: bytes) -> dict[str, str]:
        if self._key is None:
            return {}
        return signature_headers(self._key, identifier, self._now(), body)

    def _ask(self, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask once. Returns status, headers in lower case, and the beginning of the body."""
        path = (self._place.path or "/") + (f"?{self._place.query}" if self._place.query else "")
        reused = self._connection is not None
        while True:
            self._watch.begin()
            try:
                connection = self._connected()
                connection.request(method, path, body, {**headers, "User-Agent": "kvstack"})
                response = connection.getresponse()
                content, whole = _beginning(response, self._most)
                if self._watch.over:
                    raise TimeoutError
                if not whole or response.will_close:
                    self._drop()
                response.close()
                return response.status, {name.lower(): value for name, value in response.getheaders()}, content
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._drop()
                if self._watch.over:
                    raise TimeoutError from None
                # A connection that was kept open may have been closed meanwhile: that is no failure of the receiver's.
                if not reused:
                    raise
                reused = False
            except (OSError, http.client.HTTPException):
                self._drop()
                if self._watch.over:
                    raise TimeoutError from None
                raise
            except ValueError:  # the standard library's, of sizes that are none, and of names no resolver takes
                self._drop()
                raise http.client.HTTPException from None
            finally:
                self._watch.end()

    def _connected(self) -> http.client.HTTPConnection:
        # What nobody asked for stands there for the next answer: whoever answers twice would have taken the next event.
        if self._connection is not None and _has_said(self._connection.sock):
            self._drop()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        host = self._place.hostname or ""
        secure = self._place.scheme == "https"
        if not secure and not self._configuration.allows_http(host, self._port):
            raise NotPublic(f"{host} may not be spoken to without TLS")
        allowed = self._configuration.allows(host, self._port)
        stream = self._opened(checked_addresses(host, self._port, allowed=allowed, resolver=self._resolver))
        self._watch.over_this(stream)
        try:
            if secure:
                trusting = _trusting(self._configuration.ca_file)
                # The handshake is done once it is watched over.
                secured = trusting.wrap_socket(stream, server_hostname=host, do_handshake_on_connect=False)
                stream = secured
                self._watch.over_this(stream)
                secured.do_handshake()
            stream.settimeout(self._read_seconds)
        except BaseException:
            stream.close()
            raise
        connection = http.client.HTTPConnection(host, self._port)
        if secure:
            connection.default_port = 443  # the Host header names no port that goes without saying
        connection.sock = stream
        connection.auto_open = 0  # what it would open by itself nobody has looked at
        return connection

    def _opened(self, addresses: list[Place]) -> socket.socket:
        last: OSError = OSError("its name means nothing")
        for family, address in addresses:
            stream = socket.socket(family, socket.SOCK_STREAM)
            stream.settimeout(self._connect_seconds)
            try:
                stream.connect((address, self._port))
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                stream.close()
                last = error
                continue
            return stream
        raise last

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Watch:
    """Ends a try that takes too long as a whole, however busily the receiver sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stream: socket.socket | None = None
        self._until: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.over = False

    def begin(self) -> None:
        """Begin to watch."""
        self.over = False
        self._until = monotonic() + self._seconds
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def over_this(self, stream: socket.socket) -> None:
        """Watch over this connection."""
        self._stream = stream

    def end(self) -> None:
        """The try has ended."""
        self._until = None

    def stop(self) -> None:
        """There are no more tries."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(0.2, self._seconds / 4)):
            until, stream = self._until, self._stream
            if until is not None and stream is not None and monotonic() > until:
                self.over, self._until = True, None
                # Whoever reads from it is woken by its end.
                try:
                    socket.socket.shutdown(stream, socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended by itself


def _beginning(response: http.client.HTTPResponse, most: int) -> tuple[bytes, bool]:
    """Return the beginning of a body, and whether it is the whole of it. Piece by piece: what the receiver says of
    sizes is never what memory is taken for."""
    content = b""
    while len(content) <= most:
        piece = response.read1(most + 1 - len(content))
        if not piece:
            return content, not response.length
        content += piece
    return content, False


def _has_said(stream: socket.socket) -> bool:
    """Tell whether there is something to be read, be it the end: nothing is, while nothing is asked."""
    if isinstance(stream, ssl.SSLSocket) and stream.pending():
        return True
    with selectors.DefaultSelector() as waiting:
        waiting.register(stream, selectors.EVENT_READ)
        return bool(waiting.select(0))


def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _says(content: bytes, code: str) -> bool:
    """Tell whether a body answers Event Grid's validation."""
    from hmac import compare_digest

    try:
        answered = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        said = msgspec.json.decode(answered["validationResponse"], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return False
    return compare_digest(said.encode(), code.encode())


def _why(error: OSError | http.client.HTTPException) -> str:
    """Return what went wrong, in words of ours: what the receiver sent is not repeated."""
    match error:
        case NotPublic():
            return f"may not be reached: {error}"
        case ssl.SSLCertVerificationError():
            return f"has no certificate to be trusted: {error.verify_message}"
        case ssl.SSLError():
            return "does not speak TLS as it should"
        case TimeoutError():
            return "does not answer in time"
        case socket.gaierror():
            return "has a name that means nothing"
        case http.client.RemoteDisconnected():
            return "closed the connection without an answer"
        case http.client.HTTPException():
            return "does not speak HTTP as it should"
        case _:
            return f"cannot be reached: {error.strerror or type(error).__name__}"
