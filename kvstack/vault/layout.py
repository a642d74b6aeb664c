"""Where everything of a vault lies: the folder `.kvstack`, only its owner's."""

from pathlib import Path
from typing import Literal

import msgspec

from kvstack.hsm.private_file import private_folder, write_private
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault import faults

FORMAT_VERSION = 1


class Layout(msgspec.Struct, frozen=True):
    """The paths of one vault. root: the folder `.kvstack`. All others lie in it, so that it can be moved as a whole."""

    root: Path

    @property
    def configuration(self) -> Path:
        """What has to be known before the vault is unlocked. It is written last: without it there is no vault."""
        return self.root / "vault" / "config.json"

    @property
    def database(self) -> Path:
        """The store."""
        return self.root / "vault" / "vault.db"

    @property
    def hsm(self) -> Path:
        """kvstack's own tokens, their configuration, the PIN, the lock."""
        return self.root / "hsm"

    @property
    def keys(self) -> Path:
        """Key-encryption keys in files, for a vault without an HSM."""
        return self.root / "keys"

    @property
    def forwarding(self) -> Path:
        """Where the audit is forwarded to: the operator's own file."""
        return self.root / "forward.json"

    @property
    def events(self) -> Path:
        """Where events may be sent to, and by which mail server: the operator's own file."""
        return self.root / "events.json"

    @property
    def rotators(self) -> Path:
        """The file whoever speaks with rotators holds locked."""
        return self.root / "rotators.lock"

    @property
    def identity(self) -> Path:
        """Whose tokens are taken, and where their keys may be fetched: the operator's own file."""
        return self.root / "identity.json"

    @property
    def server(self) -> Path:
        """How `kvstack serve` is to run: the operator's own file."""
        return self.root / "server.json"

    @property
    def lock(self) -> Path:
        """The file whoever makes or recovers the vault holds locked."""
        return self.root / "init.lock"

    def make_folders(self) -> None:
        """Make the folders, 0700. Raises StoreFault."""
        try:
            for folder in (self.root, self.configuration.parent, self.hsm, self.keys):
                private_folder(folder)
                folder.chmod(0o700)
        except OSError as error:
            raise faults.of_file(error, self.root) from error


def layout(directory: Path) -> Layout:
    """Return the paths of the vault of a project's folder."""
    return Layout(directory / ".kvstack")


class VaultConfiguration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has to be known before unlocking. kek: where the key-encryption key lives; file: the key's own file, or
    the HSM's configuration, relative to `.kvstack`."""

    format_version: int
    kek: Literal["software", "pkcs11"]
    file: str


class _Format(msgspec.Struct):
    format_version: int


def write_configuration(paths: Layout, configuration: VaultConfiguration) -> None:
    """Write the file, 0600, whole or not at all. Raises StoreFault."""
    text = msgspec.json.format(msgspec.json.encode(configuration), indent=2) + b"\n"
    try:
        write_private(paths.configuration, text, replace=True)
    except OSError as error:
        raise faults.of_file(error, paths.configuration) from error


def read_configuration(paths: Layout) -> VaultConfiguration:
    """Read the file. Raises KvstackError where there is no vault, or not one this kvstack can read."""
    path = paths.configuration
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise KvstackError(f"there is no vault in {paths.root.parent}", "Make one with `kvstack init`.") from None
    except OSError as error:
        raise faults.of_file(error, path) from error
    try:
        version = msgspec.json.decode(text, type=_Format).format_version
        if version > FORMAT_VERSION:
            raise KvstackError(
                f"the vault in {paths.root.parent} has format {version}; this kvstack knows up to {FORMAT_VERSION}",
                "Use the newer kvstack that made it.",
            )
        return msgspec.json.decode(text, type=VaultConfiguration)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise faults.CorruptStore(
            f"{path} is damaged: {error}", "Restore it from a backup; it holds no secret."
        ) from None
