"""An anchor: a checkpoint kept where the vault's files are not, which tells when all of them were put back."""

from pathlib import Path
from typing import Literal

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_checkpoints import SignedCheckpoint, read_checkpoint, signed_by
from kvstack.vault.audit_signer import key_id

_AT_MOST = 1 << 20


class AnchorDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. store, number, record, time: for people; checkpoint: what is signed, as the vault signed it."""

    format: Literal["kvstack audit anchor 1"] = "kvstack audit anchor 1"
    store: str
    number: int
    record: int
    time: str
    checkpoint: bytes
    signature: bytes
    x: bytes
    y: bytes


class Anchor(msgspec.Struct, frozen=True):
    """A checkpoint whose signature is genuine. file: where it comes from."""

    signed: SignedCheckpoint
    file: str

    def require_of(self, store: str) -> None:
        """Raise KvstackError for another store's."""
        if self.signed.checkpoint.store != store:
            raise KvstackError(
                f"the anchor {self.file} is of another store", "An anchor holds for the vault it was taken of alone."
            )


def anchor_text(signed: SignedCheckpoint, public: PublicKey) -> bytes:
    """Return the file an anchor is kept in, JSON. public: of the key that signed it."""
    made = signed.checkpoint
    document = AnchorDocument(
        store=made.store,
        number=made.number,
        record=made.position,
        time=f"{made.moment:%Y-%m-%dT%H:%M:%SZ}",
        checkpoint=signed.body,
        signature=signed.signature,
        x=public.x,
        y=public.y,
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def read_anchor(file: str) -> Anchor:
    """Read an anchor. Raises KvstackError for what is none, or was changed."""
    content = Path(file).read_bytes()[: _AT_MOST + 1]
    try:
        document = msgspec.json.decode(content, type=AnchorDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise KvstackError(f"{file} is no anchor", "Write one with `kvstack audit anchor --file FILE`.") from None
    try:
        signed = read_checkpoint(document.number, document.checkpoint, document.signature)
        public = PublicKey(curve="P-256", x=document.x, y=document.y)
        shown = (
            signed.checkpoint.store,
            signed.checkpoint.number,
            signed.checkpoint.position,
            signed.checkpoint.signer,
        )
        claimed = (document.store, document.number, document.record, key_id(public))
        if shown == claimed and signed_by(signed, public):
            return Anchor(signed, file)
    except (KvstackError, ValueError):
        pass  # a point that is none, or a body that cannot be read: changed, too
    raise KvstackError(f"the anchor {file} was changed", "Use a copy of it as it was written.")
