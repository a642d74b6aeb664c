"""A small store and a table of things, for tests; and the hand of somebody who owns the files."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from kvstack.vault.store import Store
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction

KEY = bytes(range(32))


class Thing(Row, frozen=True):
    """A row with a key of two parts, an indexed field and two others."""

    vault: str
    name: str
    color: str | None = None
    size: int = 0
    tags: dict[str, str] = msgspec.field(default_factory=dict)


THINGS = Table("things", Thing, key=("vault", "name"), indexes=(("color",), ("vault", "size")))


_open: list[Store] = []


def kept_track_of(store: Store) -> Store:
    """Return a store that is closed when the test is over."""
    _open.append(store)
    return store


def close_all() -> None:
    """Close every store that was opened here."""
    while _open:
        _open.pop().close()


def new_store(path: Path) -> Store:
    """Return a store that was just made."""
    store = kept_track_of(Store.open(path))
    store.authenticate(KEY, create=True)
    return store


def opened(path: Path, *, busy_seconds: float = 10) -> Store:
    """Return a store that was made before."""
    store = kept_track_of(Store.open(path, existing=True, busy_seconds=busy_seconds))
    store.authenticate(KEY)
    return store


def put(store: Store, *things: Thing) -> None:
    """Put things in one transaction."""
    with store.transaction() as tx:
        for thing in things:
            THINGS.put(tx, thing)


def get(store: Store, vault: str, name: str) -> Thing | None:
    """Get one thing in a transaction of its own."""
    with store.transaction() as tx:
        return THINGS.get(tx, vault, name)


def scan(store: Store, **equals: str | int | None) -> list[Thing]:
    """Scan in a transaction of its own, in order of names."""
    with store.transaction() as tx:
        return sorted(THINGS.scan(tx, **equals), key=lambda thing: (thing.vault, thing.name))


class _Undone(Exception):
    """What undoes a transaction."""


@contextmanager
def undone(store: Store) -> Iterator[Transaction]:
    """Give a transaction, nested or not, that is undone at the end."""
    try:
        with store.transaction() as tx:
            yield tx
            raise _Undone
    except _Undone:
        return


@contextmanager
def by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    """Change the database without kvstack; committed at the end."""
    connection = sqlite3.connect(path)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def flipped(value: Any) -> Any:
    """Return something else of the same type."""
    match value:
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
        case str():
            return chr(ord(value[0]) ^ 1) + value[1:] if value else "x"
        case int():
            return value ^ 1
        case _:
            return "x"
