"""A grant in words: which role, and where it was given."""

from typing import TYPE_CHECKING

from kvstack.cli.directory import Directory
from kvstack.terms.scope import written_scope

if TYPE_CHECKING:
    from kvstack.vault.explanation import Grant


def role_of(grant: "Grant", known: Directory) -> str:
    """Return the name of its role, the id where its definition is gone."""
    return grant.role.name if grant.role is not None else known.role_name(grant.assignment.role_id)


def place_of(grant: "Grant") -> str:
    """Return where it was given; what was given inside a Managed HSM, by its own scope there."""
    scope = grant.assignment.scope
    return f"{grant.inside} in managed_hsm/{scope.vault}" if grant.inside else written_scope(scope)
