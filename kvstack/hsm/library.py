"""One PKCS#11 library a process: loaded once, initialised with locking, shut down when its last user has left."""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kvstack.hsm.cryptoki import Cryptoki, CryptokiError
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.return_values import CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_CRYPTOKI_NOT_INITIALIZED
from kvstack.hsm.softhsm_files import mend, softhsm_configuration


class Library:
    """A library in this process. users: how many connections need it; epoch: how often it was initialised, for handles
    of one epoch may be other things' in the next; inherited: the parent process initialised it, not this one."""

    def __init__(self, cryptoki: Cryptoki, settings: tuple[object, ...]) -> None:
        self.cryptoki = cryptoki
        self.settings = settings
        self.users = 0
        self.epoch = 0
        self.inherited = False


_loaded: dict[tuple[str, bool], Library] = {}  # by path, and whether it is in a process of its own
_guard = threading.Lock()


def _after_fork() -> None:
    # A child has the parent's memory but none of its threads: what they held is free, and nobody uses a library yet.
    global _guard
    _guard = threading.Lock()
    for library in _loaded.values():
        library.inherited, library.users = True, 0


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Keep all other processes from loading or logging in: SoftHSM rewrites its token file at every login."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HsmUnavailable(
            f"the HSM's lock file {path} cannot be opened: {error.strerror}", "Its folder has to be writable."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def acquired(
    path: str, *, tokens: str, environment: Mapping[str, str], parameters: str, isolated: bool = False
) -> Library:
    """Return the library, initialised; hold `alone` around it. isolated: in a process of its own. Raises HsmUnavailable
    where it is missing or foreign."""
    settings = (tokens, tuple(sorted(environment.items())), parameters)
    with _guard:
        library = _loaded.get((path, isolated))
        if library is None:
            library = Library(_opened(path, environment, isolated=isolated), settings)
        elif library.users and library.settings != settings:
            raise HsmUnavailable(
                f"the HSM module {path} is already in use by this process with other tokens",
                "One process can use one token folder of a module at a time: close the other vault first.",
            )
        library.settings = settings
        try:
            with _environment(environment, tokens):
                _initialise(library, parameters)
        except CryptokiError as error:
            raise HsmUnavailable(
                f"the HSM module {path} cannot be started: {error}",
                "See that its configuration and its tokens' folder are there and readable.",
            ) from None
        library.users += 1
        _loaded[path, isolated] = library
        return library


def released(path: str, *, isolated: bool = False) -> None:
    """Give the library back; the last user shuts it down."""
    with _guard:
        library = _loaded.get((path, isolated))
        if library is None or library.inherited or not library.users:
            return
        library.users -= 1
        if not library.users:
            try:
                library.cryptoki.finalise()
            except CryptokiError as error:
                if error.code != CKR_CRYPTOKI_NOT_INITIALIZED:  # somebody was faster: nothing is left to do
                    raise HsmUnavailable(f"the HSM module {path} cannot be shut down: {error}") from None


def _opened(path: str, environment: Mapping[str, str], *, isolated: bool) -> Cryptoki:
    try:
        if isolated:
            from kvstack.hsm.isolated.client import IsolatedCryptoki  # most vaults have none

            return IsolatedCryptoki(path, environment)
        return Cryptoki(path)
    except (OSError, CryptokiError) as error:
        missing = not Path(path).is_file()
        raise HsmUnavailable(
            f"the HSM module {path} " + ("is not there" if missing else f"cannot be loaded: {error}"),
            "Install it (`apt install softhsm2`, `dnf install softhsm`, `brew install softhsm`), or name another in "
            "KVSTACK_PKCS11_MODULE.",
        ) from None


def _initialise(library: Library, parameters: str) -> None:
    try:
        library.cryptoki.initialise(parameters)
        library.epoch += 1
    except CryptokiError as error:
        if error.code != CKR_CRYPTOKI_ALREADY_INITIALIZED:
            raise
        if library.inherited:
            # The module still believes that it is the parent's: this copy of it is shut down and started again.
            library.cryptoki.finalise()
            library.cryptoki.initialise(parameters)
            library.epoch += 1
        elif not library.users:
            raise HsmUnavailable(
                "another part of this process has already initialised the HSM module",
                "kvstack has to initialise it itself, with locking: close the other user of PKCS#11 first.",
            ) from None
    library.inherited = False


@contextmanager
def _environment(environment: Mapping[str, str], tokens: str) -> Iterator[None]:
    """Set what the module reads while it starts, and put it back: nothing outside kvstack's folder is touched."""
    wanted = dict(environment)
    if tokens:
        mend(Path(tokens))
        wanted["SOFTHSM2_CONF"] = str(softhsm_configuration(Path(tokens)))
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
