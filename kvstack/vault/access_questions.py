"""Questions about access: who can do this, why may he, what has she. Asking takes the right to see who has access."""

from collections.abc import Iterator
from typing import Final

import msgspec

from kvstack.terms.local_role import local_action
from kvstack.terms.scope import Scope
from kvstack.vault import errors
from kvstack.vault.access import Request
from kvstack.vault.caller import Caller
from kvstack.vault.engine import READ_HSM, Attempt, Engine
from kvstack.vault.explanation import Explanation, Grant, PolicyGrant, explanation, grants_of, policies_of, who_can
from kvstack.vault.local_explanation import local_explanation, local_grants_of, who_can_locally
from kvstack.vault.local_roles import READ as READ_LOCALLY
from kvstack.vault.pool_home import inside
from kvstack.vault.records import Vault

READ: Final = "Microsoft.Authorization/roleAssignments/read"


class AccessQuestions(Engine):
    """What can be asked about access. Nothing is decided here: the evaluator is asked. Only local roles give a right to
    what is inside a Managed HSM, and only they let somebody see who has one."""

    def explain_access(
        self, caller: Caller, principal_id: str, action: str, scope: Scope, *, data: bool = True
    ) -> Explanation:
        """Return why a principal may, or may not, do something. Everybody may ask about himself."""
        with self._attempt(caller, "AccessExplain", scope) as attempt, attempt.reading():
            principal = principal_id.lower()
            attempt.details.update(principal=principal, action=action)
            hsm = _managed_hsm(attempt, scope) if data else None
            if hsm is None:
                if principal != caller.id:
                    attempt.require(READ, scope, data=False)
                return explanation(
                    attempt.registry, principal, action, scope, data=data, now=attempt.now, latest=attempt.latest
                )
            if principal != caller.id:
                inside(attempt, hsm.name, READ_LOCALLY, scope.item, activated=False)
            elif not _knows(attempt, hsm):
                # The answer for a vault that is not there, so that nobody learns by it which names Managed HSMs have.
                found = explanation(attempt.registry, principal, action, scope, data=data, now=attempt.now)
                return msgspec.structs.replace(found, allowed=False, grants=(), missed=())
            elif hsm.deletion is not None:
                raise attempt.vault_not_found(hsm.name, kind="Managed HSM")
            _require_held(hsm, action)
            return local_explanation(
                attempt.registry, hsm, principal, action, self._scope(hsm, scope.item), attempt.now
            )

    def who_can(
        self, caller: Caller, action: str, scope: Scope, *, data: bool = True
    ) -> tuple[tuple[str, Grant | PolicyGrant], ...]:
        """Return every principal that may do something, each with the assignment or access policy that decides."""
        with self._attempt(caller, "AccessWhoCan", scope) as attempt, attempt.reading():
            attempt.details.update(action=action)
            hsm = _managed_hsm(attempt, scope) if data else None
            if hsm is not None:
                inside(attempt, hsm.name, READ_LOCALLY, scope.item, activated=False)
                _require_held(hsm, action)
                place = self._scope(hsm, scope.item)
                return tuple(who_can_locally(attempt.registry, hsm, action, place, attempt.now))
            attempt.require(READ, scope, data=False)
            asked = Request((), action, data, scope)
            able = who_can(attempt.registry, asked, attempt.now, attempt.latest)
            return tuple((who, grant) for who, _, grant in able)

    def grants_of(self, caller: Caller, principal_id: str) -> tuple[Grant, ...]:
        """Return every assignment that reaches a principal, of those the caller may see; those inside Managed HSMs
        last."""
        with self._attempt(caller, "AccessList", self.top) as attempt, attempt.reading():
            principal = principal_id.lower()
            attempt.details.update(principal=principal)
            found = (*grants_of(attempt.registry, principal), *self._inside_managed_hsms(attempt, principal))
            return found if principal == caller.id else tuple(one for one in found if _seen(attempt, one))

    def _inside_managed_hsms(self, attempt: Attempt, principal: str) -> Iterator[Grant]:
        for hsm in sorted(attempt.registry.vaults.values(), key=lambda one: one.folded):
            if hsm.pool is not None and hsm.deletion is None:
                found = local_grants_of(attempt.registry, hsm, self._scope(hsm), principal)
                yield from sorted(found, key=lambda one: (len(one.through), one.inside, one.assignment.role_id))

    def policies_of(self, caller: Caller, principal_id: str) -> tuple[PolicyGrant, ...]:
        """Return every access policy that reaches a principal, of those the caller may see."""
        with self._attempt(caller, "AccessList", self.top) as attempt, attempt.reading():
            principal = principal_id.lower()
            attempt.details.update(principal=principal)
            found = policies_of(attempt.registry, principal, self.top.subscription)
            if principal == caller.id:
                return found
            return tuple(one for one in found if attempt.may(READ, one.scope, data=False))


def _managed_hsm(attempt: Attempt, scope: Scope) -> Vault | None:
    """Return the Managed HSM a scope is, or is in."""
    found = attempt.registry.vault(scope.vault) if scope.vault else None
    if found is None or found.pool is None or found.resource_group.lower() != scope.resource_group.lower():
        return None
    return found


def _knows(attempt: Attempt, hsm: Vault) -> bool:
    principals = attempt.registry.principals_of(attempt.caller)
    if attempt.registry.local(hsm.name).known(principals):
        return True
    return attempt.may(READ_HSM, attempt.scope_of(hsm), data=False)


def _require_held(hsm: Vault, action: str) -> None:
    """Refuse a question about what a Managed HSM does not hold."""
    if local_action(action) is None:
        raise errors.keys_only(hsm.name)


def _seen(attempt: Attempt, grant: Grant) -> bool:
    scope = grant.assignment.scope
    return attempt.may(READ_LOCALLY, scope, data=True) if grant.inside else attempt.may(READ, scope, data=False)
