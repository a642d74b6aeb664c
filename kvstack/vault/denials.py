"""Deny assignments: made, taken away, listed. They go before every role; who manages them is not stopped by them."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from kvstack.terms import role as role_rules
from kvstack.terms.approval import Deed, access, denial_words
from kvstack.terms.principal import EVERYONE, is_guid
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.access import DENIAL_ACTIONS, scope_key
from kvstack.vault.approval_guard import place, require_approved
from kvstack.vault.caller import Caller
from kvstack.vault.denial import DenyAssignment
from kvstack.vault.engine import Engine
from kvstack.vault.errors import BadParameter, Conflict, NotFound

READ: Final = f"{DENIAL_ACTIONS}read"
WRITE: Final = f"{DENIAL_ACTIONS}write"
DELETE: Final = f"{DENIAL_ACTIONS}delete"


class DenialOperations(Engine):
    """What can be done with deny assignments."""

    def create_deny_assignment(
        self,
        caller: Caller,
        scope: Scope,
        name: str,
        *,
        principals: Sequence[str] = (EVERYONE,),
        excluded: Sequence[str] = (),
        actions: Sequence[str] = (),
        not_actions: Sequence[str] = (),
        data_actions: Sequence[str] = (),
        not_data_actions: Sequence[str] = (),
        below: bool = True,
        description: str = "",
        id: str | None = None,  # noqa: A002  # the record's own word
    ) -> DenyAssignment:
        """Forbid principals something at a scope, whatever roles they have. principals: by default everybody; excluded:
        who may all the same; id: made from scope and name where None. Raises Conflict where it is there."""
        with self._attempt(caller, "DenyAssignmentPut", scope) as attempt, attempt.transaction():
            attempt.require(WRITE, scope, data=False)
            denial = DenyAssignment(
                id=(id or denial_id(scope, name)).lower(),
                name=name,
                scope=scope,
                principals=frozenset(one.lower() for one in principals),
                excluded=frozenset(one.lower() for one in excluded),
                actions=tuple(actions),
                not_actions=tuple(not_actions),
                data_actions=tuple(data_actions),
                not_data_actions=tuple(not_data_actions),
                below=below,
                description=description,
                created=attempt.now,
                created_by=caller.id,
            )
            found = list(_problems(denial))
            if found:
                raise BadParameter.of(found)
            if scope.subscription.lower() != self.top.subscription.lower():
                raise NotFound(f"there is no subscription {scope.subscription}", code="SubscriptionNotFound")
            for other in attempt.registry.denials.values():
                same = (scope_key(other.scope), other.name.lower()) == (scope_key(scope), name.lower())
                if same or other.id == denial.id:
                    where = f"a deny assignment `{other.name}` at {other.scope.path}"
                    raise Conflict(f"there is {where} already", f"It is {other.id}.")
            attempt.details.update(denial=denial.id, name=name)
            require_approved(attempt, _deed("give", denial))
            attempt.changes_registry().put_denial(attempt.tx, denial)
            return denial

    def delete_deny_assignment(self, caller: Caller, id: str) -> DenyAssignment:  # noqa: A002
        """Take a denial away."""
        with self._attempt(caller, "DenyAssignmentDelete", self.top) as attempt, attempt.transaction():
            denial = attempt.registry.denials.get(id.lower())
            if denial is None:
                attempt.require(DELETE, self.top, data=False)
                raise NotFound(f"there is no deny assignment {id}", code="DenyAssignmentNotFound")
            attempt.subject = denial.scope
            attempt.require(DELETE, denial.scope, data=False)
            attempt.details.update(denial=denial.id, name=denial.name)
            require_approved(attempt, _deed("take", denial))
            attempt.changes_registry().remove_denial(attempt.tx, denial)
            return denial

    def list_deny_assignments(self, caller: Caller) -> tuple[DenyAssignment, ...]:
        """Return the deny assignments the caller may see, by scope and name."""
        with self._attempt(caller, "DenyAssignmentList", self.top) as attempt, attempt.reading():
            seen = [one for one in attempt.registry.denials.values() if attempt.may(READ, one.scope, data=False)]
            return tuple(sorted(seen, key=lambda one: (one.scope.folded, one.name)))


def denial_id(scope: Scope, name: str) -> str:
    """Return the id of a denial that was given none: the same two make the same id, so that it is made once."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope.path.lower()}|denial|{name.lower()}"))


def _deed(verb: str, denial: DenyAssignment) -> Deed:
    """Return the making or ending of a denial, as an approval is about it."""
    what = denial_words(denial.definition, denial.principals, denial.excluded, below=denial.below)
    return access(place(denial.scope), verb, what)


def _problems(denial: DenyAssignment) -> Iterator[tuple[str, str]]:
    definition = RoleDefinition(
        denial.id,
        denial.name,
        denial.description,
        denial.actions,
        denial.not_actions,
        denial.data_actions,
        denial.not_data_actions,
    )
    yield from role_rules.problems(definition, "a deny assignment that forbids nothing")
    if not is_guid(denial.id):
        yield "id", f"`{denial.id}` is no deny assignment's id: a GUID is"
    if not denial.principals:
        yield "principals", "nobody is denied: name principals, or leave them out for everybody"
    for attribute in ("principals", "excluded"):
        for one in sorted(getattr(denial, attribute)):
            if not is_guid(one) and one != EVERYONE:
                yield attribute, f"`{one}` is no principal's id: a GUID is"
