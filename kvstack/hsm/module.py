"""A PKCS#11 token in use: connects once, again after a fork, and once more after the token was lost."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from kvstack.hsm.configuration import HsmConfiguration, pin
from kvstack.hsm.connection import Connection, connected
from kvstack.hsm.constants import mechanism_name
from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.failures import refused, unsupported
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.return_values import LOST

T = TypeVar("T")


class Pkcs11Module:
    """What providers and the key-encryption key share. Safe for threads; a forked child connects anew."""

    def __init__(self, configuration: HsmConfiguration, connection: Connection, environ: Mapping[str, str]) -> None:
        self.configuration = configuration
        self._environ = environ
        self._connection: Connection | None = connection
        self._process = os.getpid()
        self._guard = threading.Lock()

    @classmethod
    def open(cls, configuration: HsmConfiguration, environ: Mapping[str, str] = os.environ) -> "Pkcs11Module":
        """Load, log in, find the key-encryption key. environ: where the PIN may be. Raises HsmUnavailable."""
        return cls(configuration, connected(configuration, pin(configuration.pin_source, environ)), environ)

    def run(self, operation: Callable[[Connection], T], *, mechanism: int | None = None) -> T:
        """Return what an operation gives, tried again once on a new connection where the token was lost meanwhile.

        mechanism: what it needs. Raises MechanismUnsupported, HsmUnavailable.
        """
        connection = self._current()
        try:
            return self._tried(connection, operation, mechanism)
        except CryptokiError as error:
            if error.code not in LOST:
                raise self._refused(error, mechanism) from None
        connection = self._again(connection)
        try:
            return self._tried(connection, operation, mechanism)
        except CryptokiError as error:
            raise self._refused(error, mechanism) from None

    def mechanisms(self) -> frozenset[str]:
        """Return what the module can do, by name; by number where kvstack has no use for it."""
        return frozenset(map(mechanism_name, self.run(lambda connection: connection.mechanisms)))

    def reconfigure(self, configuration: HsmConfiguration) -> None:
        """Go by another configuration of the same token from here on: what is in it was changed."""
        with self._guard:
            connection, self._connection = self._connection, None
            if connection is not None and (connection.process != os.getpid() or connection.retire()):
                connection.close()
            self.configuration = configuration
            self._connection = connected(configuration, pin(configuration.pin_source, self._environ))

    def close(self) -> None:
        """Wait for operations under way, close the sessions, and shut the library down where nobody else uses it."""
        self._after_fork()
        with self._guard:
            connection, self._connection = self._connection, None
            # Shutting a module down under a call that hangs would crash the process: it is left open instead.
            if connection is not None and (connection.process != os.getpid() or connection.retire()):
                connection.close()

    def _tried(self, connection: Connection, operation: Callable[[Connection], T], mechanism: int | None) -> T:
        if mechanism is not None and mechanism not in connection.mechanisms:
            raise unsupported(mechanism_name(mechanism), self.configuration.module, "it is not among its mechanisms")
        return operation(connection)

    def _refused(self, error: CryptokiError, mechanism: int | None) -> Exception:
        name = "" if mechanism is None else mechanism_name(mechanism)
        return refused(error, self.configuration.module, self.configuration.token_label, name)

    def _current(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise HsmUnavailable(f"the HSM token `{self.configuration.token_label}` was closed", "Open it again.")
        return connection if connection.current else self._again(connection)

    def _again(self, lost: Connection) -> Connection:
        """Return a new connection in place of a lost one, or the one another thread has made meanwhile."""
        self._after_fork()
        with self._guard:
            connection = self._connection
            if connection is None or (connection is not lost and connection.current):
                return connection or self._current()
            # Until nobody works with the lost one: after a new start of the library the same numbers are other keys.
            if connection.process == os.getpid() and not connection.retire():
                raise HsmUnavailable(
                    f"the HSM token `{self.configuration.token_label}` was lost while calls hang in its module",
                    "Stop this process and start it again.",
                )
            # Where nobody else in this process uses the library, this shuts it down: it then looks at its tokens anew.
            connection.close()
            self._connection = connected(self.configuration, pin(self.configuration.pin_source, self._environ))
            return self._connection

    def _after_fork(self) -> None:
        # The parent's threads do not exist here, and one of them may have held the lock.
        if self._process != os.getpid():
            self._process, self._guard = os.getpid(), threading.Lock()
