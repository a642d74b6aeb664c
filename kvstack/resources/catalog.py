"""All resource types there are. A new one is a file beside this one and a line here."""

from functools import cache

from kvstack.resources.access_policy import AccessPolicy
from kvstack.resources.alert import Alert
from kvstack.resources.certificate import Certificate
from kvstack.resources.contact_list import ContactList
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.event_subscription import EventSubscription
from kvstack.resources.hsm_key import HsmKey
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.identity import Identity
from kvstack.resources.issuer import Issuer
from kvstack.resources.key import Key
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.resources.secret import Secret
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource

RESOURCES: tuple[type[Resource], ...] = (
    Vault,
    Key,
    Secret,
    Certificate,
    Issuer,
    ContactList,
    RoleAssignment,
    RoleDefinition,
    DenyAssignment,
    AccessPolicy,
    ManagedHsm,
    HsmKey,
    HsmRoleDefinition,
    HsmRoleAssignment,
    Identity,
    EventSubscription,
    Alert,
)
BY_KIND: dict[str, type[Resource]] = {resource.kind: resource for resource in RESOURCES}
# What things are in, each under its section of a declaration.
CONTAINERS: dict[str, type[Resource]] = {Vault.collection: Vault, ManagedHsm.collection: ManagedHsm}
# What stands beside them, under a section of the stack's own, and reaches wider than one of them.
BESIDE: dict[str, type[Resource]] = {
    resource.collection: resource
    for resource in (RoleAssignment, Identity, RoleDefinition, DenyAssignment, EventSubscription, Alert)
}


@cache
def inside(container: type[Resource]) -> tuple[type[Resource], ...]:
    """Return the resource types whose things stand in one of these."""
    return tuple(resource for resource in RESOURCES if resource.parent is container)
