"""The process a module runs in: answers its parent's calls, one thread a socket, and ends when the parent does."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from kvstack.hsm.cryptoki import Cryptoki, CryptokiError
from kvstack.hsm.isolated.wire import (
    FAILED,
    REFUSED,
    RETURNED,
    Answer,
    Lost,
    received_request,
    send,
    unpacked_mechanism,
    unpacked_template,
)

_PR_SET_DUMPABLE: Final = 4


def main(arguments: Sequence[str]) -> int:
    """Serve a module until every socket is closed, or the parent has ended. arguments: the module's path, the parent's
    process id, and the descriptors of the sockets."""
    _harden()
    path, parent, *descriptors = arguments
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    sockets = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    try:
        module = Cryptoki(path)
    except (OSError, CryptokiError) as error:
        # The first call, which comes over the last socket, is answered with the reason.
        _refuse(sockets[-1], str(error))
        return 1
    threads = [threading.Thread(target=_serve, args=(module, one), daemon=True) for one in sockets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Without finalising: the parent has done that, or is gone, and a call that hangs must not keep this process.
    os._exit(0)


def _harden() -> None:
    """Keep the memory of this process from others of the same user, and from core files; leave Ctrl-C to the parent."""
    import ctypes
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _end_with(parent: int) -> None:
    """End as soon as the parent has, however it ended: what it forked may still hold its ends of the sockets."""
    if sys.platform == "linux":
        import select

        try:
            descriptor = os.pidfd_open(parent)
        except OSError:
            descriptor = -1  # it is gone, or the kernel is older than Linux 5.3: the sockets have to tell
        if os.getppid() != parent:
            os._exit(0)
        if descriptor >= 0:
            watch = select.poll()
            watch.register(descriptor, select.POLLIN)
            watch.poll()
            os._exit(0)


def _refuse(connection: socket.socket, words: str) -> None:
    try:
        received_request(connection)
        send(connection, Answer(FAILED, words))
    except Lost:
        return


def _serve(module: Cryptoki, connection: socket.socket) -> None:
    # Whatever ends this thread, the parent must not wait for an answer for ever.
    with connection:
        while True:
            try:
                request = received_request(connection)
                send(connection, _answer(module, request.method, request.arguments))
            except Lost:
                return


def _answer(module: Cryptoki, method: str, arguments: tuple[Any, ...]) -> Answer:
    call = _CALLS.get(method)
    if call is None:
        return Answer(FAILED, f"there is no call {method}")
    try:
        return Answer(RETURNED, call(module, *arguments))
    except CryptokiError as error:
        return Answer(REFUSED, (error.function, error.code))
    except Exception as error:  # noqa: BLE001  # the parent is told its kind; its words may hold what was worked on
        return Answer(FAILED, type(error).__name__)


def _generate_key(module: Cryptoki, session: int, method: Any, template: Any) -> int:
    return module.generate_key(session, unpacked_mechanism(method), unpacked_template(template))


def _generate_pair(module: Cryptoki, session: int, method: Any, public: Any, private: Any) -> tuple[int, int]:
    return module.generate_pair(
        session, unpacked_mechanism(method), unpacked_template(public), unpacked_template(private)
    )


def _unwrap(module: Cryptoki, session: int, method: Any, unwrapping: int, wrapped: bytes, template: Any) -> int:
    return module.unwrap(session, unpacked_mechanism(method), unwrapping, wrapped, unpacked_template(template))


def _with_template(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call whose last argument is a template."""
    return lambda module, *arguments: method(module, *arguments[:-1], unpacked_template(arguments[-1]))


def _with_mechanism(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call whose second argument is a mechanism."""
    return lambda module, session, recipe, *rest: method(module, session, unpacked_mechanism(recipe), *rest)


_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "initialise": Cryptoki.initialise,
    "finalise": Cryptoki.finalise,
    "tokens": Cryptoki.tokens,
    "token": Cryptoki.token,
    "mechanisms": lambda module, slot: list(module.mechanisms(slot)),
    "initialise_token": Cryptoki.initialise_token,
    "initialise_pin": Cryptoki.initialise_pin,
    "open_session": Cryptoki.open_session,
    "close_session": Cryptoki.close_session,
    "login": lambda module, session, pin, officer: module.login(session, pin, security_officer=officer),
    "logout": Cryptoki.logout,
    "find": _with_template(Cryptoki.find),
    "attribute": Cryptoki.attribute,
    "create": _with_template(Cryptoki.create),
    "copy": _with_template(Cryptoki.copy),
    "change": _with_template(Cryptoki.change),
    "destroy": Cryptoki.destroy,
    "generate_key": _generate_key,
    "generate_pair": _generate_pair,
    "wrap": _with_mechanism(Cryptoki.wrap),
    "unwrap": _unwrap,
    "sign": _with_mechanism(Cryptoki.sign),
    "encrypt": _with_mechanism(Cryptoki.encrypt),
    "decrypt": _with_mechanism(Cryptoki.decrypt),
    "random": Cryptoki.random,
}
