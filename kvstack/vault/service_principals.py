"""Which principal a credential is given to: one that is there, and of a kind that signs in so."""

from kvstack.terms.principal import PrincipalType
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, NotFound
from kvstack.vault.registry import PrincipalRow


def principal_of_type(attempt: Attempt, principal: str, *types: PrincipalType, what: str) -> PrincipalRow:
    """Return a principal that may have such credentials. what: what they are called. Raises NotFound, BadParameter."""
    row = attempt.registry.principals.get(principal.lower())
    if row is None:
        raise NotFound(f"there is no principal `{principal}`", "Principals are told by their object id.")
    if row.type not in types:
        kinds = " or ".join(one.replace("_", " ") for one in types)
        raise BadParameter(
            f"{row.id} is a {row.type.replace('_', ' ')}: only a {kinds} has {what}",
            "Give the program a service principal of its own.",
        )
    return row


def service_principal(attempt: Attempt, principal: str, what: str) -> PrincipalRow:
    """Return a service principal. Raises NotFound, BadParameter."""
    return principal_of_type(attempt, principal, "service_principal", what=what)
