"""What kvstack calls the things that have no tags to say whose they are."""

import uuid

from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment

_NAMESPACE = uuid.UUID("d1c4ba1c-6d2f-5d0e-9b61-0f5f7c1d4a3e")


def assignment_name(owner: str, assignment: RoleAssignment) -> str:
    """Return the id this stack gives an assignment. Azure's names are GUIDs: this one is made of the stack, the scope,
    the role and the principal, so that one made just before a crash is known as ours, and another stack's is not."""
    return name_of(owner, assignment.scope, assignment.role_id, assignment.principal_id)


def local_assignment_name(owner: str, hsm: str, scope: str, role: str, principal_id: str) -> str:
    """Return the id this stack gives an assignment inside a Managed HSM."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|managed HSM {hsm}|{scope}|{role}|{principal_id}".lower()))


def local_role_name(owner: str, hsm: str, name: str) -> str:
    """Return the id this stack gives a role of a Managed HSM's own."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|managed HSM {hsm}|role {name}".lower()))


def role_name(owner: str, name: str) -> str:
    """Return the id this stack gives a role of its own."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|role {name}".lower()))


def denial_name(owner: str, scope: Scope, name: str) -> str:
    """Return the id this stack gives a deny assignment."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|{scope.path}|deny {name}".lower()))


def eligible_name(owner: str, scope: Scope, role_id: str, principal_id: str) -> str:
    """Return the id this stack gives an eligible assignment."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|{scope.path}|{role_id}|{principal_id}|eligible".lower()))


def name_of(owner: str, scope: Scope, role_id: str, principal_id: str) -> str:
    """Return the id of an assignment that is still to be made."""
    return str(uuid.uuid5(_NAMESPACE, f"{owner}|{scope.path}|{role_id}|{principal_id}".lower()))
