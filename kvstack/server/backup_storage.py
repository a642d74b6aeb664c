"""Where backups of Managed HSMs are kept: folders of this machine that stand for containers of a storage account.

Azure writes a backup to whichever container a request names. A server that did so could be sent anywhere, into the
network it protects too; this one writes and reads in the folders its operator named, and asks nobody for anything.
"""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from kvstack.hsm.private_file import private_folder, write_private
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.faults import of_file
from kvstack.vault.pool_backup import LONGEST

_FOLDER = re.compile(r"mhsm-[0-9A-Za-z-]{1,127}")
_CONTAINER = re.compile(r"/[0-9a-z][0-9a-z-]{1,62}")
_FILE: Final = "managed-hsm.backup"


class BackupContainer(msgspec.Struct, frozen=True):
    """One container. address: `https://ACCOUNT/CONTAINER`, in lower case; folder: what stands for it here."""

    address: str
    folder: Path


class BackupStorage:
    """All containers of a server. What is raised is the vault's: it is asked by an operation that was authorised."""

    def __init__(self, containers: Sequence[BackupContainer]) -> None:
        self._folders = {one.address: one.folder for one in containers}

    def require(self, address: str) -> Path:
        """Return what stands for a container. address: as the client has it. Raises BadParameter for one nobody named,
        StoreFault where the folder is gone."""
        folder = self._folders.get(address.rstrip("/").lower())
        if folder is None:
            raise BadParameter(
                "storageResourceUri: this server keeps no backups there",
                "It keeps them in containers its operator named (`kvstack serve --backups URI=FOLDER`), and sends "
                "nothing to a storage account.",
            )
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise of_file(OSError(13, "cannot be written"), folder)
        return folder

    def keep(self, address: str, name: str, blob: bytes) -> None:
        """Keep a backup durably. name: of its folder, a new one. Raises BadParameter, StoreFault."""
        place = self.require(address) / name
        try:
            private_folder(place)
            write_private(place / _FILE, blob)
        except OSError as error:
            raise of_file(error, place) from error

    def read(self, address: str, name: str) -> bytes:
        """Return a backup. name: of its folder, as the client has it. Raises BadParameter, NotFound, StoreFault."""
        folder = self.require(address)
        nothing = NotFound("there is no such backup in the container", code="BackupNotFound")
        # Nothing of what a client says becomes a path but this.
        if not _FOLDER.fullmatch(name):
            raise nothing
        try:
            with (folder / name / _FILE).open("rb") as file:
                blob = file.read(LONGEST + 1)
        except FileNotFoundError:
            raise nothing from None
        except OSError as error:
            raise of_file(error, folder / name) from error
        if len(blob) > LONGEST:
            raise BadParameter(f"the backup has more than {LONGEST} bytes, which none has")
        return blob


def backup_folder(hsm: str, now: datetime) -> str:
    """Return the name of a new backup's folder, as Azure calls them."""
    return f"mhsm-{hsm}-{now:%Y%m%d%H%M%S%f}"


def backup_container(text: str) -> BackupContainer:
    """Read `URI=FOLDER`. Raises KvstackError."""
    address, sign, folder = text.rpartition("=")
    parts = urlsplit(address)
    if (
        not sign
        or parts.scheme != "https"
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not _CONTAINER.fullmatch(parts.path.rstrip("/").lower())
    ):
        raise KvstackError(
            f"`--backups {text}` names no container",
            "`--backups https://ACCOUNT.blob.core.windows.net/CONTAINER=FOLDER`: what programs name, and what stands "
            "for it here.",
        )
    path = Path(folder).absolute()
    if not path.is_dir():
        raise KvstackError(f"`--backups {text}`: there is no folder {folder}", "Make it, for its owner only.")
    # Whoever can write there can put an older backup in a newer one's place, and so bring back roles that were taken.
    if path.stat().st_mode & 0o002:
        raise KvstackError(f"`--backups {text}`: anybody can write into {folder}", f"`chmod o-w {folder}`")
    return BackupContainer(address.rstrip("/").lower(), path)
