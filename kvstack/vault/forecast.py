"""What the scheduler is going to do: the same dates, order and new versions, on things as they stand, with no store."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

import msgspec
from msgspec.structs import replace

from kvstack.terms import schedule
from kvstack.terms.event import Filter
from kvstack.vault import dates, errors
from kvstack.vault.certificates.life import life
from kvstack.vault.due_kind import Action, Due, Found
from kvstack.vault.due_order import together, turn
from kvstack.vault.errors import BadParameter
from kvstack.vault.expiring import noted
from kvstack.vault.items import previous_since
from kvstack.vault.key_attributes import expiry_by_rotation
from kvstack.vault.records import Certificate, Key, Secret, Vault

MOST = 500_000
ConflictCode = Literal["not-done", "outlives-authority", "expires-before-rotation", "no-rotation", "nobody-notified"]
Kind: TypeAlias = Literal[
    "key", "secret", "certificate", "vault", "managed_hsm", "role_assignment", "eligible_assignment"
]
_Place: TypeAlias = tuple[str, str, str]  # kind, id of the vault, folded name


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """What somebody should look at before that day."""

    code: ConflictCode
    words: str


class Coming(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that is going to happen. at: when, at the earliest; action: as the scheduler names it, `ends` for
    rights; since: when it became due; done: false for what the scheduler would try in vain."""

    at: datetime
    action: Action | Literal["ends"]
    kind: Kind
    vault: str
    name: str
    since: datetime
    done: bool = True
    conflicts: tuple[Conflict, ...] = ()


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A thing as it stands. followed: when each of its versions that is still to be disabled was followed by another
    one; authority: id of the vault and folded name of what signs it; barred: why no new version can be made."""

    row: Key | Secret | Certificate
    followed: tuple[datetime, ...] = ()
    authority: tuple[str, str] | None = None
    barred: str = ""


class Known(msgspec.Struct, frozen=True):
    """What the forecast goes by. vaults: soft-deleted; endings: rights that end; wanted: what people are told of."""

    things: Sequence[Standing]
    vaults: Sequence[Vault] = ()
    endings: Sequence[Coming] = ()
    wanted: Sequence[Filter] = ()


def forecast(known: Known, now: datetime, until: datetime, *, most: int = MOST) -> tuple[Coming, ...]:
    """Return what happens until then, in order, where the scheduler runs whenever something is due. Raises BadParameter
    where that is too much."""
    coming = list[Coming]()
    for one in _Future(known, now).run(until):
        coming.append(one)
        if len(coming) > most:
            raise BadParameter(f"more than {most} things happen until {errors.day(until)}", "Ask for an earlier day.")
    ends = [one for one in known.endings if now <= one.at <= until]
    return tuple(sorted((*coming, *ends), key=lambda one: one.at)) if ends else tuple(coming)


class _Future:
    """Things on their way through time."""

    def __init__(self, known: Known, now: datetime) -> None:
        self._now = now
        self._things = {_place(one.row): one for one in known.things}
        self._vaults = {("vault", one.id, ""): one for one in known.vaults}
        self._wanted = known.wanted
        self._dates: dict[_Place, dict[str, datetime]] = {}
        self._queue: list[tuple[datetime, _Place]] = []
        # Of an authority: what waits for its renewal, and which version was told of.
        self._waiting: dict[_Place, dict[_Place, str]] = {}
        for place in (*self._things, *self._vaults):
            self._date(place)
            self._enqueue(place)

    def run(self, until: datetime) -> Iterator[Coming]:
        """Yield what happens, from date to date."""
        while self._queue and self._queue[0][0] <= until:
            # What is overdue is done by the first run.
            now = max(self._now, self._queue[0][0])
            places = set[_Place]()
            while self._queue and self._queue[0][0] <= now:
                places.add(heapq.heappop(self._queue)[1])
            yield from self._at(now, places)
            for place in places:
                self._enqueue(place, now)

    def _at(self, now: datetime, places: set[_Place]) -> Iterator[Coming]:
        """Yield what one run of the scheduler does."""
        for place in tuple(places):
            places.update(self._waiting.get(place, ()))
        tried = set[Due]()
        while True:
            found = [
                (one, place)
                for place in places
                for action, since in self._dates.get(place, {}).items()
                if since <= now and (one := self._found(place, cast(Action, action), since)).due not in tried
            ]
            if not found:
                return
            tried.update(one.due for one, _ in found)
            found.sort(key=lambda one: turn(one[0]))
            for some in together(found):
                # A certificate is renewed while the store is free for others, before what is committed together.
                for one, place in sorted(some, key=lambda one: one[0].due.action != "renew"):
                    yield from self._do(place, one.due, now)

    def _found(self, place: _Place, action: Action, since: datetime) -> Found:
        vault = self._vaults.get(place)
        if vault is not None:
            return Found(Due("purge", "vault" if vault.pool is None else "managed_hsm", vault.name, "", since), vault)
        row = self._things[place].row
        return Found(Due(action, cast(Any, place[0]), row.vault, row.name, since), row)

    def _do(self, place: _Place, due: Due, now: datetime) -> Iterator[Coming]:
        """Do one thing, if it still is due."""
        at = self._dates.get(place, {}).get(due.action)
        if at is None or at > now:
            return
        if due.action == "purge":
            self._things.pop(place, None)
            self._vaults.pop(place, None)
            self._dates.pop(place)
            yield _coming(due, now)
            return
        there = self._things[place]
        match due.action:
            case "rotate" | "renew":
                wrong, after = _followed(there, self._authority(there), now)
                if wrong is not None:
                    yield from self._in_vain(place, there, due, now, wrong)
                    return
                conflicts = tuple(_unheard(due, there.row, self._wanted))
            case "disable-previous":
                after = _disabled(there, now)
                conflicts = ()
            case _:
                after = replace(there, row=noted(there.row, due.action))
                conflicts = tuple(self._unfollowed(place, there, now))
        self._things[place] = after
        self._date(place)
        yield _coming(due, now, conflicts)

    def _in_vain(self, place: _Place, there: Standing, due: Due, now: datetime, wrong: Conflict) -> Iterator[Coming]:
        """Yield what cannot be done once for a version: each run tries it, and only the authority's renewal helps."""
        signer = ("certificate", *(there.authority or ("", "")))
        waiting = self._waiting.setdefault(signer, {})
        if waiting.get(place) != there.row.version:
            waiting[place] = there.row.version
            yield replace(_coming(due, now, (wrong,)), done=False)

    def _authority(self, there: Standing) -> Certificate | None:
        if there.authority is None:
            return None
        found = self._things.get(("certificate", *there.authority))
        return cast(Certificate, found.row) if found is not None else None

    def _unfollowed(self, place: _Place, there: Standing, now: datetime) -> Iterator[Conflict]:
        """Yield what is wrong with a version that expires."""
        action = "renew" if isinstance(there.row, Certificate) else "rotate"
        due, expires = self._dates[place].get(action), there.row.expires
        if due is None:
            yield Conflict("no-rotation", "nothing makes the next version")
        elif due <= now:
            yield Conflict("not-done", "the next version could not be made")
        elif expires is not None and due > expires:
            yield Conflict("expires-before-rotation", f"the next version is made on {errors.day(due)}, after that")
        authority = self._authority(there)
        ends = authority.expires if authority is not None else None
        if authority is not None and ends is not None and expires is not None and ends < expires:
            yield _outlives(authority)

    def _date(self, place: _Place) -> None:
        vault = self._vaults.get(place)
        if vault is not None:
            self._dates[place] = {"purge": vault.deletion.scheduled_purge} if vault.deletion is not None else {}
            return
        row = self._things[place].row
        by_action: Any = _DATES[place[0]]
        self._dates[place] = {action: at for action, of in by_action.items() if (at := of(row)) is not None}

    def _enqueue(self, place: _Place, after: datetime | None = None) -> None:
        """Wait for a thing's next date. What stays due after a run was tried in vain."""
        found = [at for at in self._dates.get(place, {}).values() if after is None or at > after]
        if found:
            heapq.heappush(self._queue, (min(found), place))


def _followed(there: Standing, authority: Certificate | None, now: datetime) -> tuple[Conflict | None, Standing]:
    """Return the thing with its next version, or why there can be none."""
    if there.barred:
        return Conflict("not-done", there.barred), there
    row = there.row
    new: dict[str, Any] = {}
    if isinstance(row, Certificate):
        if there.authority is not None and (wrong := _unsigned(authority, now)) is not None:
            return wrong, there
        begins, ends = life(row.policy.validity_months, now, authority.not_before if authority is not None else None)
        if authority is not None and authority.expires is not None and ends > authority.expires:
            return _outlives(authority), there
        new = {"not_before": begins, "expires": ends}
    else:
        new = {"expires": expiry_by_rotation(row, now)}
    after = replace(
        row,
        version=f"{row.versions + 1}",
        versions=row.versions + 1,
        version_created=now,
        updated=now,
        by_rotation=True,
        previous_since=previous_since(row, now),
        told=(),
        **new,
    )
    return None, replace(there, row=after, followed=(*there.followed, now))


def _unsigned(authority: Certificate | None, now: datetime) -> Conflict | None:
    """Return why an authority signs nothing at this time."""
    if authority is None or authority.deletion is not None:
        return Conflict("not-done", "its certificate authority is not there")
    name = f"the certificate authority `{authority.vault}/{authority.name}`"
    if not authority.enabled:
        return Conflict("not-done", f"{name} is disabled")
    if authority.expires is not None and now >= authority.expires:
        return Conflict("outlives-authority", f"{name} has expired, on {errors.day(authority.expires)}")
    return None


def _outlives(authority: Certificate) -> Conflict:
    ends = errors.day(authority.expires) if authority.expires is not None else ""
    return Conflict(
        "outlives-authority",
        f"it would outlive its certificate authority `{authority.vault}/{authority.name}`, which expires on {ends}",
    )


def _disabled(there: Standing, now: datetime) -> Standing:
    """Return the thing once the versions whose time is over are disabled."""
    ends = ((since, schedule.previous_ends(there.row.keep_previous, since)) for since in there.followed)
    left = tuple(since for since, end in ends if end is None or end > now)
    row: Any = replace(there.row, previous_since=min(left, default=None))
    return replace(there, row=row, followed=left)


def _unheard(due: Due, row: Key | Secret | Certificate, wanted: Sequence[Filter]) -> Iterator[Conflict]:
    kind = f"Microsoft.KeyVault.{due.kind.title()}NewVersionCreated"
    if not any(one.takes(kind, row.name, row.vault) for one in wanted):
        yield Conflict("nobody-notified", "nobody is told of the new version")


def _coming(due: Due, now: datetime, conflicts: tuple[Conflict, ...] = ()) -> Coming:
    return Coming(
        at=now,
        action=due.action,
        kind=due.kind,
        vault=due.vault,
        name=due.name,
        since=due.since,
        conflicts=conflicts,
    )


def _place(row: Key | Secret | Certificate) -> _Place:
    return type(row).__name__.lower(), row.vault_id, row.folded


_DATES = {"key": dates.KEY_DATES, "secret": dates.SECRET_DATES, "certificate": dates.CERTIFICATE_DATES}
