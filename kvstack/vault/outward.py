"""One place on the network that the vault speaks HTTP to: looked at first, in bounds, over one connection.

Whoever may name such a place must not reach by it what only the vault's machine can: where its name leads is looked at
(`public_address.py`), nothing is followed anywhere else, and neither time nor memory is the receiver's to take.
"""

import http.client
import selectors
import socket
import ssl
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

from kvstack.vault.public_address import NotPublic, Place, Resolver, checked_addresses, system_resolver

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_TOTAL_SECONDS = 20.0
SECONDS = (_CONNECT_SECONDS, _READ_SECONDS, _TOTAL_SECONDS)
MOST_BYTES = 65_536


class Reach(Protocol):
    """What the operator allows to be reached."""

    @property
    def ca_file(self) -> str:
        """More authorities to trust, PEM, empty for none."""
        ...

    def allows(self, host: str, port: int) -> bool:
        """Tell whether a host may be one that is not on the public internet."""
        ...

    def allows_http(self, host: str, port: int) -> bool:
        """Tell whether a host may be spoken to without TLS."""
        ...


class Outward:
    """One place. url: its address; seconds: to connect, between two pieces, and for a request as a whole; most: bytes
    of an answer; resolver: says what its name means."""

    def __init__(
        self,
        url: str,
        reach: Reach,
        *,
        seconds: tuple[float, float, float] = SECONDS,
        most: int = MOST_BYTES,
        resolver: Resolver = system_resolver,
    ) -> None:
        self._place = urlsplit(url)
        self._port = self._place.port or (443 if self._place.scheme == "https" else 80)
        self._reach = reach
        self._resolver = resolver
        self._most = most
        self._connect_seconds, self._read_seconds, total = seconds
        self._connection: http.client.HTTPConnection | None = None
        self._watch = _Watch(total)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        self._watch.stop()

    def ask(self, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask once. Returns status, headers in lower case, and the beginning of the body, up to a byte more than there
        may be. Raises OSError, HTTPException; `why` says them in words."""
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
        if not secure and not self._reach.allows_http(host, self._port):
            raise NotPublic(f"{host} may not be spoken to without TLS")
        allowed = self._reach.allows(host, self._port)
        stream = self._opened(checked_addresses(host, self._port, allowed=allowed, resolver=self._resolver))
        self._watch.over_this(stream)
        try:
            if secure:
                trusting = _trusting(self._reach.ca_file)
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


def why(error: OSError | http.client.HTTPException) -> str:
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
