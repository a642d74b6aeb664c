"""Where keys come from and what is kept of them: providers, and their material under the barrier."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.hsm.protocol import KeyMaterial, KeyProvider, KeyReference, ReleasingProvider
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.vault.caller import SYSTEM
from kvstack.vault.engine import Engine
from kvstack.vault.errors import Unavailable
from kvstack.vault.pools import tokens_of
from kvstack.vault.records import Vault
from kvstack.vault.release_rows import ReleaseSignerRow, signer_context
from kvstack.vault.versions import KeyVersionRow


class MaterialOperations(Engine):
    """The engine with its key providers."""

    def _provider_for(self, specification: KeySpecification, home: Vault | None = None) -> KeyProvider:
        """Return the provider that makes such keys for a vault, or in a Managed HSM."""
        if home is not None and home.pool is not None:
            pool: KeyProvider = self._pools.keys(home)
            return pool
        if not specification.in_hsm:
            return self._provider("software")
        provider = self._providers.get("pkcs11")
        if provider is None:
            raise Unavailable(
                f"{specification.type} keys are unavailable: this vault has no HSM",
                "It was initialised without a PKCS#11 module. Install SoftHSM2, or name a module, and initialise anew.",
            )
        return provider

    def _generated(
        self, specification: KeySpecification, exportable: bool = False, home: Vault | None = None
    ) -> KeyMaterial:
        provider = self._provider_for(specification, home)
        return (
            releasing(provider).generate_exportable(specification) if exportable else provider.generate(specification)
        )

    def _sweep(self) -> tuple[str, ...]:
        """Destroy the tokens of Managed HSMs that are no more, or that never came to be; nobody else may be making any
        meanwhile. Returns words on those that could not be destroyed."""
        with self._attempt(SYSTEM, "ManagedHsmTokensDestroy", self.top) as attempt:

            def living() -> dict[str, tuple[str, ...]]:
                with attempt.look():
                    return {one.pool_id: tokens_of(one) for one in attempt.registry.vaults.values() if one.pool}

            swept = self._pools.sweep(living)
            if swept.destroyed:
                with attempt.transaction():
                    attempt.details.update(tokens=" ".join(swept.destroyed), left="; ".join(swept.left))
            return swept.left

    def _destroy_tokens(self, left: list[str]) -> None:
        """Sweep after a purge, which is done all the same where this fails: then the next sweep does it."""
        if not self._pools.present:
            return
        try:
            with self._pools.alone():
                left += self._sweep()
        except KvstackError as error:
            left.append(f"tokens are not destroyed yet, `kvstack run-due` does it: {error.diagnostics[0].summary}")

    def _pool_named(self, name: str) -> Vault | None:
        """Return the Managed HSM of this name, None for a vault's."""
        with self._store.transaction() as tx:
            found = self._current_registry(tx).vault(name)
        return found if found is not None and found.pool is not None else None

    @contextmanager
    def _kept(self, specification: KeySpecification, material: KeyMaterial) -> Iterator[None]:
        """Keep generated material in the block, or let its provider forget it."""
        try:
            yield
        except BaseException:
            self._forget(KeyReference("discarded", specification, material))
            raise

    def _signer_reference(self, row: ReleaseSignerRow) -> KeyReference:
        """Return the key a vault signs releases with as its provider takes it."""
        blob = self._barrier.open(row.vault_id, signer_context(row.vault_id), row.sealed)
        return KeyReference(f"{row.vault_id}/release", row.specification, KeyMaterial(row.provider, blob, row.public))

    def _sealed_material(self, vault_id: str, name: str, version: str, material: KeyMaterial) -> bytes:
        return self._barrier.seal(vault_id, _context(vault_id, name, version), material.blob)

    def _reference(self, row: KeyVersionRow) -> KeyReference:
        """Return a stored version as its provider takes it."""
        blob = self._barrier.open(row.vault_id, _context(row.vault_id, row.folded, row.version), row.sealed)
        return KeyReference(
            f"{row.vault_id}/{row.folded}/{row.version}",
            row.specification,
            KeyMaterial(row.provider, blob, row.public),
        )


def releasing(provider: KeyProvider) -> ReleasingProvider:
    """Return a provider as one whose keys may leave it. Raises Unavailable."""
    if not isinstance(provider, ReleasingProvider):
        raise Unavailable("exportable keys are unavailable: what holds the keys of this vault never gives them out")
    return provider


def _context(vault_id: str, name: str, version: str) -> tuple[str, ...]:
    return vault_id, "keys", name, version, "material"
