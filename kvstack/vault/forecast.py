"""What the scheduler is going to do: the same dates, order and new versions, on things as they stand, with no store."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, cast

from msgspec.structs import replace

from kvstack.terms import schedule
from kvstack.terms.event import Filter
from kvstack.vault import dates, errors
from kvstack.vault.certificates.life import life
from kvstack.vault.coming import Coming, Conflict, Known, Standing
from kvstack.vault.due_kind import Action, Due, Found
from kvstack.vault.due_order import apart, together, turn
from kvstack.vault.errors import BadParameter
from kvstack.vault.expiring import noted
from kvstack.vault.items import previous_since
from kvstack.vault.key_attributes import expiry_by_rotation
from kvstack.vault.records import Certificate, Key, Secret, Vault
from kvstack.vault.rotation_attempt import settled

MOST = 500_000


def forecast(known: Known, now: datetime, until: datetime, *, most: int = MOST) -> tuple[Coming, ...]:
    """Return what happens until then, in order, where the scheduler runs whenever something is due. Raises BadParameter
    where that is too much."""
    coming = list[Coming]()
    for some in _Future(known, now).run(until):
        coming += some
        if len(coming) > most:
            raise BadParameter(f"more than {most} things happen until {errors.day(until)}", "Ask for an earlier day.")
    ends = [one for one in known.endings if now <= one.at <= until]
    return tuple(sorted((*coming, *ends), key=lambda one: one.at)) if ends else tuple(coming)


class _Way:
    """A thing, or a deleted vault, on its way through time: as it stands, and what is to be done with it when. waiting:
    what waits for its renewal, and which version of that was told of."""

    __slots__ = ("dates", "standing", "vault", "waiting")

    def __init__(self, standing: Standing | None, vault: Vault | None) -> None:
        self.standing = standing
        self.vault = vault
        self.waiting: dict[_Way, str] = {}
        self.look()

    def look(self) -> None:
        """Work out the dates anew: it has changed."""
        self.dates = _dates(self.standing, self.vault)

    def renewal(self) -> Due | None:
        """Return the renewal that is due, or will be."""
        since = self.dates.get("renew")
        return self.found("renew", since).due if since is not None else None

    def end(self) -> None:
        """It is no more."""
        self.standing = self.vault = None
        self.look()

    def found(self, action: Action, since: datetime) -> Found:
        """Return what the scheduler finds when it looks."""
        if self.vault is not None:
            kind: Any = "vault" if self.vault.pool is None else "managed_hsm"
            return Found(Due("purge", kind, self.vault.name, "", since), self.vault)
        row = cast(Standing, self.standing).row
        return Found(Due(action, _KINDS[type(row)], row.vault, row.name, since), row)


class _Future:
    """Everything on its way."""

    def __init__(self, known: Known, now: datetime) -> None:
        self._now = now
        self._certificates: dict[tuple[str, str], _Way] = {}
        self._wanted = known.wanted
        # Many things have one date: each date is in the queue once, with all that wait for it.
        self._queue: list[datetime] = []
        self._waits: dict[datetime, list[_Way]] = {}
        for standing in known.things:
            way = _Way(standing, None)
            if isinstance(standing.row, Certificate):
                self._certificates[standing.row.vault_id, standing.row.folded] = way
            self._enqueue(way)
        for vault in known.vaults:
            self._enqueue(_Way(None, vault))

    def run(self, until: datetime) -> Iterator[list[Coming]]:
        """Yield what happens, from date to date."""
        while self._queue and self._queue[0] <= until:
            # What is overdue is done by the first run.
            now = max(self._now, self._queue[0])
            ways = set[_Way]()
            while self._queue and self._queue[0] <= now:
                ways.update(self._waits.pop(heapq.heappop(self._queue)))
            yield self._at(now, ways)
            for way in ways:
                self._enqueue(way, now)

    def _at(self, now: datetime, ways: set[_Way]) -> list[Coming]:
        """Return what one run of the scheduler does."""
        for way in [one for one in ways if one.waiting]:
            ways.update(way.waiting)
        coming = list[Coming]()
        tried = set[Due]()
        in_vain = dict[_Way, Coming]()
        looked_at = ways
        while True:
            found = [
                (one, way)
                for way in looked_at
                for action, since in way.dates.items()
                if since <= now and (one := way.found(cast(Action, action), since)).due not in tried
            ]
            if not found:
                return coming
            tried.update(one.due for one, _ in found)
            found.sort(key=_turn)
            # What nothing was done with has the dates it had.
            looked_at = {way for _, way in found}
            for some in together(found):
                for one, way in sorted(some, key=_committed_together):
                    self._do(way, one.due, now, coming, in_vain)
                    if one.due.action == "renew" and way not in in_vain:
                        # What an authority could not sign before may be signed now.
                        tried.difference_update(waiting.renewal() for waiting in way.waiting)
                        looked_at.update(way.waiting)
                        ways.update(way.waiting)

    def _do(self, way: _Way, due: Due, now: datetime, coming: list[Coming], in_vain: dict[_Way, Coming]) -> None:
        """Do one thing, if it still is due; what happens is added to what is coming. in_vain: what was tried so in this
        run."""
        at = way.dates.get(due.action)
        if at is None or at > now:
            return
        conflicts: tuple[Conflict, ...] = ()
        there = way.standing
        if there is None or due.action == "purge":
            way.end()
            coming.append(_coming(due, now))
            return
        match due.action:
            case "rotate" | "renew":
                wrong, after = _followed(there, self._authority(there), now)
                if wrong is not None:
                    in_vain[way] = replace(_coming(due, now, (wrong,)), done=False)
                    if self._is_news(way, there):
                        coming.append(in_vain[way])
                    return
                failed = in_vain.pop(way, None)
                if failed is not None and failed in coming:
                    coming.remove(failed)
                conflicts = tuple(_unheard(due, there.row, self._wanted))
            case "settle-rotation":
                after = replace(there, row=settled(cast(Secret, there.row), now))
            case "disable-previous":
                after = _disabled(there, now)
            case _:
                after = replace(there, row=noted(there.row, due.action))
                conflicts = tuple(self._unfollowed(way, there, now))
        way.standing = after
        way.look()
        coming.append(_coming(due, now, conflicts))

    def _is_news(self, way: _Way, there: Standing) -> bool:
        """Tell whether this version is tried in vain for the first time. Each run tries it, and only the renewal of its
        authority helps, for which it waits from then on."""
        signer = self._certificates.get(there.authority) if there.authority is not None else None
        waiting = (signer or way).waiting
        before, waiting[way] = waiting.get(way), there.row.version
        return before != there.row.version

    def _authority(self, there: Standing) -> Standing | None:
        way = self._certificates.get(there.authority) if there.authority is not None else None
        return way.standing if way is not None else None

    def _unfollowed(self, way: _Way, there: Standing, now: datetime) -> Iterator[Conflict]:
        """Yield what is wrong with a version that expires."""
        action = "renew" if isinstance(there.row, Certificate) else "rotate"
        due, expires = way.dates.get(action), there.row.expires
        if due is None:
            yield Conflict("no-rotation", "nothing makes the next version")
        elif due <= now:
            yield Conflict("not-done", "the next version could not be made")
        elif expires is not None and due > expires:
            yield Conflict("expires-before-rotation", f"the next version is made on {errors.day(due)}, after that")
        authority = self._authority(there)
        ends = authority.row.expires if authority is not None else None
        if authority is not None and ends is not None and expires is not None and ends < expires:
            yield _outlives(authority.row)

    def _enqueue(self, way: _Way, after: datetime | None = None) -> None:
        """Wait for a thing's next date. What stays due after a run was tried in vain."""
        ahead = [at for at in way.dates.values() if after is None or at > after]
        if not ahead:
            return
        next_date = min(ahead)
        waits = self._waits.get(next_date)
        if waits is None:
            self._waits[next_date] = [way]
            heapq.heappush(self._queue, next_date)
        else:
            waits.append(way)


def _dates(standing: Standing | None, vault: Vault | None) -> dict[str, datetime]:
    """Return what is to be done with a thing or a deleted vault, and when."""
    if standing is None:
        return {"purge": vault.deletion.scheduled_purge} if vault is not None and vault.deletion is not None else {}
    row = standing.row
    by_action: Any = _DATES[type(row)]
    return {action: at for action, of in by_action.items() if (at := of(row)) is not None}


def _turn(found: tuple[Found, _Way]) -> tuple[Any, ...]:
    return turn(found[0])


def _committed_together(found: tuple[Found, _Way]) -> bool:
    return not apart(found[0])


def _followed(there: Standing, authority: Standing | None, now: datetime) -> tuple[Conflict | None, Standing]:
    """Return the thing with its next version, or why there can be none."""
    if there.barred:
        return Conflict("not-done", there.barred), there
    row = there.row
    new: dict[str, Any] = {}
    signs = there.signs
    if isinstance(row, Certificate):
        if there.authority is not None and (wrong := _unsigned(authority, now)) is not None:
            return wrong, there
        above = cast(Certificate, authority.row) if authority is not None else None
        begins, ends = life(row.policy.validity_months, now, above.not_before if above is not None else None)
        if above is not None and above.expires is not None and ends > above.expires:
            return _outlives(above), there
        new = {"not_before": begins, "expires": ends}
        signs = row.policy.authority is not None
    else:
        new = {"expires": expiry_by_rotation(row, now), **({"underway": None} if isinstance(row, Secret) else {})}
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
    return None, replace(there, row=after, followed=(*there.followed, now), signs=signs)


def _unsigned(authority: Standing | None, now: datetime) -> Conflict | None:
    """Return why an authority signs nothing at this time."""
    if authority is None or authority.row.deletion is not None:
        return Conflict("not-done", "its certificate authority is not there")
    row = authority.row
    if not authority.signs:
        return Conflict("not-done", f"the certificate `{row.vault}/{row.name}` is no certificate authority")
    name = f"the certificate authority `{row.vault}/{row.name}`"
    if not row.enabled:
        return Conflict("not-done", f"{name} is disabled")
    if row.expires is not None and now >= row.expires:
        return Conflict("outlives-authority", f"{name} has expired, on {errors.day(row.expires)}")
    return None


def _outlives(authority: Key | Secret | Certificate) -> Conflict:
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


_KINDS: dict[type, Literal["key", "secret", "certificate"]] = {Key: "key", Secret: "secret", Certificate: "certificate"}
_DATES: dict[type, Any] = {Key: dates.KEY_DATES, Secret: dates.SECRET_DATES, Certificate: dates.CERTIFICATE_DATES}
