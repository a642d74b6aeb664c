"""Where keys come from and what is kept of them: providers, and their material under the barrier."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvstack.hsm.protocol import KeyMaterial, KeyProvider, KeyReference, ReleasingProvider
from kvstack.terms.key import KeySpecification
from kvstack.vault.engine import Engine
from kvstack.vault.errors import Unavailable
from kvstack.vault.versions import KeyVersionRow


class MaterialOperations(Engine):
    """The engine with its key providers."""

    def _provider_for(self, specification: KeySpecification) -> KeyProvider:
        """Return the provider that makes such keys."""
        if not specification.in_hsm:
            return self._provider("software")
        provider = self._providers.get("pkcs11")
        if provider is None:
            raise Unavailable(
                f"{specification.type} keys are unavailable: this vault has no HSM",
                "It was initialised without a PKCS#11 module. Install SoftHSM2, or name a module, and initialise anew.",
            )
        return provider

    def _generated(self, specification: KeySpecification, exportable: bool = False) -> KeyMaterial:
        provider = self._provider_for(specification)
        return (
            releasing(provider).generate_exportable(specification) if exportable else provider.generate(specification)
        )

    @contextmanager
    def _kept(self, specification: KeySpecification, material: KeyMaterial) -> Iterator[None]:
        """Keep generated material in the block, or let its provider forget it."""
        try:
            yield
        except BaseException:
            self._forget(KeyReference("discarded", specification, material))
            raise

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
