"""A token this process is logged in to: its sessions, its two keys above all others, and the keys held open."""

import os
from pathlib import Path

from kvstack.hsm import constants as ck
from kvstack.hsm.configuration import HsmConfiguration
from kvstack.hsm.cryptoki import Cryptoki, CryptokiError, Template, TokenInfo
from kvstack.hsm.failures import refused
from kvstack.hsm.handles import HandleCache
from kvstack.hsm.library import Library, acquired, alone, released
from kvstack.hsm.protocol import HsmUnavailable
from kvstack.hsm.release_root import make_release_root, release_root_identity
from kvstack.hsm.return_values import CKR_USER_ALREADY_LOGGED_IN
from kvstack.hsm.sessions import SessionPool
from kvstack.hsm.softhsm_files import keep, settle
from kvstack.terms.secret import SecretValue

_SECRET_OF_THE_TOKEN: Template = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_TOKEN: True}


class Connection:
    """One login. Valid in the process and in the epoch of the library it was made in."""

    def __init__(self, configuration: HsmConfiguration, library: Library, token: TokenInfo, kek: int) -> None:
        self.configuration = configuration
        self.cryptoki: Cryptoki = library.cryptoki
        self.token = token
        self.kek = kek
        self.sessions = SessionPool(library.cryptoki, token.slot)
        # A session object lives as long as the session it was made in: keys are opened in sessions of their own, which
        # are never closed because an operation failed.
        self.keepers = SessionPool(library.cryptoki, token.slot)
        self.open_keys = HandleCache(configuration.handles, self._discard)
        self._library = library
        self._epoch = library.epoch
        self.process = os.getpid()
        self._closed = False
        self._root = 0
        self._release_root = 0
        self._durable: set[Path] = set()
        self._mechanisms: frozenset[int] = frozenset()

    @property
    def current(self) -> bool:
        """Whether handles of this connection still mean what they meant."""
        return self._epoch == self._library.epoch and self.process == os.getpid()

    @property
    def mechanisms(self) -> frozenset[int]:
        """What the token says it can do."""
        if not self._mechanisms:
            self._mechanisms = self.cryptoki.mechanisms(self.token.slot)
        return self._mechanisms

    def root(self, session: int) -> int:
        """Return the wrapping root's handle. Raises HsmUnavailable where the token no longer has it."""
        if not self._root:
            self.require_domain()
            self._root = found_key(self.cryptoki, session, self.configuration, self.configuration.root, "wrapping root")
        return self._root

    def require_domain(self) -> None:
        """Refuse to go on where the root is to come from a security domain, and has not come yet."""
        if self.configuration.domain and not self.configuration.root:
            raise HsmUnavailable(
                f"keys in the HSM wait for the security domain: the token `{self.token.label}` has no root yet",
                "`kvstack hsm security-domain download --file F` draws it for the custodians; after the loss of a "
                "token `kvstack hsm security-domain upload --file F` brings it back.",
            )

    def release_root(self, session: int, *, make: bool = False) -> int:
        """Return the release root's handle. make: in the token, where none was needed before. Raises HsmUnavailable."""
        if not self._release_root:
            configuration = self.configuration
            identity = release_root_identity(configuration.root)
            if make and not configuration.domain:
                # Two processes that made one each would not open what the other wrapped.
                with alone(configuration.lock):
                    if not self.cryptoki.find(session, {**_SECRET_OF_THE_TOKEN, ck.CKA_ID: bytes.fromhex(identity)}):
                        make_release_root(self.cryptoki, session, identity, configuration.module)
                        self.settle()
            self._release_root = found_key(self.cryptoki, session, configuration, identity, "release root")
        return self._release_root

    def settle(self) -> None:
        """Make token objects durable, where the module leaves that to the system."""
        if self.configuration.tokens:
            settle(Path(self.configuration.tokens), self._durable)

    def retire(self) -> bool:
        """Begin nothing new, and wait for what is under way. Returns whether all of it ended."""
        return self.sessions.retire() and self.keepers.retire()

    def close(self) -> None:
        """Close the sessions and give the library back; those of another epoch or process are not ours to close."""
        if self._closed:
            return
        self._closed = True
        if self.current:
            self.sessions.close()
            self.keepers.close()
        if self.process == os.getpid():
            released(self.configuration.module, isolated=self.configuration.isolated)

    def _discard(self, handle: int) -> None:
        """Destroy a session object; a token key, which is kept open too, stays."""
        try:
            session = self.keepers.borrow()
        except CryptokiError:
            return  # The sessions are being closed, and the object with them.
        try:
            if self.cryptoki.attribute(session, handle, ck.CKA_TOKEN) == b"\x00":
                self.cryptoki.destroy(session, handle)
        except CryptokiError:
            return  # The module has lost the object before us.
        finally:
            self.keepers.give_back(session)


def connected(configuration: HsmConfiguration, pin: SecretValue) -> Connection:
    """Load the module, log in and find the key-encryption key. Raises HsmUnavailable."""
    if configuration.tokens and not Path(configuration.tokens).is_dir():
        raise _missing(configuration, "none, their folder is gone")
    with alone(configuration.lock):
        library = acquired(
            configuration.module,
            tokens=configuration.tokens,
            environment=configuration.environment,
            parameters=configuration.parameters,
            isolated=configuration.isolated,
        )
        try:
            token = _token(library.cryptoki, configuration)
            session = library.cryptoki.open_session(token.slot)
            logged_in(library.cryptoki, session, pin)
            kek = 0
            if configuration.kek or not configuration.domain:
                kek = found_key(library.cryptoki, session, configuration, configuration.kek, "key-encryption key")
            connection = Connection(configuration, library, token, kek)
            connection.keepers.adopt(session)
            if configuration.tokens:
                keep(Path(configuration.tokens))
            return connection
        except CryptokiError as error:
            released(configuration.module, isolated=configuration.isolated)
            raise refused(error, configuration.module, configuration.token_label) from None
        except BaseException:
            released(configuration.module, isolated=configuration.isolated)
            raise


def logged_in(cryptoki: Cryptoki, session: int, pin: SecretValue) -> None:
    """Log in, unless another connection of this process already has."""
    try:
        cryptoki.login(session, pin.reveal())
    except CryptokiError as error:
        if error.code != CKR_USER_ALREADY_LOGGED_IN:
            raise


def found_key(cryptoki: Cryptoki, session: int, configuration: HsmConfiguration, identity: str, what: str) -> int:
    """Return the one token object with this CKA_ID. Raises HsmUnavailable where the token was reset."""
    template: Template = {**_SECRET_OF_THE_TOKEN, ck.CKA_ID: bytes.fromhex(identity)}
    handles = cryptoki.find(session, template) if identity else ()
    if len(handles) == 1:
        return handles[0]
    raise HsmUnavailable(
        f"the HSM token `{configuration.token_label}` does not have the vault's {what} "
        f"(module {configuration.module}, serial {configuration.token_serial})",
        "The token was reset or its objects deleted: restore the token's files or its backup. A new key would not open "
        "what the old one closed.",
    )


def _token(cryptoki: Cryptoki, configuration: HsmConfiguration) -> TokenInfo:
    tokens = [token for token in cryptoki.tokens() if token.initialised]
    namesakes = [token for token in tokens if token.label == configuration.token_label]
    for token in namesakes:
        if token.serial == configuration.token_serial:
            return token
    if namesakes:
        raise HsmUnavailable(
            f"the HSM token `{configuration.token_label}` is another one: its serial is "
            f"{namesakes[0].serial}, the vault's is {configuration.token_serial} (module {configuration.module})",
            "The token was made anew and has other keys: restore the files or the backup of the vault's own token.",
        )
    raise _missing(configuration, ", ".join(f"`{token.label}`" for token in tokens) or "none")


def _missing(configuration: HsmConfiguration, there: str) -> HsmUnavailable:
    return HsmUnavailable(
        f"the HSM token `{configuration.token_label}` is missing "
        f"(module {configuration.module}, tokens there: {there})",
        f"Restore {configuration.tokens} from a backup."
        if configuration.tokens
        else "Plug it in, or see that the module's configuration names it.",
    )
