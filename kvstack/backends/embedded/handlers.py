"""Which handler makes and changes a resource type in the embedded vault; loaded when needed: a plan needs none."""

from typing import Any

from kvstack.backends.embedded.places import Places
from kvstack.vault.caller import Caller
from kvstack.vault.service import VaultService


def handler(  # noqa: C901  # a case a resource type
    kind: str, service: VaultService, caller: Caller, places: Places, owner: str
) -> Any:
    """Return the handler of a resource type, None where the embedded vault has none. owner: the stack it works for."""
    match kind:
        case "vault":
            from kvstack.backends.embedded.vault import VaultHandler

            return VaultHandler(service, caller, places)
        case "key":
            from kvstack.backends.embedded.key import KeyHandler

            return KeyHandler(service, caller, places)
        case "secret":
            from kvstack.backends.embedded.secret import SecretHandler

            return SecretHandler(service, caller, places)
        case "certificate":
            from kvstack.backends.embedded.certificate import CertificateHandler

            return CertificateHandler(service, caller, places)
        case "issuer":
            from kvstack.backends.embedded.issuer import IssuerHandler

            return IssuerHandler(service, caller, places)
        case "contact_list":
            from kvstack.backends.embedded.contact_list import ContactListHandler

            return ContactListHandler(service, caller, places)
        case "role_assignment":
            from kvstack.backends.embedded.role_assignment import RoleAssignmentHandler

            return RoleAssignmentHandler(service, caller, places, owner)
        case "role_definition":
            from kvstack.backends.embedded.role_definition import RoleDefinitionHandler

            return RoleDefinitionHandler(service, caller, places, owner)
        case "deny_assignment":
            from kvstack.backends.embedded.deny_assignment import DenyAssignmentHandler

            return DenyAssignmentHandler(service, caller, places, owner)
        case "access_policy":
            from kvstack.backends.embedded.access_policy import AccessPolicyHandler

            return AccessPolicyHandler(service, caller, places, owner)
        case "managed_hsm":
            from kvstack.backends.embedded.managed_hsm import ManagedHsmHandler

            return ManagedHsmHandler(service, caller, places)
        case "hsm_key":
            from kvstack.backends.embedded.hsm_key import HsmKeyHandler

            return HsmKeyHandler(service, caller, places)
        case "hsm_role_definition":
            from kvstack.backends.embedded.hsm_roles import HsmRoleDefinitionHandler

            return HsmRoleDefinitionHandler(service, caller, places, owner)
        case "hsm_role_assignment":
            from kvstack.backends.embedded.hsm_roles import HsmRoleAssignmentHandler

            return HsmRoleAssignmentHandler(service, caller, places, owner)
        case "identity":
            from kvstack.backends.embedded.identity import IdentityHandler

            return IdentityHandler(service, caller, places)
        case "event_subscription":
            from kvstack.backends.embedded.event_subscription import EventSubscriptionHandler

            return EventSubscriptionHandler(service, caller, places, owner)
        case "alert":
            from kvstack.backends.embedded.alert import AlertHandler

            return AlertHandler(service, caller, places, owner)
        case _:
            return None
