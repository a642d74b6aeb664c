"""The keys a store signs with in its own name, one for each purpose: made when first needed, used for nothing else.

Each is a P-256 key of the store's HSM, or a software key where the store has none. A store whose key-encryption key was
lost and made anew gets another one; the public halves of all of them are kept. The first purpose was the checkpoints of
the audit; tokens have a key of their own.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec
from msgspec.structs import replace

from kvstack.hsm.protocol import KeyMaterial, KeyProvider, KeyReference, PublicKey
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from kvstack.vault.barrier import STORE, Barrier
from kvstack.vault.store import Store
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction

SOFTWARE: Final = "software"
IN_HSM = KeySpecification("EC-HSM", None, "P-256")
_BYTES = 32
_MOMENT = timedelta(microseconds=1)

Signing = Callable[[bytes], bytes]


class CheckpointSignerRow(Row, frozen=True, kw_only=True):
    """One key. id: of its public half; kek: the key-encryption key when it was made; material: what its provider wants
    kept; of a software key the private scalar, sealed under the store's data key."""

    id: str
    kek: str
    public: PublicKey
    provider: str
    material: bytes
    created: datetime

    def __repr__(self) -> str:
        return f"CheckpointSignerRow({self.id}, ****)"


CHECKPOINT_SIGNERS = Table("audit_signers", CheckpointSignerRow, ("id",), (("kek",),))


class SignerPurpose(msgspec.Struct, frozen=True):
    """What a key is for. word: sets its ids, its place behind the barrier and its name in the HSM apart from those for
    another purpose; table: where its rows are."""

    word: str
    table: Table[CheckpointSignerRow]

    @property
    def place(self) -> tuple[str, ...]:
        """Where a software key is sealed to."""
        return (STORE, self.word, "signer", "", "material")


CHECKPOINTS: Final = SignerPurpose("audit", CHECKPOINT_SIGNERS)


class StoreSigner:
    """The signing keys of one store for one purpose. kek: returns the id of its key-encryption key; made: told of a new
    key, in the transaction that keeps it."""

    def __init__(
        self,
        store: Store,
        barrier: Barrier,
        providers: Mapping[str, KeyProvider],
        kek: Callable[[], str],
        now: Callable[[], datetime],
        purpose: SignerPurpose = CHECKPOINTS,
    ) -> None:
        self._purpose = purpose
        self._store = store
        self._barrier = barrier
        self._providers = providers
        self._kek = kek
        self._now = now
        self.made: Callable[[Transaction, str], None] | None = None
        self._ready: tuple[str, str, Signing] | None = None  # the key-encryption key's id with it

    @property
    def store(self) -> str:
        """The id of the store."""
        return self._barrier.identity

    def prepare(self) -> str:
        """Return the id of the key that signs, made where there is none. Raises HsmError, StoreFault."""
        return self._key()[0]

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest. Raises HsmError, StoreFault."""
        return self._key()[1](digest)

    def public_keys(self) -> dict[str, PublicKey]:
        """Return the public half of every key that ever signed, by id."""
        with self._store.reading() as tx:
            return {row.id: row.public for row in self._purpose.table.scan(tx)}

    def _key(self) -> tuple[str, Signing]:
        """Return the id of the key that signs, and what signs by it."""
        kek = self._kek()
        if self._ready is None or self._ready[0] != kek:
            with self._store.transaction() as tx:
                rows = self._purpose.table.scan(tx, kek=kek)
            row = rows[0] if rows else self._new(kek)
            self._ready = (kek, row.id, self._signing(row))
        return self._ready[1:]

    def _new(self, kek: str, after: datetime | None = None) -> CheckpointSignerRow:
        """Make a key and keep it, unless another process was faster. after: only a key made since then is one, any
        where None."""
        provider = self._providers.get("pkcs11")
        if provider is None:
            return self._kept(kek, after, SOFTWARE, *self._software_key())
        material = provider.generate(IN_HSM)
        kept = None
        try:
            kept = self._kept(kek, after, material.provider, material.public, material.blob)
        finally:
            if kept is None or kept.id != key_id(material.public, self._purpose.word):
                provider.destroy(KeyReference("discarded", IN_HSM, material))
        return kept

    def _kept(
        self, kek: str, after: datetime | None, provider: str, public: PublicKey, material: bytes
    ) -> CheckpointSignerRow:
        made = CheckpointSignerRow(
            id=key_id(public, self._purpose.word),
            kek=kek,
            public=public,
            provider=provider,
            material=material,
            created=self._now(),
        )
        with self._store.transaction() as tx:
            found = self._purpose.table.scan(tx, kek=kek)
            there = [one for one in found if after is None or one.created > after]
            if there:
                return there[0]
            # No two are of one moment, though a clock may stand still: which one is newer is told by it.
            while made.created in {one.created for one in found}:
                made = replace(made, created=made.created + _MOMENT)
            self._purpose.table.put(tx, made)
            if self.made is not None:
                self.made(tx, made.id)
        return made

    def _software_key(self) -> tuple[PublicKey, bytes]:
        """Make a key without an HSM. Returns its public half, and its private scalar, sealed."""
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        point, scalar = key.public_key().public_numbers(), key.private_numbers().private_value
        public = PublicKey(curve="P-256", x=point.x.to_bytes(_BYTES), y=point.y.to_bytes(_BYTES))
        return public, self._barrier.seal(STORE, self._purpose.place, scalar.to_bytes(_BYTES))

    def _signing(self, row: CheckpointSignerRow) -> Signing:
        if row.provider == SOFTWARE:
            return _software_signing(self._barrier.open(STORE, self._purpose.place, row.material))
        # What an HSM gives out is ciphertext under its root already: it is kept as it is.
        key = KeyReference(
            f"{self._purpose.word}/{row.id}", IN_HSM, KeyMaterial(row.provider, row.material, row.public)
        )
        return partial(self._providers["pkcs11"].sign, key, ALGORITHMS["ES256"])


def _software_signing(scalar: bytes) -> Signing:
    # The software provider keeps keys as PKCS #8, which costs every command 11 ms to import the reader of.
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1())

    def signature(digest: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        return r.to_bytes(_BYTES) + s.to_bytes(_BYTES)

    return signature


def key_id(public: PublicKey, word: str = CHECKPOINTS.word) -> str:
    """Return the id of a signing key: it follows from its public half. word: its purpose's."""
    return sha256(f"kvstack {word} signer".encode() + public.x + public.y).hexdigest()[:32]
