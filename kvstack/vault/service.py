"""The one front door of the vault: every operation is a caller's, authorised, done, audited and committed at once."""

from kvstack.vault.access_policies import AccessPolicyOperations
from kvstack.vault.access_questions import AccessQuestions
from kvstack.vault.access_review import AccessReviewOperations
from kvstack.vault.activations import ActivationOperations
from kvstack.vault.approvals import ApprovalOperations
from kvstack.vault.attestation_authorities import AttestationAuthorityOperations
from kvstack.vault.audit_operations import AuditOperations
from kvstack.vault.calendar import CalendarOperations
from kvstack.vault.certificates.backup import CertificateBackupOperations
from kvstack.vault.certificates.importing import ImportOperations
from kvstack.vault.certificates.issuers import IssuerOperations
from kvstack.vault.client_certificates import ClientCertificateOperations
from kvstack.vault.client_secrets import ClientSecretOperations
from kvstack.vault.credential_operations import CredentialOperations
from kvstack.vault.deliveries import DeliveryOperations
from kvstack.vault.denials import DenialOperations
from kvstack.vault.due import DueOperations
from kvstack.vault.federated_credentials import FederatedCredentialOperations
from kvstack.vault.identities import IdentityOperations
from kvstack.vault.interactive_sign_in import InteractiveSignInOperations
from kvstack.vault.key_import import KeyImportOperations
from kvstack.vault.key_release import KeyReleaseOperations
from kvstack.vault.key_use import KeyUseOperations
from kvstack.vault.local_roles import LocalRoleOperations
from kvstack.vault.managed_hsms import ManagedHsmOperations
from kvstack.vault.name_availability import NameAvailabilityOperations
from kvstack.vault.next_due import NextDueOperations
from kvstack.vault.own_security_domain import OwnSecurityDomainOperations
from kvstack.vault.pages import PageOperations
from kvstack.vault.pool_backup import PoolBackupOperations
from kvstack.vault.pool_settings import PoolSettingOperations
from kvstack.vault.principals import PrincipalOperations
from kvstack.vault.randomness import RandomOperations
from kvstack.vault.resource_groups import ResourceGroupOperations
from kvstack.vault.retention import RetentionOperations
from kvstack.vault.role_definitions import RoleDefinitionOperations
from kvstack.vault.rotation import RotationOperations
from kvstack.vault.rotation_status import RotationStatusOperations
from kvstack.vault.secrets import SecretOperations
from kvstack.vault.security_domain_transfers import SecurityDomainTransferOperations
from kvstack.vault.snapshot import SnapshotOperations
from kvstack.vault.throttled import ThrottledOperations
from kvstack.vault.token_signing import TokenSigningOperations
from kvstack.vault.transfer import TransferOperations
from kvstack.vault.vaults import VaultOperations


class VaultService(
    DueOperations,
    NextDueOperations,
    RetentionOperations,
    ThrottledOperations,
    CalendarOperations,
    DeliveryOperations,
    TransferOperations,
    AccessPolicyOperations,
    VaultOperations,
    ManagedHsmOperations,
    OwnSecurityDomainOperations,
    SecurityDomainTransferOperations,
    PoolBackupOperations,
    PoolSettingOperations,
    LocalRoleOperations,
    ApprovalOperations,
    KeyUseOperations,
    KeyImportOperations,
    KeyReleaseOperations,
    AttestationAuthorityOperations,
    CertificateBackupOperations,
    RandomOperations,
    SecretOperations,
    PageOperations,
    ImportOperations,
    IssuerOperations,
    RotationOperations,
    RotationStatusOperations,
    ActivationOperations,
    RoleDefinitionOperations,
    DenialOperations,
    AccessQuestions,
    AccessReviewOperations,
    PrincipalOperations,
    InteractiveSignInOperations,
    CredentialOperations,
    TokenSigningOperations,
    FederatedCredentialOperations,
    ClientCertificateOperations,
    ClientSecretOperations,
    IdentityOperations,
    ResourceGroupOperations,
    NameAvailabilityOperations,
    SnapshotOperations,
    AuditOperations,
):
    """Vaults, keys, secrets, certificates and who may reach them. Safe to call from several threads at once.

    All methods raise VaultError for what is refused, and other KvstackErrors where the store or the HSM fail. Names are
    compared without case and kept as first spelled. Each part is in the file of its concept.
    """
