"""A certificate, its key and its secret: three things of one name and one version, made together."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms import limits
from kvstack.terms.certificate import CertificatePolicy
from kvstack.terms.key import Operation, possible_operations
from kvstack.terms.name import folded
from kvstack.terms.tags import problems as tag_problems
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    ISSUED,
    Certificate,
    CertificateVersionRow,
    IssuedBy,
    IssuedRow,
)
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Conflict
from kvstack.vault.events import emit_version
from kvstack.vault.items import (
    CERTIFICATE,
    KEYS,
    SECRETS,
    ItemOperations,
    attribute_problems,
    previous_since,
    version_not_found,
)
from kvstack.vault.records import CertificateVersion, Key, Secret, Vault, thumbprint
from kvstack.vault.secrets import value_context
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS, KeyVersionRow, SecretVersionRow

# A certificate authority's key signs certificates and revocation lists, by its rules, and nothing else for anybody.
_AUTHORITY_OPERATIONS: frozenset[Operation] = frozenset({"verify"})


class Issued(msgspec.Struct, frozen=True):
    """A certificate that was just signed, or came from outside. chain: those above it, nearest first, DER."""

    der: bytes
    chain: tuple[bytes, ...]
    not_before: datetime
    expires: datetime
    serial: int
    subject: str
    by: IssuedBy | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a new version is to be. id: of all three; there: the certificate as it is, None for a new one."""

    id: str
    home: Vault
    there: Certificate | None
    name: str
    policy: CertificatePolicy
    material: KeyMaterial
    issued: Issued
    enabled: bool
    tags: Mapping[str, str]
    by_rotation: bool = False


class TrioOperations(ItemOperations):
    """Keeping certificates."""

    def _keep_version(self, attempt: Attempt, new: Version) -> Certificate:
        """Write a version of all three."""
        key, home, now, issued = folded(new.name), new.home, attempt.now, new.issued
        row = CertificateVersionRow(
            vault_id=home.id,
            folded=key,
            version=new.id,
            number=new.there.versions + 1 if new.there is not None else 1,
            der=issued.der,
            chain=issued.chain,
            policy=new.policy,
            enabled=new.enabled,
            not_before=issued.not_before,
            expires=issued.expires,
            tags=dict(new.tags),
            created=now,
            updated=now,
            by_rotation=new.by_rotation,
            issued_by=issued.by,
        )
        item = Certificate(
            vault_id=home.id,
            folded=key,
            vault=home.name,
            name=new.there.name if new.there is not None else new.name,
            version=new.id,
            policy=new.policy,
            enabled=new.enabled,
            not_before=issued.not_before,
            expires=issued.expires,
            tags=dict(new.tags),
            thumbprint=thumbprint(issued.der),
            created=new.there.created if new.there is not None else now,
            updated=now,
            version_created=now,
            by_rotation=new.by_rotation,
            versions=row.number,
            previous_since=previous_since(new.there if new.there is not None and new.there.version else None, now),
        )
        self._keep_key(attempt, new, item, row.number)
        self._keep_secret(attempt, new, item, row.number)
        CERTIFICATE_VERSIONS.put(attempt.tx, row)
        CERTIFICATES.put(attempt.tx, item)
        emit_version(attempt, home, item, "NewVersionCreated")
        if issued.by is not None:
            ISSUED.put(attempt.tx, _issued_row(issued.by, issued, item, now))
        return item

    def _keep_key(self, attempt: Attempt, new: Version, item: Certificate, number: int) -> None:
        home, material, now = new.home, new.material, attempt.now
        there = KEYS.get(attempt.tx, home.id, item.folded)
        specification = new.policy.key.specification
        operations = (
            _AUTHORITY_OPERATIONS if new.policy.authority is not None else possible_operations(specification.type)
        )
        shared: dict[str, Any] = {
            "vault_id": home.id,
            "folded": item.folded,
            "version": new.id,
            "specification": specification,
            "operations": operations,
            "enabled": new.enabled,
            "not_before": new.issued.not_before,
            "expires": new.issued.expires,
            "tags": {},
            "updated": now,
            "by_rotation": new.by_rotation,
        }
        sealed = self._sealed_material(home.id, item.folded, new.id, material)
        KEY_VERSIONS.put(
            attempt.tx,
            KeyVersionRow(
                number=number, public=material.public, provider=material.provider, sealed=sealed, created=now, **shared
            ),
        )
        created = there.created if there is not None else now
        KEYS.put(
            attempt.tx,
            Key(
                vault=home.name,
                name=item.name,
                created=created,
                version_created=now,
                versions=number,
                managed=True,
                **shared,
            ),
        )

    def _keep_secret(self, attempt: Attempt, new: Version, item: Certificate, number: int) -> None:
        from kvstack.vault.certificates.exported import exported

        home, now, policy = new.home, attempt.now, new.policy
        there = SECRETS.get(attempt.tx, home.id, item.folded)
        private = new.material.blob if policy.key.exportable and not policy.key.specification.in_hsm else None
        value = exported(item.name, policy.content_type, new.issued.der, new.issued.chain, private).reveal()
        if len(value) > limits.SECRET_BYTES:
            raise BadParameter(
                f"the certificate with its chain has {len(value)} bytes: a secret takes {limits.SECRET_BYTES}"
            )
        shared: dict[str, Any] = {
            "vault_id": home.id,
            "folded": item.folded,
            "version": new.id,
            "content_type": policy.content_type,
            "fingerprint": self._barrier.fingerprint((home.folded, item.folded), value),
            "enabled": new.enabled,
            "not_before": new.issued.not_before,
            "expires": new.issued.expires,
            "tags": {},
            "updated": now,
            "by_rotation": new.by_rotation,
        }
        sealed = self._barrier.seal(home.id, value_context(home.id, item.folded, new.id), value)
        SECRET_VERSIONS.put(attempt.tx, SecretVersionRow(number=number, sealed=sealed, created=now, **shared))
        created = there.created if there is not None else now
        SECRETS.put(
            attempt.tx,
            Secret(
                vault=home.name,
                name=item.name,
                created=created,
                version_created=now,
                versions=number,
                managed=True,
                **shared,
            ),
        )

    def _current_key(self, attempt: Attempt, item: Certificate) -> KeyReference | None:
        """Return the key of a certificate's newest version, None where there is none yet."""
        row = KEY_VERSIONS.get(attempt.tx, item.vault_id, item.folded, item.version) if item.version else None
        return self._reference(row) if row is not None else None

    def _free_certificate_name(self, attempt: Attempt, home: Vault, name: str) -> Certificate | None:
        """Return the live certificate of this name. Raises Conflict where a key or a secret has it."""
        there = self._free_name(attempt, home, CERTIFICATE, name)
        if there is None:
            for word, table in (("key", KEYS), ("secret", SECRETS)):
                taken = table.get(attempt.tx, home.id, folded(name))
                if taken is not None and not taken.managed:
                    raise Conflict(
                        f"a {word} `{taken.name}` in vault `{home.name}` has the certificate's name",
                        "A certificate's key and secret have its name; choose another, or delete and purge that one.",
                    )
        return there


def certificate_version(attempt: Attempt, item: Certificate, version: str | None) -> CertificateVersionRow:
    """Return one version. Raises NotFound."""
    wanted = item.version if version is None else version
    row = CERTIFICATE_VERSIONS.get(attempt.tx, item.vault_id, item.folded, wanted) if wanted else None
    if row is None and version is None and item.pending:
        raise Conflict(
            f"the certificate `{item.name}` in vault `{item.vault}` is pending: nobody has signed its request yet",
            f"`kvstack certificate pending show {item.vault}/{item.name}` has the request.",
            inner="CertificatePending",
        )
    if row is None:
        raise version_not_found(CERTIFICATE, item, wanted)
    return row


def certificate_record(home: Vault, item: Certificate, row: CertificateVersionRow) -> CertificateVersion:
    """Return what may be known of a version."""
    by = row.issued_by
    return CertificateVersion(
        vault=home.name,
        name=item.name,
        version=row.version,
        der=row.der,
        chain=row.chain,
        policy=row.policy,
        enabled=row.enabled,
        not_before=row.not_before,
        expires=row.expires,
        tags=row.tags,
        created=row.created,
        updated=row.updated,
        by_rotation=row.by_rotation,
        recovery_level=home.recovery_level,
        authority=(by.vault, by.name) if by is not None else None,
    )


def require_valid_attributes(name: str, tags: Mapping[str, str]) -> None:
    """Refuse a name or tags no vault would take."""
    found = list(attribute_problems(CERTIFICATE, name, tags, None, None))
    if found:
        raise BadParameter.of(found)


def require_valid_tags(tags: Mapping[str, str]) -> None:
    """Refuse tags no vault would take."""
    found = [(f"tags.{tag}" if tag else "tags", words) for tag, words in tag_problems(tags)]
    if found:
        raise BadParameter.of(found)


def _issued_row(by: IssuedBy, issued: Issued, item: Certificate, now: datetime) -> IssuedRow:
    return IssuedRow(
        vault_id=by.vault_id,
        folded=by.folded,
        serial=f"{issued.serial:x}",
        key_id=by.key_id,
        subject=issued.subject,
        vault=item.vault,
        name=item.name,
        version=item.version,
        issued=now,
        expires=issued.expires,
    )
