"""A module in another process, as if it were in this one: the calls of `Cryptoki`, each over one of a few sockets."""

import os
import socket
import sys
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, Template, TokenInfo
from kvstack.hsm.isolated.wire import (
    REFUSED,
    RETURNED,
    Lost,
    Request,
    packed_mechanism,
    received_answer,
    received_bytes,
    send,
)
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.return_values import CKR_CRYPTOKI_NOT_INITIALIZED, CKR_DEVICE_REMOVED, CKR_FUNCTION_FAILED

if TYPE_CHECKING:
    from subprocess import Popen

SOCKETS: Final = 8  # calls at once; more threads wait for one another

# What a child needs of this process's environment; the PIN may be in it, and stays here.
_ENVIRONMENT: Final = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME"),
    *("SOFTHSM2_CONF", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME"),
)


class IsolatedCryptoki(Cryptoki):
    """The same calls. The process is started at `initialise`, and once more where it has gone; its death is told as the
    removal of the device. environment: names of variables the module needs."""

    def __init__(self, path: str, environment: Collection[str] = ()) -> None:
        if not os.path.isfile(path):  # noqa: PTH113  # pathlib costs nothing here, and says no more
            raise OSError(f"{path} is not there")
        self._path = path
        self._names = (*_ENVIRONMENT, *environment)
        self._child: Popen[bytes] | None = None
        self._owner = 0  # the process that started it: a fork must not speak over its parent's sockets
        self._free: list[socket.socket] = []
        self._lost = True
        self._returned = threading.Condition()

    # The process

    def initialise(self, parameters: str = "") -> None:
        """Start the process where there is none, and the module in it."""
        if not self._lost and self._owner == os.getpid():
            self._ask("initialise", parameters)
            return
        self._start()
        try:
            self._ask("initialise", parameters)
        except BaseException:
            self._stop()
            raise

    def finalise(self) -> None:
        """Stop the module, and the process with it. One that is gone already is no error."""
        try:
            self._ask("finalise")
        except CryptokiError as error:
            if error.code not in (CKR_DEVICE_REMOVED, CKR_CRYPTOKI_NOT_INITIALIZED):
                raise
        self._stop()

    @property
    def process(self) -> int:
        """The id of the module's process, 0 where there is none."""
        return self._child.pid if self._child is not None and self._owner == os.getpid() else 0

    def _start(self) -> None:
        import subprocess

        self._stop()
        pairs = [socket.socketpair() for _ in range(SOCKETS)]
        theirs = [pair[1].fileno() for pair in pairs]
        environment = {name: os.environ[name] for name in self._names if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self._child = subprocess.Popen(  # our own interpreter, our own module
                [sys.executable, "-P", "-m", "kvstack.hsm.isolated", self._path, *map(str, theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        finally:
            for pair in pairs:
                pair[1].close()
        with self._returned:
            self._free = [pair[0] for pair in pairs]
            self._owner, self._lost = os.getpid(), False

    def _stop(self) -> None:
        with self._returned:
            self._lost = True
            free, self._free = self._free, []
            self._returned.notify_all()
        for connection in free:
            connection.close()
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            try:
                child.wait(5)
            except Exception:  # noqa: BLE001  # TimeoutExpired: a call hangs in the module
                child.kill()
                child.wait()

    # One call

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the module gives. Raises CryptokiError."""
        connection = self._borrowed()
        try:
            send(connection, Request(method, arguments))
            answer = received_answer(connection)
        except Lost:
            self._give_up(connection)
            raise CryptokiError(f"C_{method}", CKR_DEVICE_REMOVED) from None
        except BaseException:
            # An answer may still come over it: this process no longer knows what the other one does.
            self._give_up(connection)
            raise
        self._give_back(connection)
        if answer.outcome == RETURNED:
            return answer.value
        if answer.outcome == REFUSED:
            raise CryptokiError(*answer.value)
        raise HsmUnavailable(
            f"the HSM module {self._path} cannot be loaded in a process of its own: {answer.value}",
            "See that it is a PKCS#11 module for this machine.",
        )

    def _give_back(self, connection: socket.socket) -> None:
        with self._returned:
            self._free.append(connection)
            self._returned.notify()

    def _give_up(self, connection: socket.socket) -> None:
        connection.close()
        with self._returned:
            self._lost = True
            self._returned.notify_all()

    def _borrowed(self) -> socket.socket:
        if self._owner != os.getpid():
            raise CryptokiError("C_Initialize", CKR_CRYPTOKI_NOT_INITIALIZED)
        with self._returned:
            while not self._free:
                if self._lost:
                    raise CryptokiError("C_Initialize", CKR_DEVICE_REMOVED)
                self._returned.wait()
            return self._free.pop()

    # The module and its tokens

    def tokens(self) -> tuple[TokenInfo, ...]:
        """Return every token that is present, those that wait for initialisation too."""
        return msgspec.convert(self._ask("tokens"), tuple[TokenInfo, ...])

    def token(self, slot: int) -> TokenInfo:
        """Return the token in a slot."""
        return msgspec.convert(self._ask("token", slot), TokenInfo)

    def mechanisms(self, slot: int) -> frozenset[int]:
        """Return the mechanisms a token says it has."""
        return frozenset(self._ask("mechanisms", slot))

    def initialise_token(self, slot: int, so_pin: bytes, label: str) -> None:
        """Make a token, without anything that was there before."""
        self._ask("initialise_token", slot, so_pin, label)

    def initialise_pin(self, session: int, pin: bytes) -> None:
        """Set the user's PIN, in a session of the security officer."""
        self._ask("initialise_pin", session, pin)

    def open_session(self, slot: int) -> int:
        """Open a session that can read and write."""
        return int(self._ask("open_session", slot))

    def close_session(self, session: int) -> None:
        """Close a session; the session objects made in it are gone with it."""
        self._ask("close_session", session)

    def login(self, session: int, pin: bytes, *, security_officer: bool = False) -> None:
        """Log the module's process in to the session's token."""
        self._ask("login", session, pin, security_officer)

    def logout(self, session: int) -> None:
        """Log it out."""
        self._ask("logout", session)

    # Objects

    def find(self, session: int, template: Template) -> tuple[int, ...]:
        """Return the handles of all objects that have these attributes."""
        return tuple(self._ask("find", session, template))

    def attribute(self, session: int, handle: int, attribute: int) -> bytes | None:
        """Return an attribute's value, or None where it may not be read or the object has none."""
        value: bytes | None = self._ask("attribute", session, handle, attribute)
        return value

    def create(self, session: int, template: Template) -> int:
        """Make an object from its attributes. Returns its handle."""
        return int(self._ask("create", session, template))

    def copy(self, session: int, handle: int, template: Template) -> int:
        """Copy an object, with these attributes changed. Returns the copy's handle."""
        return int(self._ask("copy", session, handle, template))

    def change(self, session: int, handle: int, template: Template) -> None:
        """Change an object's attributes, as far as it lets itself be changed."""
        self._ask("change", session, handle, template)

    def destroy(self, session: int, handle: int) -> None:
        """Destroy an object."""
        self._ask("destroy", session, handle)

    # Keys and their use

    def generate_key(self, session: int, method: Mechanism, template: Template) -> int:
        """Generate a secret key. Returns its handle."""
        return int(self._ask("generate_key", session, packed_mechanism(method), template))

    def generate_pair(self, session: int, method: Mechanism, public: Template, private: Template) -> tuple[int, int]:
        """Generate a key pair. Returns the handles of the public and the private key."""
        one, other = self._ask("generate_pair", session, packed_mechanism(method), public, private)
        return one, other

    def wrap(self, session: int, method: Mechanism, wrapping: int, key: int) -> bytes:
        """Return a key encrypted under another one."""
        return bytes(self._ask("wrap", session, packed_mechanism(method), wrapping, key))

    def unwrap(self, session: int, method: Mechanism, unwrapping: int, wrapped: bytes, template: Template) -> int:
        """Decrypt a key within the module. Returns its handle."""
        return int(self._ask("unwrap", session, packed_mechanism(method), unwrapping, wrapped, template))

    def sign(self, session: int, method: Mechanism, key: int, data: bytes, room: int) -> bytes:
        """Sign. room: how long the signature can be."""
        return bytes(self._ask("sign", session, packed_mechanism(method), key, data, room))

    def encrypt(self, session: int, method: Mechanism, key: int, plaintext: bytes) -> bytes:
        """Encrypt in one go; an authenticated mode appends its tag."""
        return bytes(self._ask("encrypt", session, packed_mechanism(method), key, plaintext))

    def decrypt(self, session: int, method: Mechanism, key: int, ciphertext: bytes) -> bytes:
        """Decrypt in one go."""
        return bytes(self._ask("decrypt", session, packed_mechanism(method), key, ciphertext))

    def random(self, session: int, count: int) -> bytes:
        """Draw random bytes."""
        return bytes(self._ask("random", session, count))

    def fill(self, session: int, buffer: bytearray) -> None:
        """Draw random bytes into memory that its owner wipes; what they came in is wiped here."""
        connection = self._borrowed()
        try:
            send(connection, Request("random", (session, len(buffer))))
            drawn = received_bytes(connection, buffer)
        except Lost:
            self._give_up(connection)
            raise CryptokiError("C_GenerateRandom", CKR_DEVICE_REMOVED) from None
        self._give_back(connection)
        if not drawn:
            raise CryptokiError("C_GenerateRandom", CKR_FUNCTION_FAILED)
