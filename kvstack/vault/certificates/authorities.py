"""Certificate authorities in a vault: which certificate issues which, what was issued, and what of it is revoked."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from kvstack.hsm.protocol import KeyReference
from kvstack.terms.certificate import CertificatePolicy, RevocationReason
from kvstack.vault import errors
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import (
    ISSUED,
    ISSUERS,
    REVOCATION_LISTS,
    Certificate,
    CertificateVersionRow,
    IssuedBy,
    IssuedRow,
    RevocationListRow,
)
from kvstack.vault.certificates.trio import TrioOperations, certificate_version
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.items import CERTIFICATE, KEY, live
from kvstack.vault.records import Vault
from kvstack.vault.versions import KEY_VERSIONS

if TYPE_CHECKING:
    from cryptography import x509

# Whoever may have an authority's key sign may have it issue and revoke, by the authority's rules: its key signs nothing
# else, since its operations do not hold `sign`.
SIGN = KEY.action("sign/action")
LIST_DAYS = 7
_LIST_DAYS_RANGE = (1, 366)


class Authority(msgspec.Struct, frozen=True):
    """A certificate authority, ready to sign. above: its certificate and those above it, nearest first; key_id: of its
    key, in hexadecimal."""

    home: Vault
    item: Certificate
    row: CertificateVersionRow
    above: "tuple[x509.Certificate, ...]"
    key: KeyReference
    key_id: str

    @property
    def certificate(self) -> "x509.Certificate":
        """The authority's own certificate."""
        return self.above[0]

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What stands above what it issues, DER."""
        return (self.row.der, *self.row.chain)

    @property
    def link(self) -> IssuedBy:
        """What is kept beside everything it issues."""
        return IssuedBy(
            self.item.vault_id, self.item.folded, self.home.name, self.item.name, self.row.version, self.key_id
        )


class AuthorityOperations(TrioOperations):
    """What certificate authorities do."""

    def revoke_certificate(
        self,
        caller: Caller,
        vault: str,
        name: str,
        *,
        version: str | None = None,
        reason: RevocationReason = "unspecified",
    ) -> IssuedRow:
        """Revoke a version of a certificate that an authority of this store issued. The revocation is in the next list
        the authority publishes. Twice is no error."""
        with (
            self._attempt(caller, "CertificateRevoke", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            row = certificate_version(attempt, item, version)
            by = row.issued_by
            if by is None:
                raise BadParameter(
                    f"the certificate `{item.name}` was not issued by an authority of this store",
                    "Whoever issued it revokes it; one that signed itself is deleted where it is trusted.",
                )
            serial = f"{_serial(row.der):x}"
            return self._revoked(attempt, by.vault, by.name, serial, reason)

    def revoke_issued(
        self,
        caller: Caller,
        vault: str,
        name: str,
        serial: str,
        *,
        reason: RevocationReason = "unspecified",
    ) -> IssuedRow:
        """Revoke what this authority issued under a serial number (hexadecimal), whether it is still in a vault or
        not."""
        with (
            self._attempt(caller, "CertificateRevoke", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.transaction(),
        ):
            return self._revoked(attempt, vault, name, serial.lower().replace(":", "").lstrip("0"), reason)

    def list_issued(self, caller: Caller, vault: str, name: str) -> tuple[IssuedRow, ...]:
        """Return what an authority issued, oldest first."""
        with (
            self._attempt(caller, "CertificateListIssued", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            rows = ISSUED.scan(attempt.tx, vault_id=home.id, folded=item.folded)
            return tuple(sorted(rows, key=lambda row: (row.issued, row.serial)))

    def publish_revocation_list(
        self, caller: Caller, vault: str, name: str, *, version: str | None = None, valid_days: int = LIST_DAYS
    ) -> RevocationListRow:
        """Sign a new list of what an authority revoked and is not expired, and keep it as the one to be had. version:
        of the authority, whose key issued what the list is about."""
        least, most = _LIST_DAYS_RANGE
        with self._attempt(caller, "RevocationListPublish", self._scope(vault, f"certificates/{name}")) as attempt:

            def looked() -> tuple[Authority, RevocationListRow | None, list[IssuedRow]]:
                authority = self._authority(attempt, vault, name, version)
                if not least <= valid_days <= most:
                    raise BadParameter(f"a revocation list holds {least}-{most} days, not {valid_days}")
                last = REVOCATION_LISTS.get(
                    attempt.tx, authority.item.vault_id, authority.item.folded, authority.key_id
                )
                revoked = [
                    row
                    for row in ISSUED.scan(attempt.tx, vault_id=authority.item.vault_id, folded=authority.item.folded)
                    if row.revoked is not None and row.key_id == authority.key_id and row.expires > attempt.now
                ]
                return authority, last, revoked

            with attempt.look():
                authority, last, revoked = looked()
            number = last.number + 1 if last is not None else 1
            made = self._signed_list(authority, revoked, number, attempt.now, valid_days)
            with attempt.transaction():
                now, again, now_revoked = looked()
                if again != last or now_revoked != revoked or now.row.version != authority.row.version:
                    raise Conflict("another list was published, or more was revoked, meanwhile", "Try again.")
                attempt.subject = self._scope(authority.home, f"certificates/{authority.item.name}")
                attempt.details.update(number=str(number), revoked=str(len(revoked)))
                REVOCATION_LISTS.put(attempt.tx, made)
            return made

    def get_revocation_list(self, caller: Caller, vault: str, name: str) -> RevocationListRow:
        """Return the list published last. Raises NotFound where none was."""
        with (
            self._attempt(caller, "RevocationListGet", self._scope(vault, f"certificates/{name}")) as attempt,
            attempt.reading(),
        ):
            home = attempt.vault(vault, CERTIFICATE.read, f"certificates/{name}")
            item = live(attempt, home, CERTIFICATE, name)
            found = REVOCATION_LISTS.scan(attempt.tx, vault_id=home.id, folded=item.folded)
            if not found:
                raise NotFound(
                    f"the authority `{item.name}` in vault `{home.name}` has published no revocation list",
                    f"`kvstack certificate crl {home.name}/{item.name} --file FILE` publishes one.",
                    code="RevocationListNotFound",
                )
            return max(found, key=lambda row: row.published)

    def _authority_of(self, attempt: Attempt, home: Vault, policy: CertificatePolicy) -> Authority | None:
        """Return the authority a policy names; None where nobody of this store signs. Raises BadParameter for an issuer
        the vault cannot reach."""
        if policy.issuer in ("Self", "Unknown"):
            return None
        return self._authority(attempt, *self._authority_path(attempt, home, policy))

    @staticmethod
    def _authority_path(attempt: Attempt, home: Vault, policy: CertificatePolicy) -> tuple[str, str]:
        """Return the vault and name of the authority a policy names, whether it is there or not."""
        path = policy.authority_path
        if path is None:
            issuer = ISSUERS.get(attempt.tx, home.id, policy.issuer.lower())
            if issuer is None:
                raise BadParameter(
                    f"issuer: vault `{home.name}` has no issuer `{policy.issuer}`",
                    "Use `Self`, `Unknown`, an authority as VAULT/certificates/NAME, or make the issuer: "
                    "`kvstack certificate issuer create`.",
                )
            if not issuer.enabled:
                raise Forbidden(f"the issuer `{issuer.name}` of vault `{home.name}` is disabled")
            match issuer.authority.split("/"):
                case [vault, _, name]:
                    path = vault, name
                case _:
                    raise BadParameter(
                        f"issuer: `{issuer.name}` is `{issuer.provider}`, which this vault cannot ask",
                        "Use `Unknown`, have them sign the request, and merge what they send.",
                    )
        return path

    def _authority(self, attempt: Attempt, vault: str, name: str, version: str | None = None) -> Authority:
        """Return an authority the caller may have sign. Raises VaultError."""
        from kvstack.vault.certificates import reading
        from kvstack.vault.certificates.building import key_identifier

        subject = attempt.subject
        home = attempt.vault(vault, SIGN, f"keys/{name}")
        attempt.subject = subject
        item = live(attempt, home, CERTIFICATE, name)
        row = certificate_version(attempt, item, version)
        words = f"the certificate authority `{item.name}` in vault `{home.name}`"
        if row.policy.authority is None:
            raise BadParameter(
                f"the certificate `{item.name}` in vault `{home.name}` is no certificate authority",
                "One that is has `authority` in its policy.",
            )
        if not row.enabled:
            raise Forbidden(f"{words} is disabled", inner="CertificateDisabled")
        if attempt.now >= row.expires:
            raise BadParameter(f"{words} has expired, on {errors.day(row.expires)}", "Renew it first.")
        key_row = KEY_VERSIONS.get(attempt.tx, row.vault_id, row.folded, row.version)
        if key_row is None:
            raise NotFound(f"{words} has no key", code="KeyNotFound")
        above = tuple(reading.certificate(der) for der in (row.der, *row.chain))
        key_id = key_identifier(above[0]).digest.hex()
        return Authority(home, item, row, above, self._reference(key_row), key_id)

    def _revoked(self, attempt: Attempt, vault: str, name: str, serial: str, reason: RevocationReason) -> IssuedRow:
        subject = attempt.subject
        home = attempt.vault(vault, SIGN, f"keys/{name}")
        attempt.subject = subject
        item = live(attempt, home, CERTIFICATE, name)
        row = ISSUED.get(attempt.tx, home.id, item.folded, serial)
        if row is None:
            raise errors.not_found(
                "certificate with the serial number", serial, f" issued by `{home.name}/{item.name}`"
            )
        attempt.details.update(authority=f"{home.name}/{item.name}", serial=serial, reason=reason)
        if row.revoked is not None:
            return row
        changed = msgspec.structs.replace(row, revoked=attempt.now, reason=reason)
        ISSUED.put(attempt.tx, changed)
        return changed

    def _signed_list(
        self, authority: Authority, revoked: list[IssuedRow], number: int, now: datetime, days: int
    ) -> RevocationListRow:
        from kvstack.vault.certificates.building import Revoked, revocation_list
        from kvstack.vault.certificates.signer import signer

        now = now.replace(microsecond=0)
        next_update = now + timedelta(days=days)
        signing = signer(self._provider(authority.key.material.provider), authority.key)
        der = revocation_list(
            authority.certificate,
            [Revoked(int(row.serial, 16), row.revoked or now, row.reason) for row in revoked],
            number=number,
            this_update=now,
            next_update=next_update,
            signing=signing,
        )
        return RevocationListRow(
            vault_id=authority.item.vault_id,
            folded=authority.item.folded,
            key_id=authority.key_id,
            number=number,
            published=now,
            next_update=next_update,
            der=der,
        )


def _serial(der: bytes) -> int:
    from kvstack.vault.certificates.reading import certificate

    found: Any = certificate(der).serial_number
    return int(found)
