"""Sessions of one token, lent to one thread at a time."""

import threading

from kvstack.hsm.cryptoki import Cryptoki, CryptokiError
from kvstack.hsm.return_values import CKR_SESSION_CLOSED


class SessionPool:
    """Open sessions that wait to be used again. There are never more than threads that work at once."""

    def __init__(self, cryptoki: Cryptoki, slot: int) -> None:
        self._cryptoki = cryptoki
        self._slot = slot
        self._free: list[int] = []
        self._lent = 0
        self._retired = False
        self._returned = threading.Condition()

    def borrow(self) -> int:
        """Return a session nobody else uses. Raises CryptokiError where none can be opened, or the pool is retired."""
        with self._returned:
            if self._retired:
                raise CryptokiError("C_OpenSession", CKR_SESSION_CLOSED)
            self._lent += 1
            if self._free:
                return self._free.pop()
        try:
            return self._cryptoki.open_session(self._slot)
        except BaseException:
            self._leave(None)
            raise

    def adopt(self, session: int) -> None:
        """Take an open session into the pool."""
        with self._returned:
            self._free.append(session)

    def give_back(self, session: int, *, broken: bool = False) -> None:
        """Take a session back. broken: an operation in it may still be active, so it is closed."""
        if broken:
            self._close_session(session)
        self._leave(None if broken else session)

    def retire(self, patience: float = 30.0) -> bool:
        """Lend no more, and wait (seconds) until all sessions are back. Returns whether they are."""
        with self._returned:
            self._retired = True
            return self._returned.wait_for(lambda: not self._lent, patience)

    def close(self) -> None:
        """Close the sessions that are back."""
        with self._returned:
            self._retired = True
            free, self._free = self._free, []
        for session in free:
            self._close_session(session)

    def _leave(self, session: int | None) -> None:
        with self._returned:
            self._lent -= 1
            if session is not None:
                self._free.append(session)
            if self._retired and not self._lent:
                self._returned.notify_all()

    def _close_session(self, session: int) -> None:
        try:
            self._cryptoki.close_session(session)
        except CryptokiError:
            return  # A session that cannot be closed is one the module has already forgotten.
