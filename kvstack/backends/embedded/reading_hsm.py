"""What the embedded vault says of Managed HSMs and of what is in them, as resources."""

from collections.abc import Mapping
from functools import cache

import msgspec

from kvstack.backends.embedded.names import local_assignment_name, local_role_name
from kvstack.backends.embedded.reading import deletion_of, of_key
from kvstack.backends.protocol import Actual, Deletion
from kvstack.resources.hsm_key import HsmKey
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.rotation import Rotation
from kvstack.schema.obstacle import Hint
from kvstack.schema.resource import Resource
from kvstack.terms.local_role import local_roles
from kvstack.terms.scope import Scope
from kvstack.terms.tags import owner_of, without_owner
from kvstack.vault import records
from kvstack.vault.local_access import LocalAssignment, LocalRole


def of_managed_hsm(pool: records.Vault, subscription: str) -> Actual[Resource]:
    """Return a Managed HSM as read."""
    own = pool.pool
    assert own is not None  # noqa: S101  # the snapshot has told them apart
    waiting = Hint(
        "it waits for its activation",
        f"`kvstack hsm security-domain download {pool.name} --custodian FILE... --quorum N --file F`.",
    )
    return Actual(
        kind="managed_hsm",
        id=path_of(pool, subscription),
        vault="",
        resource=ManagedHsm(
            name=pool.name,
            location=pool.location,
            resource_group=pool.resource_group,
            soft_delete_retention_days=pool.soft_delete_retention_days,
            purge_protection=pool.purge_protection,
            administrators=frozenset(own.administrators),
            tokens=len(own.tokens),
            tags=without_owner(pool.tags),
        ),
        owner=owner_of(pool.tags),
        deletion=deletion_of(pool.deletion, pool),
        hints=(waiting,) if own.activated is None and pool.deletion is None else (),
    )


def of_hsm_key(
    key: records.Key | records.KeyVersion,
    vault_path: str,
    rotation: Rotation | None,
    deletion: Deletion | None = None,
) -> Actual[Resource]:
    """Return a key of a Managed HSM as read: as a vault's, of another resource type."""
    read = of_key(key, vault_path, rotation, deletion)
    own = {field: getattr(read.resource, field) for field in HsmKey.__struct_fields__}
    return msgspec.structs.replace(read, kind="hsm_key", resource=HsmKey(**own))


def of_local_role(role: LocalRole, hsm: str, owner: str, deletion: Deletion | None = None) -> Actual[Resource]:
    """Return a role of a Managed HSM's own as read. owner: the stack that asks."""
    definition = role.definition
    return Actual(
        kind="hsm_role_definition",
        id=role.id,
        vault=hsm,
        resource=HsmRoleDefinition(
            name=definition.name,
            data_actions=frozenset(definition.data_actions),
            not_data_actions=frozenset(definition.not_data_actions),
            description=definition.description,
        ),
        named_by_us=role.id == local_role_name(owner, hsm, definition.name),
        deletion=deletion,
    )


def of_local_assignment(
    given: LocalAssignment,
    hsm: str,
    role: str,
    owner: str,
    deletion: Deletion | None = None,
    principals: Mapping[str, str] = {},  # only read
) -> Actual[Resource]:
    """Return an assignment inside a Managed HSM as read. owner: the stack that asks; principals: by id, those told
    otherwise."""
    return Actual(
        kind="hsm_role_assignment",
        id=given.id,
        vault=hsm,
        resource=HsmRoleAssignment(
            principal=principals.get(given.principal_id, given.principal_id),
            principal_type=given.principal_type,
            role=role,
            scope=given.scope,
        ),
        named_by_us=given.id == local_assignment_name(owner, hsm, given.scope, role, given.principal_id),
        deletion=deletion,
    )


@cache
def local_role_name_of(role_id: str) -> str:
    """Return the name of a built-in local role, its id where there is none."""
    definition = local_roles().get(role_id)
    return definition.name if definition is not None else role_id


def path_of(vault: records.Vault, subscription: str) -> str:
    """Return the path of a vault or a Managed HSM."""
    return Scope(subscription, vault.resource_group, vault.name, managed_hsm=vault.pool is not None).path
