"""What the store keeps of certificates, of what is pending, of what authorities issued, and of whom to tell."""

from datetime import datetime

import msgspec

from kvstack.hsm.protocol import PublicKey
from kvstack.terms.certificate import CertificatePolicy, RevocationReason
from kvstack.terms.duration import Duration
from kvstack.vault.agenda import DatedTable
from kvstack.vault.dates import CERTIFICATE_DATES
from kvstack.vault.deletion import Deletion
from kvstack.vault.table import Row, Table


class Certificate(Row, frozen=True, kw_only=True):
    """A certificate with its newest version's attributes. version: empty while the first one is pending; not_before,
    expires: as the certificate itself says; pending: whether somebody has still to sign a request; previous_since: when
    the oldest version that the scheduler has still to disable was followed by another one; told: which of its ends
    people were told of."""

    vault_id: str
    folded: str
    vault: str
    name: str
    version: str
    policy: CertificatePolicy
    enabled: bool
    not_before: datetime | None = None
    expires: datetime | None = None
    tags: dict[str, str]
    thumbprint: str = ""
    created: datetime
    updated: datetime
    version_created: datetime
    by_rotation: bool = False
    versions: int
    pending: bool = False
    deletion: Deletion | None = None
    previous_since: datetime | None = None
    told: tuple[str, ...] = ()

    @property
    def keep_previous(self) -> Duration | None:
        """How long a version stays enabled once it was followed by another one; None for ever."""
        return self.policy.keep_previous


class IssuedBy(msgspec.Struct, frozen=True):
    """The authority in a vault of this store that issued a certificate. key_id: of its key, in hexadecimal."""

    vault_id: str
    folded: str
    vault: str
    name: str
    version: str
    key_id: str


class CertificateVersionRow(Row, frozen=True, kw_only=True):
    """One version. number: counts from 1; der: the certificate; chain: those above it, nearest first, DER."""

    vault_id: str
    folded: str
    version: str
    number: int
    der: bytes
    chain: tuple[bytes, ...]
    policy: CertificatePolicy
    enabled: bool
    not_before: datetime
    expires: datetime
    tags: dict[str, str]
    created: datetime
    updated: datetime
    by_rotation: bool = False
    issued_by: IssuedBy | None = None


class PendingRow(Row, frozen=True, kw_only=True):
    """A request that somebody else has to sign. csr: DER; sealed: what the key's provider wants kept, under the
    vault's data key."""

    vault_id: str
    folded: str
    id: str
    policy: CertificatePolicy
    csr: bytes
    public: PublicKey
    provider: str
    sealed: bytes
    reused: bool
    enabled: bool
    tags: dict[str, str]
    created: datetime

    def __repr__(self) -> str:
        return f"PendingRow({self.folded}, {self.id}, ****)"


class IssuedRow(Row, frozen=True, kw_only=True):
    """One certificate an authority issued. vault_id, folded: the authority's; serial: in hexadecimal; key_id: of the
    key it was signed by; vault, name, version: of what was issued."""

    vault_id: str
    folded: str
    serial: str
    key_id: str
    subject: str
    vault: str
    name: str
    version: str
    issued: datetime
    expires: datetime
    revoked: datetime | None = None
    reason: RevocationReason = "unspecified"


class RevocationListRow(Row, frozen=True, kw_only=True):
    """The revocation list an authority published last. vault_id, folded: the authority's; key_id: of the key it is
    signed by: an authority with a new key has another list."""

    vault_id: str
    folded: str
    key_id: str
    number: int
    published: datetime
    next_update: datetime
    der: bytes


class Issuer(Row, frozen=True, kw_only=True):
    """An issuer of a vault, under a name that policies use. provider: `kvstack` for a certificate authority in a vault
    of this store, else a company's name; authority: the former's, as VAULT/certificates/NAME."""

    vault_id: str
    folded: str
    name: str
    provider: str
    authority: str = ""
    account_id: str = ""
    organization_id: str = ""
    enabled: bool = True
    created: datetime
    updated: datetime


class Contact(msgspec.Struct, frozen=True):
    """Somebody who is told about a vault's certificates."""

    email: str
    name: str = ""
    phone: str = ""


class ContactsRow(Row, frozen=True, kw_only=True):
    """Everybody who is told about a vault's certificates."""

    vault_id: str
    contacts: tuple[Contact, ...]


CERTIFICATES = DatedTable("certificates", Certificate, ("vault_id", "folded"), CERTIFICATE_DATES)
CERTIFICATE_VERSIONS = Table("certificate_versions", CertificateVersionRow, ("vault_id", "folded", "version"))
PENDING = Table("pending_certificates", PendingRow, ("vault_id", "folded"))
ISSUED = Table("issued_certificates", IssuedRow, ("vault_id", "folded", "serial"))
REVOCATION_LISTS = Table("revocation_lists", RevocationListRow, ("vault_id", "folded", "key_id"))
ISSUERS = Table("certificate_issuers", Issuer, ("vault_id", "folded"))
CONTACTS = Table("certificate_contacts", ContactsRow, ("vault_id",))
