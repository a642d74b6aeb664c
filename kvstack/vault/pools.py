"""The tokens of Managed HSMs: made, opened when first needed, destroyed; nothing of one that never came to be is left.

A Managed HSM's folder, `.kvstack/hsm/pools/ID`, is there before the store knows of it and until after the store has
forgotten it. So whatever has a folder and is not in the store was being made, or purged, when somebody was killed.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kvstack.hsm.private_file import private_folder, sync_folder, write_private
from kvstack.hsm.protocol import HsmError, HsmUnavailable
from kvstack.vault import faults
from kvstack.vault.errors import Unavailable
from kvstack.vault.layout import Layout, VaultConfiguration
from kvstack.vault.records import Vault
from kvstack.vault.table import Row, Table

if TYPE_CHECKING:
    from kvstack.hsm.configuration import HsmConfiguration
    from kvstack.hsm.pool import PoolKeys, TokenHealth


class SecurityDomainRow(Row, frozen=True, kw_only=True):
    """The security domain of a Managed HSM as it was downloaded: every share encrypted to its custodian. Kept so that a
    download whose answer was lost can be asked for again."""

    vault_id: str
    document: bytes


class Swept(msgspec.Struct, frozen=True):
    """What a sweep did. destroyed: labels of tokens; left: words on those that could not be destroyed."""

    destroyed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


SECURITY_DOMAINS = Table("security_domains", SecurityDomainRow, ("vault_id",))
POOL_PROVIDER: Final = "pool:"
_LABEL = "label"  # the file that names a token which is being made
_PATIENCE = 60.0  # seconds others may take to make their tokens


class Pools:
    """The Managed HSMs of a store, as their tokens have them. Safe for several threads and processes."""

    def __init__(
        self,
        paths: Layout,
        own: VaultConfiguration,
        *,
        isolated: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Take the store's folder over. isolated: load the module in a process of its own, whatever the files say."""
        # A process may go elsewhere, and what is written has to be found from anywhere.
        self._paths = Layout(paths.root.absolute())
        self._own = own
        self._isolated = isolated
        self.environ = environ
        self._guard = threading.Lock()
        self._open: dict[str, tuple[object, PoolKeys]] = {}
        self._retired: list[PoolKeys] = []

    # In use

    def keys(self, vault: Vault) -> "PoolKeys":
        """Return the provider of a Managed HSM's keys; its tokens are connected to when they are first needed."""
        from kvstack.hsm.pool import PoolKeys

        state = vault.pool and (vault.pool.tokens, vault.pool.domain, vault.pool.written)
        with self._guard:
            found = self._open.get(vault.pool_id)
            # Another process may have given it tokens, or its security domain.
            if found is None or found[0] != state:
                self._retire(vault.pool_id)
                there, lost = self._read(vault)
                found = state, PoolKeys(vault.pool_id, tuple(there.values()), self.environ, lost=lost)
                self._open[vault.pool_id] = found
            return found[1]

    def configurations(self, vault: Vault) -> "tuple[HsmConfiguration, ...]":
        """Read the configurations of a Managed HSM's tokens. Raises HsmUnavailable."""
        from kvstack.hsm.configuration import read_configuration

        found = (read_configuration(self._paths.root / file, self._paths.root) for file in tokens_of(vault))
        return tuple(self._in_its_process(one) for one in found)

    def readable(self, vault: Vault) -> "dict[str, HsmConfiguration]":
        """Return the configurations of a Managed HSM's tokens by file, without those that are lost."""
        return self._read(vault)[0]

    def _read(self, vault: Vault) -> "tuple[dict[str, HsmConfiguration], list[TokenHealth]]":
        from kvstack.hsm.configuration import read_configuration
        from kvstack.hsm.pool import TokenHealth

        there: dict[str, HsmConfiguration] = {}
        lost: list[TokenHealth] = []
        for file in tokens_of(vault):
            try:
                there[file] = self._in_its_process(read_configuration(self._paths.root / file, self._paths.root))
            except HsmUnavailable as error:
                label = f"{vault.name}-{Path(file).stem.removeprefix('token-')}"
                lost.append(TokenHealth(label, "", "lost", error.diagnostics[0].summary))
        return there, lost

    def reopen(self, vault: Vault) -> None:
        """Connect to a Managed HSM's tokens anew: what is in them was changed."""
        with self._guard:
            self._retire(vault.pool_id)

    def _retire(self, pool_id: str) -> None:
        """Put a provider out of use. Another thread may be working with it: it is closed at the end."""
        found = self._open.pop(pool_id, None)
        if found is not None:
            self._retired.append(found[1])

    def close(self) -> None:
        """Let go of every token."""
        with self._guard:
            for keys in (*self._retired, *(keys for _, keys in self._open.values())):
                keys.close()
            self._open.clear()
            self._retired.clear()

    # Made and destroyed

    @property
    def present(self) -> bool:
        """Whether there ever was a Managed HSM."""
        return self._folder.is_dir()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else from making or destroying tokens in the block. Raises KvstackError after a minute.

        Never entered while the store is held: who is inside may be waiting for it.
        """
        self._folder.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            private_folder(self._folder)
            file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise faults.of_file(error, self._folder) from error
        try:
            until = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise HsmUnavailable(
                            "another kvstack is making or destroying tokens", "Wait until it is done."
                        ) from None
                    time.sleep(0.02)
            yield
        finally:
            os.close(file)

    def make(self, pool_id: str, name: str, numbers: Collection[int]) -> tuple[str, ...]:
        """Make tokens, and return their configurations' files. numbers: of the tokens, the first one is 1. Raises
        HsmError, Unavailable in a store without an HSM."""
        from kvstack.hsm.configuration import write_configuration
        from kvstack.hsm.pool_token import make_pool_token

        own, folder = self.own_token(), self._folder / pool_id
        made = []
        try:
            for number in numbers:
                private_folder(folder)
                label = f"{name}-{number}"
                # Written first: should this be the end of us, whoever comes next knows what was begun.
                write_private(folder / f"{_LABEL}-{number}", label.encode(), replace=True)
                sync_folder(folder)
                configuration = make_pool_token(folder, own, label)
                file = folder / f"token-{number}.json"
                write_configuration(configuration, file, self._paths.root)
                made.append(str(file.relative_to(self._paths.root)))
        except OSError as error:
            raise faults.of_file(error, folder) from error
        return tuple(made)

    def write(self, configurations: "Mapping[str, HsmConfiguration]") -> None:
        """Write the configurations of tokens, changed, by file. Raises HsmUnavailable."""
        from kvstack.hsm.configuration import write_configuration

        for file, configuration in configurations.items():
            write_configuration(configuration, self._paths.root / file, self._paths.root)

    def sweep(self, living: Callable[[], Mapping[str, Collection[str]]]) -> Swept:
        """Destroy every token that belongs to no Managed HSM. living: returns the configurations' files of those there
        are, by pool id; asked when nobody else is making any."""
        if not self._folder.is_dir():
            return Swept()
        destroyed: list[str] = []
        left: list[str] = []
        known = living()
        for folder in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            kept = known.get(folder.name, ())
            for label in sorted(folder.glob(f"{_LABEL}-*")):
                file = folder / f"token-{label.name.rpartition('-')[2]}.json"
                if str(file.relative_to(self._paths.root)) not in kept:
                    name = label.read_text()
                    left += self._destroyed(file, label)
                    if not label.exists():
                        destroyed.append(name)
            if not kept:
                with suppress(KeyError):
                    self._open.pop(folder.name)[1].close()
                if not any(folder.glob(f"{_LABEL}-*")):
                    from shutil import rmtree

                    rmtree(folder, ignore_errors=True)
        return Swept(tuple(destroyed), tuple(left))

    def _destroyed(self, file: Path, label: Path) -> Iterator[str]:
        """Destroy a token, and yield words on what is left of it."""
        from kvstack.hsm.configuration import read_configuration
        from kvstack.hsm.pool_token import destroy_pool_token, discard_token

        name = label.read_text()
        try:
            if file.exists():
                left = destroy_pool_token(read_configuration(file, self._paths.root), environ=self.environ)
            else:
                # To the second, as coarse as a file system may be.
                discard_token(self.own_token(), name, known=self._serials(), since=label.stat().st_mtime // 1)
                left = ""
        except HsmError as error:
            # Its files stay: the next sweep tries again.
            yield f"the token `{name}` is not destroyed yet: {error.diagnostics[0].summary}"
            return
        if left:
            yield left
        for path in (file, label):
            path.unlink(missing_ok=True)

    def _serials(self) -> set[str]:
        """Return the serials of all tokens that were made to the end."""
        from kvstack.hsm.configuration import read_configuration

        files = self._folder.glob("*/token-*.json")
        return {read_configuration(file, self._paths.root).token_serial for file in files}

    @property
    def _folder(self) -> Path:
        return self._paths.hsm / "pools"

    def write_own_token(self, configuration: "HsmConfiguration") -> None:
        """Write the configuration of the store's own token. Raises HsmUnavailable."""
        from kvstack.hsm.configuration import write_configuration

        # How this process loads the module is no change of the file.
        written = msgspec.structs.replace(configuration, isolated=self._own_token_as_written().isolated)
        write_configuration(written, self._paths.root / self._own.file)

    def own_token(self) -> "HsmConfiguration":
        """Return the configuration of the store's own token, whose module a Managed HSM's tokens are of."""

        if self._own.kek != "pkcs11":
            raise Unavailable(
                "a Managed HSM is unavailable: this store has no HSM",
                "It was initialised without a PKCS#11 module. Install SoftHSM2, or name a module, and initialise anew.",
            )
        return self._in_its_process(self._own_token_as_written())

    def _own_token_as_written(self) -> "HsmConfiguration":
        from kvstack.hsm.configuration import read_configuration

        return read_configuration(self._paths.root / self._own.file)

    def _in_its_process(self, configuration: "HsmConfiguration") -> "HsmConfiguration":
        """Return a token's configuration as this process goes by it: one process loads the module in one way."""
        isolated = self._isolated or self._own_token_as_written().isolated
        return msgspec.structs.replace(configuration, isolated=isolated)


def tokens_of(vault: Vault) -> tuple[str, ...]:
    """Return the files of a Managed HSM's tokens; a vault has none."""
    return vault.pool.tokens if vault.pool is not None else ()
