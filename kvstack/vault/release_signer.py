"""The key a vault signs its releases with: made at the first one, of the vault alone, used for nothing else."""

from datetime import UTC, datetime

import msgspec

from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms.certificate import CertificateKey, CertificatePolicy
from kvstack.terms.key import KeySpecification
from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.items import KEY
from kvstack.vault.keys import KeyOperations
from kvstack.vault.records import Vault
from kvstack.vault.release_rows import RELEASE_SIGNERS, ReleaseSignerRow, signer_context

_BITS = 2048
# RFC 5280, 4.1.2.5: what a certificate says that has no well-defined end. Whoever trusts it pins it.
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Signer(msgspec.Struct, frozen=True):
    """The key, ready for use, and its certificate, DER."""

    key: KeyReference
    certificate: bytes


class ReleaseSignerOperations(KeyOperations):
    """Who signs releases."""

    def release_certificate(self, caller: Caller, vault: str) -> bytes:
        """Return the certificate of the key this vault signs its releases with, DER, for whoever is to verify them. It
        is made where there is none yet."""
        with self._attempt(caller, "KeyReleaseCertificateGet", self._scope(vault)) as attempt:
            with attempt.look():
                home = attempt.vault(vault, KEY.read)
            signer = self._release_signer(home)
            with attempt.transaction():
                attempt.vault(vault, KEY.read)
            return signer.certificate

    def _release_signer(self, home: Vault) -> Signer:
        """Return the vault's signer, made where there is none yet."""
        with self._store.transaction() as tx:
            row = RELEASE_SIGNERS.get(tx, home.id)
        return self._ready(row if row is not None else self._made_signer(home))

    def _made_signer(self, home: Vault) -> ReleaseSignerRow:
        """Make the key and its certificate, and keep them unless another process was faster."""
        in_hsm = home.pool is not None or (home.sku == "premium" and "pkcs11" in self._providers)
        specification = KeySpecification("RSA-HSM" if in_hsm else "RSA", _BITS)
        material = self._generated(specification, home=home)
        with (
            self._kept(specification, material),
            self._attempt(SYSTEM, "KeyReleaseSignerMake", self._scope(home)) as attempt,
        ):
            made = ReleaseSignerRow(
                vault_id=home.id,
                specification=specification,
                public=material.public,
                provider=material.provider,
                sealed=self._barrier.seal(home.id, signer_context(home.id), material.blob),
                certificate=self._certificate(home, specification, material),
            )
            with attempt.transaction():
                there = RELEASE_SIGNERS.get(attempt.tx, home.id)
                if there is None:
                    RELEASE_SIGNERS.put(attempt.tx, made)
        if there is not None:
            self._forget(KeyReference("discarded", specification, material))
        return there or made

    def _certificate(self, home: Vault, specification: KeySpecification, material: KeyMaterial) -> bytes:
        from kvstack.vault.certificates.building import certificate
        from kvstack.vault.certificates.signer import public_key, signer

        policy = CertificatePolicy(
            subject=f"CN={home.name} key release",
            key=CertificateKey(type="RSA", size=_BITS),
            key_usage=frozenset({"digitalSignature"}),
            extended_key_usage=frozenset(),
        )
        key = KeyReference(f"{home.id}/release", specification, material)
        return certificate(
            policy,
            public_key(material.public),
            serial=int.from_bytes(self._random(16), "big") >> 1,
            not_before=self._clock.now().replace(microsecond=0),
            not_after=_NEVER,
            path_length=None,
            issuing=None,
            signing=signer(self._provider(material.provider), key),
        )

    def _ready(self, row: ReleaseSignerRow) -> Signer:
        return Signer(self._signer_reference(row), row.certificate)
