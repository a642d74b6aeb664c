"""Questions about access: who can do this, why may he, what has she. Asking takes the right to see who has access."""

from typing import Final

from kvstack.terms.scope import Scope
from kvstack.vault.access import Request
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter
from kvstack.vault.explanation import Explanation, Grant, explanation, grants_of, who_can

READ: Final = "Microsoft.Authorization/roleAssignments/read"


class AccessQuestions(Engine):
    """What can be asked about access. Nothing is decided here: the evaluator is asked."""

    def explain_access(
        self, caller: Caller, principal_id: str, action: str, scope: Scope, *, data: bool = True
    ) -> Explanation:
        """Return why a principal may, or may not, do something. Everybody may ask about himself."""
        with self._attempt(caller, "AccessExplain", scope) as attempt, attempt.transaction():
            principal = principal_id.lower()
            if principal != caller.id:
                attempt.require(READ, scope, data=False)
            _require_not_inside_a_managed_hsm(attempt, scope, data=data)
            attempt.details.update(principal=principal, action=action)
            return explanation(
                attempt.registry, principal, action, scope, data=data, now=attempt.now, latest=attempt.latest
            )

    def who_can(self, caller: Caller, action: str, scope: Scope, *, data: bool = True) -> tuple[tuple[str, Grant], ...]:
        """Return every principal that may do something, each with the assignment that decides."""
        with self._attempt(caller, "AccessWhoCan", scope) as attempt, attempt.transaction():
            attempt.require(READ, scope, data=False)
            _require_not_inside_a_managed_hsm(attempt, scope, data=data)
            attempt.details.update(action=action)
            asked = Request((), action, data, scope)
            return tuple(
                (who, grant) for who, _, grant in who_can(attempt.registry, asked, attempt.now, attempt.latest)
            )

    def grants_of(self, caller: Caller, principal_id: str) -> tuple[Grant, ...]:
        """Return every assignment that reaches a principal, of those the caller may see."""
        with self._attempt(caller, "AccessList", self.top) as attempt, attempt.transaction():
            principal = principal_id.lower()
            attempt.details.update(principal=principal)
            found = grants_of(attempt.registry, principal)
            return found if principal == caller.id else tuple(_seen(attempt, found))


def _require_not_inside_a_managed_hsm(attempt: Attempt, scope: Scope, *, data: bool) -> None:
    """Refuse a question whose answer would be wrong: no role looked at here gives a right inside a Managed HSM."""
    vault = attempt.registry.vault(scope.vault) if data and scope.vault else None
    if vault is not None and vault.pool is not None:
        raise BadParameter(
            f"who may do what inside Managed HSM `{vault.name}` is a matter of its local roles alone",
            f"`kvstack managed-hsm role list {vault.name}` shows them.",
        )


def _seen(attempt: Attempt, grants: tuple[Grant, ...]) -> list[Grant]:
    return [grant for grant in grants if attempt.may(READ, grant.assignment.scope, data=False)]
