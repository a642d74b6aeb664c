"""The keys that sign tokens: in the HSM where there is one, each for a season, and published before it is used.

Whoever checks tokens keeps the keys he knows for a while: a new one is shown an hour before it signs anything, and an
old one until the last token it signed has ended.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kvstack.hsm.protocol import KeyMaterial, KeyProvider, KeyReference, PublicKey
from kvstack.vault.audit_signer import IN_HSM, SOFTWARE, CheckpointSignerRow, SignerPurpose, Signing, StoreSigner
from kvstack.vault.barrier import Barrier
from kvstack.vault.caller import Caller
from kvstack.vault.credentials import WRITE, tell_sign_in_changed
from kvstack.vault.engine import Engine
from kvstack.vault.store import Store
from kvstack.vault.table import Table

if TYPE_CHECKING:
    from kvstack.vault.unlock import Unlocked

TOKENS: Final = SignerPurpose("token", Table("token_signers", CheckpointSignerRow, ("id",), (("kek",),)))
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
EVERY: Final = timedelta(days=90)
AHEAD: Final = timedelta(hours=1)
# The longest a token lives, and by how much clocks may differ, twice.
AFTERWARDS: Final = timedelta(hours=1, minutes=5)


class TokenSigner(StoreSigner):
    """The keys of one store that sign tokens."""

    def __init__(
        self,
        store: Store,
        barrier: Barrier,
        providers: Mapping[str, KeyProvider],
        kek: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(store, barrier, providers, kek, now, TOKENS)
        self._signings: dict[str, Signing] = {}

    def signing(self) -> tuple[str, Signing]:
        """Return the id of the key that signs now, and what signs by it. Raises HsmError, StoreFault."""
        kek, now = self._kek(), self._now()
        rows = [one for one in self._rows() if one.kek == kek]
        if not rows or now >= rows[-1].created + EVERY:
            rows = [*rows, self._new(kek, now - EVERY)]
        ready = [one for one in rows if now >= one.created + AHEAD]
        # The first one of all is shown to nobody before it signs.
        row = ready[-1] if ready else rows[0]
        if row.id not in self._signings:
            self._signings = {row.id: self._signing(row)}
        return row.id, self._signings[row.id]

    def public_keys(self) -> dict[str, PublicKey]:
        """Return the public half of every key whose tokens may still hold, by id."""
        rows = self._rows()
        over = self._over(rows)
        return {one.id: one.public for one in rows if one.id not in over}

    def turn(self, *, at_once: bool) -> str:
        """Make a new key, and forget those whose tokens have all ended. at_once: it signs right away, and no token of
        the others holds any more. Returns its id. Raises HsmError, StoreFault."""
        made = self._new(self._kek(), _NEVER)
        rows = self._rows()
        gone = [one for one in rows if one.id != made.id] if at_once else []
        over = self._over(rows)
        gone += [one for one in rows if one.id in over and one not in gone]
        with self._store.transaction() as tx:
            for one in gone:
                TOKENS.table.delete(tx, one.id)
            tell_sign_in_changed(tx)
        for one in gone:
            self._signings.pop(one.id, None)
            if one.provider != SOFTWARE:
                material = KeyMaterial(one.provider, one.material, one.public)
                reference = KeyReference(f"{TOKENS.word}/{one.id}", IN_HSM, material)
                self._providers["pkcs11"].destroy(reference)
        return made.id

    def _rows(self) -> list[CheckpointSignerRow]:
        """Return all keys, oldest first."""
        with self._store.reading() as tx:
            return sorted(TOKENS.table.scan(tx), key=lambda one: (one.created, one.id))

    def _over(self, rows: list[CheckpointSignerRow]) -> frozenset[str]:
        """Return the keys that others have followed so long ago that no token of theirs holds."""
        now = self._now()
        followed = pairwise(rows)
        return frozenset(one.id for one, after in followed if now >= after.created + AHEAD + AFTERWARDS)


class TokenSigningOperations(Engine):
    """What signs the tokens of those who sign in."""

    def __init__(self, unlocked: "Unlocked", *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__(unlocked, random=random)
        self._token_signer = TokenSigner(
            unlocked.store,
            unlocked.barrier,
            unlocked.providers,
            lambda: unlocked.keys.kek.id,
            unlocked.clock.now,
        )

    def token_signing(self) -> tuple[str, Signing]:
        """Return the id of the key that signs tokens, and what signs a SHA-256 digest by it: r and s side by side.
        Raises HsmError, StoreFault."""
        return self._token_signer.signing()

    def token_keys(self) -> "dict[str, PublicKey]":
        """Return the public half of every key whose tokens may still hold, by id."""
        return self._token_signer.public_keys()

    def turn_token_signer(self, caller: Caller, *, at_once: bool = False) -> str:
        """Make a new key to sign tokens with. at_once: from now on, and no token given before holds any more;
        otherwise in an hour, and those hold. Returns its id. Raises HsmError, StoreFault."""
        with self._attempt(caller, "TokenSignerTurn", self.top) as attempt:
            with attempt.look():
                attempt.require(WRITE, self.top, data=False)
            made = self._token_signer.turn(at_once=at_once)
            with attempt.transaction():
                attempt.require(WRITE, self.top, data=False)
                attempt.details.update(signer=made, at_once=str(at_once).lower())
            return made
