"""Who has access, since when, and when it was last used, as the audit tells: what nobody uses can be taken away."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

import msgspec

from kvstack.terms.scope import Scope, written_scope
from kvstack.vault.access_policy import AccessPolicy
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.audit_record import StoredRecord
from kvstack.vault.audit_segments import Segment
from kvstack.vault.caller import Caller
from kvstack.vault.engine import Attempt, Engine
from kvstack.vault.faults import TamperedAudit
from kvstack.vault.local_access import LocalAssignment
from kvstack.vault.local_roles import READ as READ_LOCAL
from kvstack.vault.registry import Registry

READ: Final = "Microsoft.Authorization/roleAssignments/read"


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """One principal's share in one assignment. principal: who has it; a group's own line is of all who come through
    it; through: the groups between them, from the principal's own outwards; scope: as a stack writes it; policy: what
    gives it instead of a role, in a vault that goes by access policies; last_used: None where the audit knows no
    use."""

    principal: str
    assignment: str
    role_id: str
    scope: str
    through: tuple[str, ...] = ()
    created: datetime
    created_by: str = ""
    starts: datetime | None = None
    until: datetime | None = None
    condition: str = ""
    activation: str = ""
    policy: AccessPolicy | None = None
    last_used: datetime | None = None

    def unused_since(self, known_since: datetime | None) -> datetime | None:
        """Return since when nobody has used it, as far as is known; None where nothing is known. known_since: of the
        first use the audit still holds."""
        if self.last_used is not None:
            return self.last_used
        return None if known_since is None else max(self.created, known_since)


class AccessReview(msgspec.Struct, frozen=True):
    """What was found. now: of the vault; known_since: of the first use the audit still holds, None for none."""

    now: datetime
    known_since: datetime | None
    lines: tuple[Reviewed, ...]


class _Use(msgspec.Struct, frozen=True):
    """What is read of a record: the rest is not looked at."""

    time: datetime
    caller: str
    authorised_by: tuple[str, ...] = ()


_decode = msgspec.msgpack.Decoder(_Use).decode
_Uses = dict[tuple[str, str], datetime]


class AccessReviewOperations(Engine):
    """Reviews. They take the right to see who has access."""

    def review_access(
        self, caller: Caller, scope: Scope | None = None, segments: Iterable[Segment] = ()
    ) -> AccessReview:
        """Return every assignment, or those that hold at a scope or below it, for each principal it reaches. segments:
        archived records, whose uses count, too."""
        with self._attempt(caller, "AccessReview", scope or self.top) as attempt:
            with attempt.look():
                lines = _lines(attempt, scope)
            archived = (segment.rows(mac=self._audit.mac) for segment in segments)
            known_since, used = _uses(chain(*archived, self._audit.rows()))
            with attempt.reading():
                _require(attempt, scope)
                attempt.details.update(lines=str(len(lines)))
                found = (_with_use(line, used) for line in lines)
                return AccessReview(attempt.now, known_since, tuple(found))


def _require(attempt: Attempt, scope: Scope | None) -> None:
    attempt.require(READ, scope or attempt.top, data=False)


def _lines(attempt: Attempt, scope: Scope | None) -> list[Reviewed]:
    """Return the assignments without their use."""
    _require(attempt, scope)
    registry = attempt.registry
    lines: list[Reviewed] = []
    for assignment in registry.role_assignments.values():
        if scope is None or assignment.scope.contains(scope) or scope.contains(assignment.scope):
            lines += _shares(registry, _line(assignment))
    for vault in registry.vaults.values():
        here = attempt.scope_of(vault)
        if vault.access_model == "access_policies" and (scope is None or here.contains(scope) or scope.contains(here)):
            for policy in registry.policies(vault).by_principal.values():
                lines += _shares(registry, _policy_line(policy, written_scope(here)))
        if vault.pool is None or (scope is not None and not here.contains(scope) and not scope.contains(here)):
            continue
        if attempt.may(READ_LOCAL, here, data=True):
            for local in registry.local(vault.name).assignments.values():
                lines += _shares(registry, _local_line(local, written_scope(here)))
    return lines


def _line(assignment: RoleAssignment) -> Reviewed:
    return Reviewed(
        principal=assignment.principal_id,
        assignment=assignment.id,
        role_id=assignment.role_id,
        scope=written_scope(assignment.scope),
        created=assignment.created,
        created_by=assignment.created_by,
        starts=assignment.starts,
        until=assignment.expires,
        condition=assignment.condition,
        activation=assignment.activation,
    )


def _local_line(local: LocalAssignment, home: str) -> Reviewed:
    return Reviewed(
        principal=local.principal_id,
        assignment=local.id,
        role_id=local.role_id,
        scope=home + local.scope.rstrip("/"),
        created=local.created,
        created_by=local.created_by,
    )


def _policy_line(policy: AccessPolicy, home: str) -> Reviewed:
    return Reviewed(
        principal=policy.principal_id,
        assignment=policy.audited,
        role_id="",
        scope=home,
        created=policy.created,
        created_by=policy.updated_by,
        policy=policy,
    )


def _shares(registry: Registry, line: Reviewed) -> Iterator[Reviewed]:
    """Yield an assignment's own line, and one for each member of the group it is of, members of members included."""
    yield line
    seen = {line.principal}
    waiting: list[tuple[str, tuple[str, ...]]] = [(line.principal, ())]
    while waiting:
        one, way = waiting.pop(0)
        row = registry.principals.get(one)
        for member in sorted((row.members if row is not None else frozenset()) - seen):
            seen.add(member)
            through = (one, *way)
            yield msgspec.structs.replace(line, principal=member, through=through)
            waiting.append((member, through))


def _uses(rows: Iterable[StoredRecord]) -> tuple[datetime | None, _Uses]:
    """Return since when uses are known, and the newest of each assignment, by each principal and by anybody (``)."""
    since, used = None, _Uses()
    for row in rows:
        try:
            use = _decode(row[5])
        except (msgspec.MsgspecError, TypeError):
            raise TamperedAudit(f"has a record, {row[0]}, that was edited") from None
        if use.authorised_by:
            since = since or use.time
            for assignment in use.authorised_by:
                used[assignment, use.caller] = used[assignment, ""] = use.time
    return since, used


def _with_use(line: Reviewed, used: _Uses) -> Reviewed:
    """Return a line with its last use. One by an earlier assignment of the same id does not count."""
    last = used.get((line.assignment, line.principal if line.through else ""))
    return msgspec.structs.replace(line, last_used=last) if last is not None and last >= line.created else line
