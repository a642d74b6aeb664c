"""Checkpoints: where all chains of the audit stand, signed by a key that stays in the HSM, each after the one before.

A checkpoint names the newest record, its MAC, and the head of every chain that grew since the checkpoint before, whose
hash it holds: together they hold all heads. The ledger's root knows the newest.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import msgspec

from kvstack.vault.faults import TamperedAudit
from kvstack.vault.time_step import microseconds, moment
from kvstack.vault.transaction import Transaction

if TYPE_CHECKING:
    from kvstack.hsm.protocol import PublicKey
    from kvstack.vault.store import Store

EVERY_RECORDS = 1000
EVERY_MICROSECONDS = 60 * 1_000_000
_PURPOSE = b"kvstack audit checkpoint\x00"
_PAGE = 1000

_SCHEMA = (
    "CREATE TABLE audit_checkpoints "
    "(number INTEGER PRIMARY KEY, time INTEGER NOT NULL, body BLOB NOT NULL, signature BLOB NOT NULL) STRICT"
)
_ONE = "SELECT body, signature FROM audit_checkpoints WHERE number = ?"
_MANY = "SELECT number, body, signature FROM audit_checkpoints WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
_HEADS = (
    "SELECT writer, sequence, mac FROM audit JOIN (SELECT writer AS grown, max(position) AS newest FROM audit "
    "WHERE position > ? AND position <= ? GROUP BY writer) ON position = newest"
)


class Checkpoint(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is signed. store: whose audit it is; number: 1 for the first; position, mac: of the newest record; heads:
    sequence and MAC of the newest record of every chain that grew since the checkpoint before; time: microseconds
    since 1970; previous: the hash of the checkpoint before, empty for the first; signer: the id of the key."""

    store: str
    number: int
    position: int
    mac: bytes
    heads: dict[str, tuple[int, bytes]]
    time: int
    previous: bytes
    signer: str

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return moment(self.time)


class SignedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint and the signature over it: r and s side by side, ES256."""

    checkpoint: Checkpoint
    signature: bytes

    @property
    def body(self) -> bytes:
        """The checkpoint as it is stored and signed."""
        return _encode(self.checkpoint)

    @property
    def hash(self) -> bytes:
        """What the next one holds of it, and the ledger."""
        return sha256(_encode((self.checkpoint, self.signature))).digest()


class CheckpointSigner(Protocol):
    """Signs checkpoints. store: the id of the store they are of."""

    @property
    def store(self) -> str:
        """The id of the store."""
        ...

    def prepare(self) -> str:
        """Return the id of the key that signs, made where there is none. Raises HsmError."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest by that key. Raises HsmError."""
        ...

    def public_keys(self) -> "dict[str, PublicKey]":
        """Return the public half of every key that ever signed, by id."""
        ...


_encode = msgspec.msgpack.Encoder(order="sorted").encode
_decode = msgspec.msgpack.Decoder(Checkpoint).decode


def digest(checkpoint: Checkpoint) -> bytes:
    """Return what is signed of a checkpoint."""
    return sha256(_PURPOSE + _encode(checkpoint)).digest()


def signed_by(signed: SignedCheckpoint, public: "PublicKey") -> bool:
    """Tell whether a checkpoint was signed by this key."""
    from kvstack.hsm.public_half import verified
    from kvstack.terms.algorithm import ALGORITHMS

    return verified(public, ALGORITHMS["ES256"], digest(signed.checkpoint), signed.signature)


def unsigned(tx: Transaction, position: int, mac: bytes, *, store: str, signer: str, now: datetime) -> Checkpoint:
    """Return the checkpoint that is to be signed next. position, mac: of the newest record."""
    root = tx.ledger.root
    grown = tx.connection.execute(_HEADS, (root.checkpoint_position, position))
    return Checkpoint(
        store=store,
        number=root.checkpoint + 1,
        position=position,
        mac=mac,
        heads={writer: (sequence, head) for writer, sequence, head in grown},
        time=microseconds(now),
        previous=root.checkpoint_hash,
        signer=signer,
    )


def keep(tx: Transaction, signed: SignedCheckpoint) -> bool:
    """Keep a signed checkpoint, unless another process has made one meanwhile. Returns whether it was kept."""
    made, root = signed.checkpoint, tx.ledger.root
    if (root.checkpoint, root.checkpoint_hash) != (made.number - 1, made.previous):
        return False
    if "audit_checkpoints" not in tx.store.tables:
        tx.connection.execute(_SCHEMA)
        tx.store.tables.add("audit_checkpoints")
    tx.connection.execute(
        "INSERT INTO audit_checkpoints (number, time, body, signature) VALUES (?, ?, ?, ?)",
        (made.number, made.time, signed.body, signed.signature),
    )
    tx.ledger.note(
        tx,
        checkpoint=made.number,
        checkpoint_position=made.position,
        checkpoint_time=made.time,
        checkpoint_hash=signed.hash,
        unsigned_since=0,
    )
    return True


def stored_checkpoint(tx: Transaction, number: int) -> SignedCheckpoint | None:
    """Return a checkpoint, None where there is none of this number. Raises TamperedAudit."""
    if "audit_checkpoints" not in tx.store.tables:
        return None
    row = tx.connection.execute(_ONE, (number,)).fetchone()
    return None if row is None else read_checkpoint(number, *row)


def last_checkpoint_before(tx: Transaction, time: datetime) -> SignedCheckpoint | None:
    """Return the newest checkpoint made up to a moment. Raises TamperedAudit."""
    if "audit_checkpoints" not in tx.store.tables:
        return None
    sql = "SELECT max(number) FROM audit_checkpoints WHERE time <= ?"
    (number,) = tx.connection.execute(sql, (microseconds(time),)).fetchone()
    found = stored_checkpoint(tx, number) if number is not None else None
    if found is not None and found.checkpoint.time > microseconds(time):
        raise TamperedAudit(f"has a checkpoint, {number}, that was edited")
    return found


def stored_checkpoints(store: "Store", after: int, up_to: int) -> Iterator[SignedCheckpoint]:
    """Yield the checkpoints with numbers beyond one, up to another, in order, a page at a time. Raises
    TamperedAudit."""
    while True:
        with store.transaction() as tx:
            there = "audit_checkpoints" in store.tables
            page = tx.connection.execute(_MANY, (after, up_to, _PAGE)).fetchall() if there else []
        for row in page:
            yield read_checkpoint(*row)
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def read_checkpoint(number: int, body: bytes, signature: bytes) -> SignedCheckpoint:
    """Return a stored checkpoint. Raises TamperedAudit where it cannot be read."""
    try:
        return SignedCheckpoint(_decode(body), bytes(signature))
    except (msgspec.MsgspecError, TypeError):
        raise TamperedAudit(f"has a checkpoint, {number}, that was edited") from None
