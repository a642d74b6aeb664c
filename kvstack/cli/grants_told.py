"""What gives somebody a right, as people and programs read it: a role given somewhere, or an access policy of a vault.

Imported by what asks the vault only: it costs what the vault does.
"""

from typing import Any

from kvstack.cli.directory import Directory
from kvstack.cli.grant_words import place_of, role_of
from kvstack.cli.vault_policies import policy_document, policy_words
from kvstack.terms.scope import written_scope
from kvstack.vault.explanation import Grant, Missed, PolicyGrant


def grant_words(grant: Grant | PolicyGrant, known: Directory) -> str:
    """Return a grant in words."""
    match grant:
        case PolicyGrant():
            # The policy's own principal is the last group on the way to it.
            through = _through(grant.through[:-1], known)
            whose = known.name(grant.policy.principal_id)
            return f"through the access policy of `{whose}` at {written_scope(grant.scope)}{through}"
        case Grant(assignment=assignment):
            return (
                f"`{role_of(grant, known)}` at {place_of(grant)}"
                + _through(grant.through, known)
                + (f", until {assignment.expires:%Y-%m-%d %H:%M} UTC" if assignment.expires is not None else "")
                + (", under a condition" if assignment.condition else "")
            )


def missed_words(missed: Missed, known: Directory) -> str:
    """Return a grant that does not count, and why."""
    return f"{grant_words(missed.grant, known)}: {_why(missed)}"


def grant_columns(grant: Grant | PolicyGrant, known: Directory) -> tuple[Any, ...]:
    """Return role, scope, groups and end of a grant."""
    through = " in ".join(known.name(group) for group in grant.through)
    match grant:
        case PolicyGrant():
            whose = known.name(grant.policy.principal_id)
            return f"access policy of {whose}", written_scope(grant.scope), through, None
        case Grant(assignment=assignment):
            return role_of(grant, known), place_of(grant), through, assignment.expires


def grant_document(grant: Grant | PolicyGrant, known: Directory) -> dict[str, Any]:
    """Return a grant for programs."""
    through = [known.name(group) for group in grant.through]
    match grant:
        case PolicyGrant():
            return {
                "access_policy": policy_document(grant.policy, known),
                "scope": written_scope(grant.scope),
                "through": through,
                "counts": grant.counts,
            }
        case Grant(assignment=assignment):
            return {
                "assignment": assignment.id,
                "role": role_of(grant, known),
                "scope": written_scope(assignment.scope),
                "local_scope": grant.inside or None,
                "through": through,
                "until": assignment.expires,
                "condition": assignment.condition or None,
            }


def policy_row(grant: PolicyGrant, known: Directory) -> tuple[Any, ...]:
    """Return an access policy as a row among role assignments: principal, type, what it permits, where, when."""
    principal = known.principals.get(grant.policy.principal_id)
    return (
        known.name(grant.policy.principal_id),
        principal.type if principal is not None else "",
        f"access policy: {policy_words(grant.policy)}",
        written_scope(grant.scope),
        "always" if grant.counts else "not while the vault goes by roles",
    )


def _through(groups: tuple[str, ...], known: Directory) -> str:
    return f", through {' in '.join(f'`{known.name(group)}`' for group in groups)}" if groups else ""


def _why(missed: Missed) -> str:
    match missed:
        case Missed(grant=PolicyGrant()):
            return "the vault goes by roles"
        case Missed(why="access_model"):
            return "the vault goes by access policies"
        case Missed(grant=Grant(assignment=assignment), why="not_begun"):
            return f"begins {assignment.starts:%Y-%m-%d %H:%M} UTC"
        case Missed(why="ended"):
            return "has ended"
        case Missed(grant=Grant(assignment=assignment), why="condition"):
            return f"its condition does not hold: {assignment.condition}"
        case _:
            return "its role is not defined any more"
