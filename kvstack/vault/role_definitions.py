"""Role definitions of a store's own, beside Azure's built-in ones: made, changed, taken away, listed."""

from collections.abc import Iterator, Sequence
from typing import Final

from kvstack.terms import role as role_rules
from kvstack.terms.approval import access, definition_words
from kvstack.terms.name import folded
from kvstack.terms.principal import is_guid
from kvstack.terms.role import RoleDefinition
from kvstack.terms.scope import Scope
from kvstack.vault.approval_guard import place, require_approved
from kvstack.vault.caller import Caller
from kvstack.vault.eligibility import ELIGIBLE
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.registry import CustomRole

READ: Final = "Microsoft.Authorization/roleDefinitions/read"
WRITE: Final = "Microsoft.Authorization/roleDefinitions/write"
DELETE: Final = "Microsoft.Authorization/roleDefinitions/delete"


class RoleDefinitionOperations(Engine):
    """What can be done with role definitions."""

    def put_role_definition(
        self,
        caller: Caller,
        name: str,
        *,
        assignable_scopes: Sequence[Scope],
        description: str = "",
        actions: Sequence[str] = (),
        not_actions: Sequence[str] = (),
        data_actions: Sequence[str] = (),
        not_data_actions: Sequence[str] = (),
        id: str | None = None,  # noqa: A002  # the record's own word
        new: bool = False,
    ) -> CustomRole:
        """Define a role, or change the one of this id. assignable_scopes: where it may be given, at them or below; the
        caller needs the right to define roles at each, those it had before included; new: refuse to change one that is
        there. Every assignment of it counts by the new definition at once. Raises Conflict for a name another role has,
        or for an assignment it would strand.
        """
        with self._attempt(caller, "RoleDefinitionPut", self.top) as attempt, attempt.transaction():
            there = self._custom_role(attempt, id) if id is not None else None
            scopes = tuple(dict.fromkeys(scope.folded for scope in assignable_scopes))
            for scope in (*scopes, *(there.assignable_scopes if there is not None else ())):
                attempt.require(WRITE, scope, data=False)
            definition = RoleDefinition(
                id=(id or self._guid()).lower(),
                name=name,
                description=description,
                actions=tuple(actions),
                not_actions=tuple(not_actions),
                data_actions=tuple(data_actions),
                not_data_actions=tuple(not_data_actions),
            )
            self._require_definable(attempt, definition, scopes)
            if there is not None and new:
                raise Conflict(f"there is a role definition {there.id} already, called `{there.definition.name}`")
            stranded = self._stranded(attempt, definition.id, scopes)
            if stranded:
                raise Conflict(
                    f"the role `{name}` is given at {stranded[0].path}, which would no longer be among its scopes",
                    "Take the assignment away first, or keep a scope that contains it.",
                    code="RoleDefinitionHasAssignments",
                )
            role = CustomRole(
                id=definition.id,
                definition=definition,
                assignable_scopes=scopes,
                created=there.created if there is not None else attempt.now,
                updated=attempt.now,
                updated_by=caller.id,
            )
            attempt.details.update(role=name, definition=definition.id)
            if there is not None and definition.meaning != there.definition.meaning:
                self._require_change_approved(attempt, there, definition)
            attempt.changes_registry().put_role(attempt.tx, role)
            return role

    def delete_role_definition(self, caller: Caller, id: str) -> CustomRole:  # noqa: A002
        """Take a role of the store's own away. Raises Conflict while anybody has it."""
        with self._attempt(caller, "RoleDefinitionDelete", self.top) as attempt, attempt.transaction():
            role = self._custom_role(attempt, id)
            if role is None:
                attempt.require(DELETE, self.top, data=False)
                raise NotFound(f"there is no role definition {id}", code="RoleDefinitionDoesNotExist")
            for scope in role.assignable_scopes:
                attempt.require(DELETE, scope, data=False)
            attempt.details.update(role=role.definition.name, definition=role.id)
            given = self._stranded(attempt, role.id, ())
            if given:
                raise Conflict(
                    f"the role `{role.definition.name}` is given to somebody at {given[0].path}",
                    "Take its assignments away first.",
                    code="RoleDefinitionHasAssignments",
                )
            self._require_change_approved(attempt, role, None)
            attempt.changes_registry().remove_role(attempt.tx, role)
            return role

    def list_role_definitions(self, caller: Caller) -> tuple[CustomRole, ...]:
        """Return the roles of the store's own that the caller may see, by name."""
        with self._attempt(caller, "RoleDefinitionList", self.top) as attempt, attempt.reading():
            seen = [
                role
                for role in attempt.registry.custom_roles.values()
                if any(attempt.may(READ, scope, data=False) for scope in role.assignable_scopes)
            ]
            return tuple(sorted(seen, key=lambda role: folded(role.definition.name)))

    @staticmethod
    def _require_change_approved(attempt: Attempt, role: CustomRole, changed: RoleDefinition | None) -> None:
        """Refuse another meaning of a role, or its end, where a vault it may be given in wants such changes approved:
        what was approved is to mean what it meant."""
        what = definition_words(role.definition.name, changed)
        verb = "take" if changed is None else "change"
        require_approved(attempt, *(access(place(scope), verb, what) for scope in role.assignable_scopes))

    def _custom_role(self, attempt: Attempt, id: str) -> CustomRole | None:  # noqa: A002
        if not is_guid(id):
            raise BadParameter(f"`{id}` is no role definition's id: a GUID is")
        if id.lower() in role_rules.built_in_roles_by_id():
            raise BadParameter(f"{id} is a built-in role: nobody changes those", code="RoleDefinitionReadOnly")
        return attempt.registry.custom_roles.get(id.lower())

    def _require_definable(self, attempt: Attempt, definition: RoleDefinition, scopes: tuple[Scope, ...]) -> None:
        found = [*role_rules.problems(definition), *self._scope_problems(attempt, scopes)]
        if found:
            raise BadParameter.of(found)
        for other in attempt.registry.roles().values():
            if folded(other.name) == folded(definition.name) and other.id != definition.id:
                raise Conflict(
                    f"there is a role `{other.name}` already",
                    f"Its definition is {other.id}; no two roles have one name.",
                    code="RoleDefinitionWithSameNameExists",
                )

    def _scope_problems(self, attempt: Attempt, scopes: tuple[Scope, ...]) -> Iterator[tuple[str, str]]:
        if not scopes:
            yield "assignable_scopes", "a role has to say where it may be given"
        for scope in scopes:
            if scope.subscription != self.top.subscription.lower():
                yield "assignable_scopes", f"there is no subscription {scope.subscription}"
            elif scope.item:
                yield "assignable_scopes", f"{scope.path} is one thing in a vault: a vault is the narrowest scope"

    @staticmethod
    def _stranded(attempt: Attempt, role_id: str, scopes: tuple[Scope, ...]) -> list[Scope]:
        """Return where a role is given, or can be taken up, outside these scopes."""
        return [
            given
            for given in (
                *(one.scope for one in attempt.registry.role_assignments.values() if one.role_id == role_id),
                *(one.scope for one in ELIGIBLE.scan(attempt.tx) if one.role_id == role_id),
            )
            if not any(scope.contains(given) for scope in scopes)
        ]

    def _guid(self) -> str:
        import uuid

        return str(uuid.UUID(bytes=self._random(16), version=4))


def require_assignable(role: CustomRole | None, scope: Scope) -> None:
    """Refuse to give a role of the store's own outside the scopes it may be given at."""
    if role is None or any(one.contains(scope) for one in role.assignable_scopes):
        return
    where = ", ".join(one.path for one in role.assignable_scopes)
    raise BadParameter(
        f"the role `{role.definition.name}` may not be given at {scope.path}",
        f"It may be given at {where}, and below.",
        code="RoleDefinitionDoesNotExist",
    )
