"""What principals sign in with beside client secrets, and under which conditions: the rows that say so.

A private key is never here: of a certificate its public half is kept, of a federated token who may have issued it.
"""

from datetime import datetime
from typing import Final

from kvstack.hsm.protocol import PublicKey
from kvstack.vault.registry import MARKS, RegistryMark
from kvstack.vault.table import Row, Table
from kvstack.vault.transaction import Transaction

READ: Final = "Microsoft.Authorization/principals/credentials/read"
WRITE: Final = "Microsoft.Authorization/principals/credentials/write"
# Of each kind that a principal may have at once.
MOST: Final = 20
_MARK: Final = "sign_in"


class ClientCertificateRow(Row, frozen=True, kw_only=True):
    """One certificate. sha256, sha1: of its DER, in hexadecimal, as `x5t#S256` and `x5t` name it."""

    principal_id: str
    id: str
    sha256: str
    sha1: str
    public: PublicKey
    description: str = ""
    created: datetime
    begins: datetime
    expires: datetime


class FederatedCredentialRow(Row, frozen=True, kw_only=True):
    """Whose tokens stand for a principal: those of this issuer, for this subject and this audience, all exactly so."""

    principal_id: str
    id: str
    name: str
    issuer: str
    subject: str
    audience: str
    created: datetime


class UsedAssertionRow(Row, frozen=True, kw_only=True):
    """An assertion that gave a token. id: the digest of what it is told apart by; until: when it ends by itself."""

    id: str
    until: datetime


class PersonCredentialRow(Row, frozen=True, kw_only=True):
    """What a person signs in with. hint, salt, digest: of his secret, as of a client secret; totp: the key of his
    authenticator, sealed; last_step: of the last code that was used; failures: wrong codes since the last right one;
    blocked_until: no code is taken before."""

    principal_id: str
    id: str
    hint: str
    salt: bytes
    digest: bytes
    totp: bytes
    description: str = ""
    created: datetime
    expires: datetime
    last_step: int = 0
    failures: int = 0
    blocked_until: datetime | None = None

    def __repr__(self) -> str:
        return f"PersonCredentialRow({self.id}, ****)"


class DeviceApprovalRow(Row, frozen=True, kw_only=True):
    """A device that somebody let in, until it fetches its token. id: the digest of its code; life: seconds its token
    lives."""

    id: str
    principal_id: str
    name: str
    credential: str
    life: int
    until: datetime


class SignInRulesRow(Row, frozen=True, kw_only=True):
    """How a principal may sign in. networks: from where, anywhere where there is none; longest: seconds its tokens
    live, 0 for as long as all; mfa: whether one factor is not enough."""

    principal_id: str
    enabled: bool = True
    networks: tuple[str, ...] = ()
    longest: int = 0
    mfa: bool = False


CLIENT_CERTIFICATES = Table("client_certificates", ClientCertificateRow, ("principal_id", "id"))
FEDERATED_CREDENTIALS = Table("federated_credentials", FederatedCredentialRow, ("principal_id", "id"))
PERSON_CREDENTIALS = Table("person_credentials", PersonCredentialRow, ("principal_id", "id"))
DEVICE_APPROVALS = Table("device_approvals", DeviceApprovalRow, ("id",))
USED_ASSERTIONS = Table("used_assertions", UsedAssertionRow, ("id",))
SIGN_IN_RULES = Table("sign_in_rules", SignInRulesRow, ("principal_id",))


def delete_credentials(tx: Transaction, principal_id: str) -> None:
    """Take away everything a principal signs in with; its client secrets are another file's."""
    for certificate in CLIENT_CERTIFICATES.scan(tx, principal_id=principal_id):
        CLIENT_CERTIFICATES.delete(tx, principal_id, certificate.id)
    for federated in FEDERATED_CREDENTIALS.scan(tx, principal_id=principal_id):
        FEDERATED_CREDENTIALS.delete(tx, principal_id, federated.id)
    for person in PERSON_CREDENTIALS.scan(tx, principal_id=principal_id):
        PERSON_CREDENTIALS.delete(tx, principal_id, person.id)
    SIGN_IN_RULES.delete(tx, principal_id)
    tell_sign_in_changed(tx)


def tell_sign_in_changed(tx: Transaction) -> None:
    """Tell every process that who may sign in, and by what, is no longer as it was."""
    MARKS.put(tx, RegistryMark(name=_MARK))


def sign_in_mark(tx: Transaction) -> int:
    """Return which state of that the store is in, from the ledger: it is in memory."""
    return tx.ledger.entry(tx.connection, tx.ledger.row_number(MARKS.name, (_MARK,))) or 0
