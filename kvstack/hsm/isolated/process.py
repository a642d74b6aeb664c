"""The process a module runs in, as its parent has it: started, spoken to over a few sockets, found gone, ended."""

import os
import socket
import sys
import threading
import weakref
from collections.abc import Collection
from typing import Final

from kvstack.hsm.isolated.wire import Lost

SOCKETS: Final = 8  # calls at once; more threads wait for one another


class ModuleProcess:
    """One process, from its start to its end. A call that finds it gone says nothing about the one started after it.

    environment: names of the variables of this process that it gets.
    """

    def __init__(self, path: str, environment: Collection[str]) -> None:
        import subprocess

        self._free: list[socket.socket] = []
        self._all: tuple[socket.socket, ...] = ()
        self._lost = False
        self._returned = threading.Condition()
        self.owner = os.getpid()  # a fork must not speak over its parent's sockets
        pairs = [socket.socketpair() for _ in range(SOCKETS)]
        self._all = tuple(pair[0] for pair in pairs)
        self._free = list(self._all)
        _started.add(self)
        theirs = [pair[1].fileno() for pair in pairs]
        given = {name: os.environ[name] for name in environment if name in os.environ}
        given["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self._child = subprocess.Popen(  # our own interpreter, our own module
                [sys.executable, "-P", "-m", "kvstack.hsm.isolated", path, str(self.owner), *map(str, theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=given,
            )
        except BaseException:
            for one in self._all:
                one.close()
            raise
        finally:
            for pair in pairs:
                pair[1].close()
        self.number = self._child.pid

    @property
    def usable(self) -> bool:
        """Whether it is this process's own, and nobody found it gone."""
        return not self._lost and self.owner == os.getpid()

    def borrow(self) -> socket.socket:
        """Return a socket nobody else speaks over. Raises Lost."""
        with self._returned:
            while not self._lost:
                if self._free:
                    return self._free.pop()
                self._returned.wait()
            raise Lost

    def give_back(self, connection: socket.socket) -> None:
        """Take a socket back after the answer."""
        with self._returned:
            if self._lost:
                connection.close()
            else:
                self._free.append(connection)
                self._returned.notify()

    def give_up(self, connection: socket.socket) -> None:
        """Take a socket back over which no answer came: nobody speaks to the process any more."""
        with self._returned:
            connection.close()
            self._lost = True
            self._returned.notify_all()

    def end(self) -> None:
        """Let it end, and see that it did; calls under way fail. Of a parent's process nothing happens."""
        import subprocess

        if self.owner != os.getpid():
            return
        with self._returned:
            self._lost = True
            for connection in self._all:
                try:
                    # Closing is not enough: a process forked from this one may have the socket, too.
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # given up before, or the other end is gone
            free, self._free = self._free, []
            self._returned.notify_all()
        for connection in free:
            connection.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:  # a call hangs in the module
            self._child.kill()
            self._child.wait()

    def close_copies(self) -> None:
        """Close what a forked process got of its parent's sockets. No lock is taken: nobody is left to give it back."""
        for connection in self._all:
            connection.close()


_started: "weakref.WeakSet[ModuleProcess]" = weakref.WeakSet()


def _after_fork() -> None:
    # A fork that lives on would keep the module's process alive after its parent.
    for process in list(_started):
        process.close_copies()
    _started.clear()


os.register_at_fork(after_in_child=_after_fork)
