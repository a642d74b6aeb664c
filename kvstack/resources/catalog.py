"""All resource types there are. A new one is a file beside this one and a line here."""

from kvstack.resources.certificate import Certificate
from kvstack.resources.key import Key
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.secret import Secret
from kvstack.resources.vault import Vault
from kvstack.schema.resource import Resource

RESOURCES: tuple[type[Resource], ...] = (Vault, Key, Secret, Certificate, RoleAssignment)
BY_KIND: dict[str, type[Resource]] = {resource.kind: resource for resource in RESOURCES}
NAMED_IN_A_VAULT: tuple[type[Resource], ...] = tuple(
    resource for resource in RESOURCES if resource.parent is Vault and not resource.listed
)
IN_A_VAULT: tuple[type[Resource], ...] = tuple(resource for resource in RESOURCES if resource.parent is Vault)
