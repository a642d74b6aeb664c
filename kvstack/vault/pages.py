"""A list in pages: what an answer over the network can hold, in a time that does not grow with the vault."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from kvstack.terms.access_policy import LIST
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt
from kvstack.vault.items import CERTIFICATE, KEY, READ_DELETED_KEYS, SECRET, ItemOperations
from kvstack.vault.records import Certificate, Collection, Key, Secret, Vault
from kvstack.vault.warm import Warm

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

Item: TypeAlias = Key | Secret | Certificate
_KINDS: Final = {kind.collection: kind for kind in (KEY, SECRET, CERTIFICATE)}
_WARM: Final = 64


class Page(msgspec.Struct, frozen=True):
    """Some of a list. after: where the next page goes on, None where nothing follows."""

    items: tuple[Item, ...]
    after: int | None


class PageOperations(ItemOperations):
    """Lists as Azure gives them."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__(unlocked, random=random)
        self._warm_pages: Warm[Page] = Warm(_WARM)

    def list_page(
        self,
        caller: Caller,
        vault: str,
        collection: Collection,
        *,
        deleted: bool = False,
        after: int = 0,
        size: int = 25,
        looks_at: int | None = None,
    ) -> Page:
        """Return some of a vault's keys, secrets or certificates, in the order they were made. after: where the page
        before ended, 0 for the first; looks_at: about how many things it goes through at most, so that others need not
        wait for it: then a page may hold less, or nothing, and another one follows. What is made or deleted between two
        pages is in one of them or in none, and all else is there once."""
        kind = _KINDS[collection]
        operation = f"{kind.noun}ListDeleted" if deleted else f"{kind.noun}List"
        with self._attempt(caller, operation, self._scope(vault)) as attempt, attempt.reading():
            local = READ_DELETED_KEYS if deleted else None
            home = attempt.vault(vault, kind.read, local=local, permissions=LIST[collection])
            which = (collection, home.id, deleted, after, size, looks_at)
            page = self._warm_pages.get(attempt.tx, *which)
            if page is None:
                page = _page(attempt, home, collection, deleted=deleted, after=after, size=size, looks_at=looks_at)
                self._warm_pages.keep(attempt.tx, page, *which)
            return page


def _page(
    attempt: Attempt,
    home: Vault,
    collection: Collection,
    *,
    deleted: bool,
    after: int,
    size: int,
    looks_at: int | None,
) -> Page:
    found: list[tuple[int, Item]] = []
    more, seen = True, 0
    # One more than is asked for tells whether anything follows.
    while more and len(found) <= size and (looks_at is None or seen < looks_at):
        rows = _KINDS[collection].table.page(attempt.tx, size + 1, after, vault_id=home.id)
        found += [(place, item) for place, item in rows if _listed(item, deleted=deleted)]
        more = len(rows) > size
        after = rows[-1][0] if rows else after
        seen += len(rows)
    shown = found[:size]
    if len(found) > size:
        after, more = shown[-1][0], True
    return Page(tuple(item for _, item in shown), after if more else None)


def _listed(item: Item, *, deleted: bool) -> bool:
    # A certificate that is still to be signed has no version, and is in no list.
    return (item.deletion is not None) == deleted and bool(item.version)
