"""What the vault's snapshot says, as resources: the same types, the same spellings as a declaration's."""

from collections.abc import Iterable, Mapping
from functools import cache

from kvstack.backends.embedded.names import assignment_name
from kvstack.backends.protocol import Actual, Deletion
from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.certificate import Certificate, of_policy
from kvstack.resources.identity import Identity
from kvstack.resources.key import Key
from kvstack.resources.release_policy import written as written_release
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.rotation import Rotation, SecretRotation, secret_written, written
from kvstack.resources.secret import Secret
from kvstack.resources.vault import Approval, Network, Vault
from kvstack.schema.obstacle import Hint
from kvstack.schema.resource import Resource
from kvstack.terms.identity import identity_principal, identity_scope
from kvstack.terms.role import built_in_roles_by_id
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.scope import Scope, written_scope
from kvstack.terms.tags import owner_of, without_owner
from kvstack.vault import records
from kvstack.vault.access_policy import AccessPolicy as PolicyRecord
from kvstack.vault.assignment import RoleAssignment as AssignmentRecord
from kvstack.vault.identities import ManagedIdentity


def of_vault(vault: records.Vault, subscription: str) -> Actual[Resource]:
    """Return a vault as read."""
    return Actual(
        kind="vault",
        id=Scope(subscription, vault.resource_group, vault.name).path,
        vault="",
        resource=Vault(
            name=vault.name,
            sku=vault.sku,
            location=vault.location,
            resource_group=vault.resource_group,
            soft_delete_retention_days=vault.soft_delete_retention_days,
            purge_protection=vault.purge_protection,
            network=Network(
                default_action=vault.network.default_action,
                bypass=vault.network.bypass,
                ip_rules=frozenset(vault.network.ip_rules),
            ),
            lock=vault.lock,
            approval=None
            if vault.approval is None
            else Approval(by=frozenset(vault.approval.by), operations=frozenset(vault.approval.operations)),
            access_model=vault.access_model,
            tags=without_owner(vault.tags),
        ).resolved(),
        owner=owner_of(vault.tags),
        version=None,
        deletion=deletion_of(vault.deletion, vault),
    )


def of_key(
    key: records.Key | records.KeyVersion, vault_path: str, rotation: Rotation | None, deletion: Deletion | None = None
) -> Actual[Resource]:
    """Return a key as read, with its newest version's attributes. vault_path: its vault's scope."""
    spec = key.specification
    return Actual(
        kind="key",
        id=f"{vault_path}/keys/{key.name}",
        vault=key.vault,
        resource=Key(
            name=key.name,
            type=spec.type,
            size=spec.size,  # type: ignore[arg-type]  # the vault takes no other sizes than the declaration does
            curve=spec.curve,
            operations=key.operations,
            enabled=key.enabled,
            not_before=key.not_before,
            expires=key.expires,
            rotation=rotation,
            exportable=key.exportable,
            release_policy=written_release(key.release_policy),
            tags=without_owner(key.tags),
        ),
        owner=owner_of(key.tags),
        version=key.version,
        by_rotation=key.by_rotation,
        deletion=deletion,
    )


def of_secret(
    secret: records.Secret | records.SecretVersion,
    vault_path: str,
    rotation: SecretRotation | None,
    deletion: Deletion | None = None,
) -> Actual[Resource]:
    """Return a secret as read, with its newest version's attributes. vault_path: its vault's scope."""
    return Actual(
        kind="secret",
        id=f"{vault_path}/secrets/{secret.name}",
        vault=secret.vault,
        resource=Secret(
            name=secret.name,
            content_type=secret.content_type or None,
            enabled=secret.enabled,
            not_before=secret.not_before,
            expires=secret.expires,
            rotation=rotation,
            tags=without_owner(secret.tags),
        ),
        owner=owner_of(secret.tags),
        version=secret.version,
        fingerprint=secret.fingerprint,
        by_rotation=secret.by_rotation,
        deletion=deletion,
    )


def of_certificate(
    certificate: records.Certificate, vault_path: str, deletion: Deletion | None = None
) -> Actual[Resource]:
    """Return a certificate as read, with its newest version's attributes. vault_path: its vault's scope."""
    written = f"{certificate.vault}/{certificate.name}"
    waiting = Hint(
        "it waits for somebody to sign its request",
        f"`kvstack certificate pending show {written}` has the request, `kvstack certificate pending merge {written} "
        "--file CHAIN` takes the signed chain.",
    )
    return Actual(
        kind="certificate",
        id=f"{vault_path}/certificates/{certificate.name}",
        vault=certificate.vault,
        resource=Certificate(
            name=certificate.name,
            enabled=certificate.enabled,
            tags=without_owner(certificate.tags),
            **of_policy(certificate.policy),
        ),
        owner=owner_of(certificate.tags),
        version=certificate.version or None,
        by_rotation=certificate.by_rotation,
        deletion=deletion,
        hints=(waiting,) if certificate.pending else (),
    )


def of_identity(identity: ManagedIdentity, subscription: str) -> Actual[Resource]:
    """Return a managed identity as read."""
    return Actual(
        kind="identity",
        id=identity_scope(subscription, identity.resource_group, identity.name).path,
        vault="",
        resource=Identity(
            name=identity.name,
            location=identity.location,
            resource_group=identity.resource_group,
            tags=without_owner(identity.tags),
        ).resolved(),
        owner=owner_of(identity.tags),
    )


def identity_principals(identities: Iterable[ManagedIdentity]) -> dict[str, str]:
    """Return how a stack names each of these as a principal, by principal id."""
    return {one.principal_id: identity_principal(one.resource_group, one.name) for one in identities}


def of_assignment(
    assignment: AssignmentRecord,
    role: str,
    owner: str,
    principals: Mapping[str, str] = {},  # only read
) -> Actual[Resource]:
    """Return a role assignment as read. role: its name; owner: the stack that asks; principals: by id, those told
    otherwise."""
    return Actual(
        kind="role_assignment",
        id=assignment.id,
        vault=assignment.scope.vault,
        resource=RoleAssignment(
            principal=principals.get(assignment.principal_id, assignment.principal_id),
            principal_type=assignment.principal_type,
            role=role,
            scope=written_scope(assignment.scope),
            starts=assignment.starts,
            until=assignment.expires,
            description=assignment.description,
            condition=assignment.condition,
        ),
        named_by_us=assignment.id == assignment_name(owner, assignment),
    )


def of_access_policy(
    policy: PolicyRecord,
    home: Scope,
    owner: str,
    deletion: Deletion | None = None,
    *,
    principals: Mapping[str, str] = {},  # only read
) -> Actual[Resource]:
    """Return an access policy as read. home: its vault's scope; owner: the stack that asks; principals: by id, those
    told otherwise."""
    return Actual(
        kind="access_policy",
        id=f"{home.path}/accessPolicies/{policy.principal_id}",
        vault=home.vault,
        resource=AccessPolicy(
            principal=principals.get(policy.principal_id, policy.principal_id),
            keys=policy.keys,  # type: ignore[arg-type]  # the vault takes no other permissions than the declaration does
            secrets=policy.secrets,  # type: ignore[arg-type]
            certificates=policy.certificates,  # type: ignore[arg-type]
        ),
        named_by_us=bool(owner) and policy.declared_by == owner,
        deletion=deletion,
    )


@cache
def built_in_role_name(role_id: str) -> str | None:
    """Return the name of a built-in role, None for another's id."""
    definition = built_in_roles_by_id().get(role_id)
    return definition.name if definition is not None else None


def secret_rotation_of(policy: RotationPolicy | None) -> SecretRotation | None:
    """Return a secret's policy as a stack declares it."""
    return None if policy is None else secret_written(policy)


def rotation_of(policy: RotationPolicy | None) -> Rotation | None:
    """Return a policy as a stack declares it."""
    return None if policy is None else written(policy)


def deletion_of(own: records.Deletion | None, home: records.Vault) -> Deletion | None:
    """Return how a thing is deleted: by itself, or because its vault is."""
    deletion = own or home.deletion
    if deletion is None:
        return None
    return Deletion(
        at=deletion.deleted,
        purge_at=deletion.scheduled_purge,
        purgeable=not home.purge_protection,
        with_vault=own is None,
    )
