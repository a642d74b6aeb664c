"""Requests that somebody else signs: shown, cancelled, and merged with the chain that came back."""

from collections.abc import Mapping

import msgspec

from kvstack.hsm.protocol import KeyMaterial
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.operations import CREATE, UPDATE, CertificateOperations
from kvstack.vault.certificates.rows import CERTIFICATES, PENDING, Certificate, PendingRow
from kvstack.vault.certificates.trio import Issued, Version, require_valid_tags
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import Conflict, NotFound
from kvstack.vault.items import CERTIFICATE, live, pending_context
from kvstack.vault.records import PendingCertificate, Vault


class PendingOperations(CertificateOperations):
    """What can be done with a pending request."""

    def get_pending_certificate(self, caller: Caller, vault: str, name: str) -> PendingCertificate:
        """Return the request that somebody has to sign."""
        with (
            self._attempt(caller, "CertificatePendingGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item, row = _pending(attempt, home, name)
            return PendingCertificate(
                vault=home.name, name=item.name, id=row.id, policy=row.policy, csr=row.csr, created=row.created
            )

    def cancel_pending_certificate(self, caller: Caller, vault: str, name: str) -> Certificate | None:
        """Give a request up and destroy its key. Returns the certificate as it was before; None where there was none:
        then it is gone."""
        with (
            self._attempt(caller, "CertificatePendingCancel", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, UPDATE, f"certificates/{name}")
            item, _ = _pending(attempt, home, name)
            attempt.at_item(home, f"certificates/{item.name}")
            if not item.version:
                self._purge_content(attempt, item)
                return None
            self._drop_pending(attempt, item)
            changed = msgspec.structs.replace(item, pending=False, updated=attempt.now)
            CERTIFICATES.put(attempt.tx, changed)
            return changed

    def merge_certificate(
        self, caller: Caller, vault: str, name: str, content: bytes, *, tags: Mapping[str, str] | None = None
    ) -> Certificate:
        """Complete a pending request with the certificate made from it and those above. content: PEM in any order, or
        the one certificate in DER; tags: instead of those it was ordered with. Raises BadParameter, and keeps nothing,
        where the chain does not hold."""
        with (
            self._attempt(caller, "CertificateMerge", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, CREATE, f"certificates/{name}")
            item, row = _pending(attempt, home, name)
            attempt.at_item(home, f"certificates/{item.name}")
            if tags is not None:
                require_valid_tags(tags)
            issued = _merged(attempt, row, content)
            blob = self._barrier.open(home.id, pending_context(home.id, row.folded, row.id), row.sealed)
            new = Version(
                id=row.id,
                home=home,
                there=item,
                name=item.name,
                policy=row.policy,
                material=KeyMaterial(row.provider, blob, row.public),
                issued=issued,
                enabled=row.enabled,
                tags=row.tags if tags is None else tags,
            )
            # The version takes the key over: it is not to be forgotten with the request.
            PENDING.delete(attempt.tx, row.vault_id, row.folded)
            merged = self._keep_version(attempt, new)
            if item.policy == row.policy:
                return merged
            # The policy was changed while the request was out: it is about the next version.
            merged = msgspec.structs.replace(merged, policy=item.policy)
            CERTIFICATES.put(attempt.tx, merged)
            return merged


def _merged(attempt: Attempt, row: PendingRow, content: bytes) -> Issued:
    from cryptography.hazmat.primitives.serialization import Encoding

    from kvstack.vault.certificates import chain, reading
    from kvstack.vault.certificates.signer import public_key

    held = chain.ordered(reading.certificates(content), public_key(row.public), attempt.now)
    own, *above = held
    begins, ends = reading.validity(own)
    return Issued(
        der=own.public_bytes(Encoding.DER),
        chain=tuple(one.public_bytes(Encoding.DER) for one in above),
        not_before=begins,
        expires=ends,
        serial=own.serial_number,
        subject=own.subject.rfc4514_string(),
    )


def _pending(attempt: Attempt, home: Vault, name: str) -> tuple[Certificate, PendingRow]:
    item = live(attempt, home, CERTIFICATE, name)
    row = PENDING.get(attempt.tx, home.id, item.folded)
    if row is None:
        raise NotFound(
            f"the certificate `{item.name}` in vault `{home.name}` has no pending request",
            "One with the issuer `Unknown` has, from its making until it is merged or cancelled.",
            code="PendingCertificateNotFound",
        )
    if not item.pending:
        raise Conflict(f"the certificate `{item.name}` in vault `{home.name}` was changed meanwhile", "Try again.")
    return item, row
