"""The key a store signs the checkpoints of its audit with: made at the first one, used for nothing else.

It is a P-256 key of the store's HSM, or a software key where the store has none. A store whose key-encryption key was
lost and made anew gets another one; the public halves of all of them are kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256

from kvstack.hsm.protocol import KeyMaterial, KeyProvider, KeyReference, PublicKey
from kvstack.terms.algorithm import ALGORITHMS
from kvstack.terms.key import KeySpecification
from kvstack.vault.barrier import STORE, Barrier
from kvstack.vault.store import Store
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction


class CheckpointSignerRow(Row, frozen=True, kw_only=True):
    """One key. id: of its public half; kek: the key-encryption key when it was made; material: what its provider wants
    kept, of a software key sealed under the store's data key."""

    id: str
    kek: str
    specification: KeySpecification
    public: PublicKey
    provider: str
    material: bytes
    created: datetime

    def __repr__(self) -> str:
        return f"CheckpointSignerRow({self.id}, ****)"


CHECKPOINT_SIGNERS = Table("audit_signers", CheckpointSignerRow, ("id",), (("kek",),))


class StoreSigner:
    """The signing keys of one store. kek: returns the id of its key-encryption key; made: told of a new key, in the
    transaction that keeps it."""

    def __init__(
        self,
        store: Store,
        barrier: Barrier,
        providers: Mapping[str, KeyProvider],
        kek: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._barrier = barrier
        self._providers = providers
        self._kek = kek
        self._now = now
        self.made: Callable[[Transaction, str], None] | None = None
        self._ready: tuple[str, KeyReference] | None = None  # the key-encryption key's id with it

    @property
    def store(self) -> str:
        """The id of the store."""
        return self._barrier.identity

    def prepare(self) -> str:
        """Return the id of the key that signs, made where there is none. Raises HsmError, StoreFault."""
        return key_id(self._key().material.public)

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest. Raises HsmError, StoreFault."""
        key = self._key()
        return self._provider(key.material.provider).sign(key, ALGORITHMS["ES256"], digest)

    def public_keys(self) -> dict[str, PublicKey]:
        """Return the public half of every key that ever signed, by id."""
        with self._store.transaction() as tx:
            return {row.id: row.public for row in CHECKPOINT_SIGNERS.scan(tx)}

    def _key(self) -> KeyReference:
        kek = self._kek()
        if self._ready is None or self._ready[0] != kek:
            with self._store.transaction() as tx:
                rows = CHECKPOINT_SIGNERS.scan(tx, kek=kek)
            self._ready = (kek, self._reference(rows[0] if rows else self._new(kek)))
        return self._ready[1]

    def _new(self, kek: str) -> CheckpointSignerRow:
        """Make a key and keep it, unless another process was faster."""
        in_hsm = "pkcs11" in self._providers
        specification = KeySpecification("EC-HSM" if in_hsm else "EC", None, "P-256")
        provider = self._providers["pkcs11" if in_hsm else "software"]
        material = provider.generate(specification)
        made = CheckpointSignerRow(
            id=key_id(material.public),
            kek=kek,
            specification=specification,
            public=material.public,
            provider=material.provider,
            # What an HSM gives out is ciphertext under its root already.
            material=material.blob if in_hsm else self._barrier.seal(STORE, _PLACE, material.blob),
            created=self._now(),
        )
        kept = False
        try:
            with self._store.transaction() as tx:
                there = CHECKPOINT_SIGNERS.scan(tx, kek=kek)
                if not there:
                    CHECKPOINT_SIGNERS.put(tx, made)
                    if self.made is not None:
                        self.made(tx, made.id)
            kept = not there
        finally:
            if not kept:
                provider.destroy(KeyReference("discarded", specification, material))
        return there[0] if there else made

    def _reference(self, row: CheckpointSignerRow) -> KeyReference:
        software = row.provider == "software"
        blob = self._barrier.open(STORE, _PLACE, row.material) if software else row.material
        return KeyReference(f"audit/{row.id}", row.specification, KeyMaterial(row.provider, blob, row.public))

    def _provider(self, name: str) -> KeyProvider:
        return self._providers["software" if name == "software" else "pkcs11"]


def key_id(public: PublicKey) -> str:
    """Return the id of a signing key: it follows from its public half."""
    return sha256(b"kvstack audit signer" + public.x + public.y).hexdigest()[:32]


_PLACE = (STORE, "audit", "signer", "", "material")
