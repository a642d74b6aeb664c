"""What the store keeps of the keys vaults sign their releases with."""

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.key import KeySpecification
from kvstack.vault.table import Row, Table


class ReleaseSignerRow(Row, frozen=True, kw_only=True):
    """The key of one vault. sealed: what its provider wants kept, under the vault's data key; certificate: DER, signed
    by the key itself."""

    vault_id: str
    specification: KeySpecification
    public: PublicKey
    provider: str
    sealed: bytes
    certificate: bytes

    def __repr__(self) -> str:
        return f"ReleaseSignerRow({self.vault_id}, ****)"


RELEASE_SIGNERS = Table("release_signers", ReleaseSignerRow, ("vault_id",))


def signer_context(vault_id: str) -> tuple[str, ...]:
    """Return the place of a signer's key."""
    return vault_id, "release", "signer", "", "material"
