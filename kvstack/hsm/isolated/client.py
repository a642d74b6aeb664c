"""A module in another process, as if it were in this one: the calls of `Cryptoki`, each over one of a few sockets."""

import os
from collections.abc import Collection
from typing import Any, Final

import msgspec

from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Mechanism, Template, TokenInfo
from kvstack.hsm.isolated.process import ModuleProcess
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
        self._process: ModuleProcess | None = None

    # The process

    def initialise(self, parameters: str = "") -> None:
        """Start the process where there is none, and the module in it."""
        if self._process is not None and self._process.usable:
            self._ask("initialise", parameters)
            return
        self._stop()
        self._process = ModuleProcess(self._path, self._names)
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
        return self._process.number if self._process is not None and self._process.owner == os.getpid() else 0

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _running(self) -> ModuleProcess:
        process = self._process
        if process is None or process.owner != os.getpid():
            raise CryptokiError("C_Initialize", CKR_CRYPTOKI_NOT_INITIALIZED)
        return process

    # One call

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the module gives. Raises CryptokiError."""
        process = self._running()
        try:
            connection = process.borrow()
        except Lost:
            raise CryptokiError(f"C_{method}", CKR_DEVICE_REMOVED) from None
        try:
            send(connection, Request(method, arguments))
            answer = received_answer(connection)
        except Lost:
            process.give_up(connection)
            raise CryptokiError(f"C_{method}", CKR_DEVICE_REMOVED) from None
        except BaseException:
            # An answer may still come over it: this process no longer knows what the other one does.
            process.give_up(connection)
            raise
        process.give_back(connection)
        if answer.outcome == RETURNED:
            return answer.value
        if answer.outcome == REFUSED:
            raise CryptokiError(*answer.value)
        raise HsmUnavailable(
            f"the HSM module {self._path} cannot be loaded in a process of its own: {answer.value}",
            "See that it is a PKCS#11 module for this machine.",
        )

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
        process = self._running()
        try:
            connection = process.borrow()
        except Lost:
            raise CryptokiError("C_GenerateRandom", CKR_DEVICE_REMOVED) from None
        try:
            send(connection, Request("random", (session, len(buffer))))
            drawn = received_bytes(connection, buffer)
        except BaseException as error:
            process.give_up(connection)
            if isinstance(error, Lost):
                raise CryptokiError("C_GenerateRandom", CKR_DEVICE_REMOVED) from None
            raise
        process.give_back(connection)
        if not drawn:
            raise CryptokiError("C_GenerateRandom", CKR_FUNCTION_FAILED)
