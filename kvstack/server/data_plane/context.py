"""What an operation of the data plane is given: the vault, the caller and the request."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import msgspec

from kvstack.server.answer import Answer, answered, bad_parameter
from kvstack.server.attributes import Attributes, Item, Version, attributes_of, seconds
from kvstack.server.backup_storage import BackupStorage
from kvstack.server.paging import not_ours, page_size, page_start, part, token_of
from kvstack.server.request import Request
from kvstack.vault.caller import Caller

if TYPE_CHECKING:
    from kvstack.vault.records import Collection
    from kvstack.vault.retention import Retention
    from kvstack.vault.service import VaultService

T = TypeVar("T")
PAGE: Final = 25
NO_BACKUPS: Final = BackupStorage(())


class Asked(msgspec.Struct, frozen=True):
    """One request of somebody who is known. service: the vaults; vault: the name of the one it is about; backups: where
    those of Managed HSMs are kept."""

    service: "VaultService"
    caller: Caller
    request: Request
    backups: BackupStorage = NO_BACKUPS

    @property
    def vault(self) -> str:
        """The name of the vault."""
        return self.request.host.name

    @property
    def base(self) -> str:
        """The vault's own address, as the client has it."""
        return f"https://{self.request.host.authority}"

    @property
    def retention(self) -> "Retention | None":
        """The vault's soft delete, after an operation in it."""
        return self.service.retention(self.vault)


class Backup(msgspec.Struct, frozen=True):
    """A backup, base64url."""

    value: str

    def __repr__(self) -> str:
        return "Backup(****)"


def place(names: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the name and the version of a path, None for the newest."""
    return names[0], (names[1].lower() or None) if len(names) > 1 else None


class Recovery(TypedDict):
    """How a deleted thing can be recovered, and until when; nothing of one that is alive."""

    recoveryId: str | None
    deletedDate: int | None
    scheduledPurgeDate: int | None


def item_attributes(asked: Asked, one: Item) -> Attributes:
    """Return the attributes of a thing in a list."""
    retention = asked.retention
    return attributes_of(one, *((retention.level, retention.days) if retention is not None else (None, None)))


def version_attributes(asked: Asked, one: Version) -> Attributes:
    """Return the attributes of a version."""
    retention = asked.retention
    return attributes_of(one, one.recovery_level, retention.days if retention is not None else None)


def recovery(asked: Asked, one: Item, collection: str) -> Recovery:
    """Return how a thing can be recovered. collection: where the deleted ones are, `deletedkeys` for one."""
    deletion = one.deletion
    if deletion is None:
        return Recovery(recoveryId=None, deletedDate=None, scheduledPurgeDate=None)
    return Recovery(
        recoveryId=f"{asked.base}/{collection}/{one.name}",
        deletedDate=seconds(deletion.deleted),
        scheduledPurgeDate=seconds(deletion.scheduled_purge),
    )


def page(
    asked: Asked,
    things: Sequence[T],
    key: Callable[[T], str],
    item: Callable[[T], Any],
    path: str,
    more: str = "",
) -> Answer:
    """Return one page of a list, and where the next one is. key: what the list is in the order of; path: the list's
    own; more: what else its query has."""
    query = asked.request.query
    size = page_size(query, "maxresults", PAGE, PAGE)
    after = page_start(query)
    found = part(things, key, after, size)
    return _answered(asked, [item(one) for one in found.things], found.after, path, size, more)


def item_page(
    asked: Asked, collection: "Collection", item: Callable[[Any], Any], path: str, *, deleted: bool = False
) -> Answer:
    """Return one page of a vault's keys, secrets or certificates. item: how one of them is written."""
    query = asked.request.query
    size, token = page_size(query, "maxresults", PAGE, PAGE), page_start(query)
    if token is not None and not (token.isascii() and token.isdigit() and len(token) < 19):
        raise not_ours()
    found = asked.service.list_page(
        asked.caller, asked.vault, collection, deleted=deleted, after=int(token or 0), size=size
    )
    following = str(found.after) if found.after is not None else None
    return _answered(asked, [item(one) for one in found.items], following, path, size)


def _answered(asked: Asked, value: list[Any], after: str | None, path: str, size: int, more: str = "") -> Answer:
    following = None
    if after is not None:
        named = f"api-version={asked.request.query['api-version']}&$skiptoken={token_of(after)}&maxresults={size}{more}"
        following = f"{asked.base}{path}?{named}"
    return answered({"value": value, "nextLink": following})


def bytes_of(name: str, text: str) -> bytes:
    """Return what a body gives in base64url, with or without padding. Raises Refusal."""
    try:
        plain = text.rstrip("=").encode("ascii")
        return binascii.a2b_base64(
            plain.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(plain) % 4), strict_mode=True
        )
    except (ValueError, UnicodeError):
        raise bad_parameter(f"`{name}` is not base64url.") from None


def text_of(value: bytes) -> str:
    """Return bytes in base64url without padding, as Azure writes them."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
