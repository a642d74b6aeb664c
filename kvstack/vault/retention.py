"""What an answer tells beside what was done: a vault's soft delete, a key's public half."""

import msgspec

from kvstack.terms.name import folded
from kvstack.terms.recovery import RecoveryLevel
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.certificates.rows import CERTIFICATE_VERSIONS, CERTIFICATES
from kvstack.vault.certificates.trio import certificate_record
from kvstack.vault.errors import NotFound
from kvstack.vault.keys import KeyOperations, key_record
from kvstack.vault.records import Certificate, CertificateVersion, Key, KeyVersion, Vault
from kvstack.vault.versions import KEY_VERSIONS


class Retention(msgspec.Struct, frozen=True):
    """A vault's soft delete. days: what is deleted is kept."""

    level: RecoveryLevel
    days: int


class RetentionOperations(KeyOperations):
    """What is known to whom a vault has just answered. None of it is audited: it goes with another operation."""

    def retention(self, vault: str) -> Retention | None:
        """Return a vault's soft delete, as the last operation saw it; None where there is no such vault."""
        there = self._registry.vault(vault) if self._registry is not None else None
        return Retention(there.recovery_level, there.soft_delete_retention_days) if there is not None else None

    def is_managed_hsm(self, vault: str) -> bool | None:
        """Tell whether a name is a Managed HSM's; None where nothing has it. What the last operation saw is enough: a
        name goes from one kind to the other only by a purge, and access is decided by the operation itself."""
        there = self._registry.vault(vault) if self._registry is not None else None
        if there is None:
            with self._store.reading() as tx:
                there = self._current_registry(tx).vault(vault)
        return there.pool is not None if there is not None else None

    def access_policies_of(self, vault: Vault) -> tuple[AccessPolicy, ...]:
        """Return the access policies of a vault that an operation has just given to its caller, by principal: who sees
        a vault sees them, as on Azure."""
        with self._store.transaction() as tx:
            registry = self._current_registry(tx)
            there = registry.vault(vault.name)
            found = registry.policies(there).by_principal if there is not None and there.id == vault.id else {}
        return tuple(found[principal] for principal in sorted(found))

    def newest_version(self, key: Key) -> KeyVersion:
        """Return the newest version of a key, deleted or not, that an operation has just given to its caller."""
        with self._store.reading() as tx:
            home = self._current_registry(tx).vault(key.vault)
            row = KEY_VERSIONS.get(tx, key.vault_id, key.folded, key.version)
        if home is None or row is None:
            raise NotFound(f"there is no key `{key.name}` any more", code="KeyNotFound")
        return key_record(home, key, row)

    def newest_certificate(self, certificate: Certificate) -> CertificateVersion:
        """Return the newest version of a certificate, deleted or not, that an operation has just given to its
        caller."""
        return self.told_certificate(certificate.vault, certificate.name, None)

    def told_certificate(self, vault: str, name: str, version: str | None) -> CertificateVersion:
        """Return a version of a certificate, the newest where none is named, that an operation has just changed."""
        with self._store.reading() as tx:
            home = self._current_registry(tx).vault(vault)
            item = CERTIFICATES.get(tx, home.id, folded(name)) if home is not None else None
            row = (
                CERTIFICATE_VERSIONS.get(tx, item.vault_id, item.folded, version or item.version)
                if item is not None
                else None
            )
        if home is None or item is None or row is None:
            raise NotFound(f"there is no certificate `{name}` any more", code="CertificateNotFound")
        return certificate_record(home, item, row)
