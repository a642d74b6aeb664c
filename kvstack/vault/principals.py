"""The directory of known principals: their names, and who is in which group."""

from collections.abc import Iterable

from kvstack.terms.approval import membership
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal, is_guid
from kvstack.vault.approval_guard import require_approved
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from kvstack.vault.identities import IDENTITIES
from kvstack.vault.registry import PrincipalRow

READ = "Microsoft.Authorization/principals/read"
WRITE = "Microsoft.Authorization/principals/write"


class PrincipalOperations(Engine):
    """What can be done with principals."""

    def put_principal(self, caller: Caller, principal: Principal) -> Principal:
        """Make a principal known, or change what is known of it. Who puts somebody into a group gives him the group's
        roles: that takes the right to everything about access at the top."""
        with self._attempt(caller, "PrincipalPut", self.top) as attempt, attempt.transaction():
            attempt.require(WRITE, self.top, data=False)
            for one in (principal.id, *principal.members):
                if not is_guid(one):
                    raise BadParameter(f"`{one}` is no principal's id: a GUID is")
            if principal.members and principal.type != "group":
                raise BadParameter(f"a {principal.type} has no members, a group has")
            row = PrincipalRow(
                id=principal.id.lower(),
                type=principal.type,
                name=principal.name,
                members=frozenset(one.lower() for one in principal.members),
            )
            attempt.details.update(principal=row.id, name=row.name)
            _require_no_other_than_an_identity(attempt, row)
            there = attempt.registry.principals.get(row.id)
            if row.members != (there.members if there is not None else frozenset()):
                require_approved(attempt, membership(row.id, row.members))
            if there != row:
                attempt.changes_registry().put_principal(attempt.tx, row)
            return _principal(row)

    def list_principals(self, caller: Caller) -> tuple[Principal, ...]:
        """Return the known principals."""
        with self._attempt(caller, "PrincipalList", self.top) as attempt, attempt.reading():
            attempt.require(READ, self.top, data=False)
            return tuple(_principal(row) for row in attempt.registry.principals.values())

    def caller(self, principal_id: str, *, address: str | None = None) -> Caller:
        """Return a known principal as a caller. Raises NotFound."""
        with self._store.transaction() as tx:
            row = self._current_registry(tx).principals.get(principal_id.lower())
        if row is None:
            raise NotFound(f"there is no principal `{principal_id}`", "Principals are told by their object id.")
        return Caller(row.id, row.name, address=address)

    def acting(self, principal: str) -> Caller:
        """Return the caller that `--as` names: an object id, or the name of a known principal. Raises NotFound."""
        if is_guid(principal):
            return self.caller(principal)
        with self._store.transaction() as tx:
            known = [_principal(row) for row in self._current_registry(tx).principals.values()]
        return self.caller(named(principal, known))

    def acting_as(self, caller: Caller) -> frozenset[str]:
        """Return every id a caller acts under, its groups' included."""
        with self._store.transaction() as tx:
            return frozenset(self._current_registry(tx).principals_of(caller))

    @property
    def operator(self) -> Caller:
        """Whoever runs the command line on this vault."""
        return Caller(self._settings.operator_id, self._settings.operator_name)


def named(name: str, known: Iterable[Principal]) -> str:
    """Return the id of the principal of this name. Raises NotFound, and Conflict where two have it: who may make a
    managed identity chooses its name, and must not be taken for somebody else by it."""
    ids: dict[str, list[str]] = {}
    for principal in known:
        if principal.name:
            ids.setdefault(principal.name, []).append(principal.id)
    match ids.get(name, []):
        case []:
            raise NotFound(
                f"the vault knows no principal `{name}`{meant(name, ids)}",
                "Name one that a stack declares and that was applied, or give an object id.",
            )
        case [one]:
            return one
        case several:
            raise Conflict(
                f"`{name}` is the name of {len(several)} principals",
                f"Give the object id: {' or '.join(sorted(several))}.",
            )


def _require_no_other_than_an_identity(attempt: Attempt, row: PrincipalRow) -> None:
    """Refuse to make something else of a managed identity's principal."""
    for identity in IDENTITIES.scan(attempt.tx, principal_id=row.id):
        if row.type != "managed_identity":
            raise Conflict(
                f"{row.id} is the managed identity `{identity.name}` in the resource group `{identity.resource_group}`",
                f"It is no {row.type}.",
            )


def _principal(row: PrincipalRow) -> Principal:
    return Principal(row.id, row.type, row.name, row.members)
