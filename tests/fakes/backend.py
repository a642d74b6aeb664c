"""A backend in memory: the whole protocol, with faults and delays on demand. It runs the contract suite too."""

import contextlib
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kvstack.backends.protocol import Actual, Deletion, Handler, LastChange, Offer, Snapshot, Unread, Wanted
from kvstack.resources.identity import Identity
from kvstack.resources.secret import Secret
from kvstack.resources.vault import Vault
from kvstack.schema.differences import differences
from kvstack.schema.resource import Lifecycle, Resource
from kvstack.terms.diagnostic import Diagnostic, KvstackError
from kvstack.terms.principal import Principal

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


class MemoryBackend:
    """Vaults in a dictionary.

    things: by identity. failing: what the next call about an identity raises, as long as it stands there. commits_fail:
    how many outermost batches still fail at their end. slow: what takes long, by identity, and what happens meanwhile.
    unread: told in every snapshot. calls: every change asked for, as `verb identity`.
    """

    name = "memory"
    id = "memory/1"
    resource_group = "default"

    def __init__(self) -> None:
        self.things: dict[str, Actual[Resource]] = {}
        self.failing: dict[str, KvstackError] = {}
        self.commits_fail = 0
        self.slow: dict[str, Callable[[], object]] = {}
        self.unread: list[Unread] = []
        self.calls: list[str] = []
        self.known: dict[str, Principal] = {}
        self.clock = FixedClock()
        self.notes: tuple[Diagnostic, ...] = ()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._depth = 0

    def snapshot(self, vaults: Iterable[str]) -> Snapshot:
        names = {name.lower() for name in vaults}
        return Snapshot(
            {
                identity: actual
                for identity, actual in self.things.items()
                if not identity.startswith("vaults/") or identity.split("/")[1] in names
            },
            tuple(self.unread),
        )

    def handler(self, kind: str) -> Handler[Resource] | None:
        match kind:
            case "vault":
                return _SoftDeleted(self)
            case "key" | "secret" | "certificate":
                return _Versioned(self)
            case (
                "role_assignment" | "role_definition" | "deny_assignment" | "access_policy" | "issuer" | "contact_list"
            ):
                return _Plain(self)
            case "event_subscription" | "alert":
                return _Plain(self)
            case "identity":
                return _Identities(self)
            case _:
                return None

    def fingerprints(self, offers: Iterable[Offer]) -> tuple[str | None, ...]:
        return tuple(self._fingerprint(offer.vault, offer.name, offer.value.reveal()) for offer in offers)

    def _fingerprint(self, vault: str, name: str, value: bytes) -> str:
        place = f"{vault.lower()}/{name.lower()}/".encode()
        return hashlib.blake2b(place + value, key=b"the fake's own key").hexdigest()

    def last_changes(self, identities: Iterable[str]) -> Mapping[str, LastChange]:
        changed = {call.split(" ", 1)[1]: call.split(" ", 1)[0] for call in self.calls}
        return {
            identity: LastChange(identity, "operator", NOW, changed[identity])
            for identity in identities
            if identity in changed
        }

    def principals(self) -> Mapping[str, Principal] | None:
        return dict(self.known)

    def make_known(self, principal: Principal) -> None:
        self.known[principal.id] = principal

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        with self._lock:
            before = dict(self.things)
            self._depth += 1
            try:
                yield
                if self._depth == 1 and self.commits_fail:
                    self.commits_fail -= 1
                    raise KvstackError("the disk is full")
            except BaseException:
                self.things = before
                raise
            finally:
                self._depth -= 1

    def is_slow(self, kind: str, resource: Resource) -> str | None:
        return (
            f"making {resource.name}" if any(key.endswith(f"/{resource.name.lower()}") for key in self.slow) else None
        )

    def apart(self, kind: str) -> str | None:
        return "its tokens" if kind == "managed_hsm" else None

    def close(self) -> None:
        return

    # What handlers share

    def begin(self, verb: str, identity: str) -> None:
        """Note a call, take as long as it takes, and fail where it shall."""
        if identity in self.slow and verb in ("create", "rotate"):
            self.slow[identity]()
        with self._lock:
            self.calls.append(f"{verb} {identity}")
        if identity in self.failing:
            raise self.failing[identity]

    def put(
        self, identity: str, wanted: Wanted[Any], *, version: bool, before: Actual[Resource] | None
    ) -> Actual[Resource]:
        resource = msgspec.structs.replace(wanted.resource, lifecycle=Lifecycle())
        fingerprint = None
        if isinstance(resource, Secret):
            resource = msgspec.structs.replace(resource, value_from=None)
            if version and wanted.value is None:
                raise ValueError("no value to set")
            fingerprint = before.fingerprint if before is not None else None
            if version and wanted.value is not None:
                fingerprint = self._fingerprint(wanted.vault, resource.name, wanted.value.reveal())
        if isinstance(resource, Vault | Identity) and resource.resource_group is None:
            resource = msgspec.structs.replace(resource, resource_group=self.resource_group)
        if before is not None:
            resource = msgspec.structs.replace(resource, name=before.resource.name)
        versioned = resource.kind in ("key", "secret", "certificate")
        made: Actual[Resource] = Actual(
            kind=resource.kind,
            id=f"/{identity}",
            vault="" if resource.kind in ("vault", "identity") else wanted.vault,
            resource=resource,
            owner=wanted.owner if hasattr(resource, "tags") else None,
            version=before.version if before is not None and not version
            else f"{next(self._numbers):032x}" if versioned else None,
            fingerprint=fingerprint,
            named_by_us=not hasattr(resource, "tags") and not resource.ours_by_state,
        )  # fmt: skip
        with self._lock:
            self.things[identity] = made
        return made

    def vault_of(self, identity: str) -> Actual[Resource] | None:
        return self.things.get("/".join(identity.split("/")[:2]))


class _Plain:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    def create(self, wanted: Wanted[Resource]) -> Actual[Resource]:
        identity = wanted.resource.identity(wanted.vault)
        self._backend.begin("create", identity)
        there = self._backend.things.get(identity)
        if there is not None:
            value = wanted.value
            same_value = value is None or there.fingerprint == self._backend._fingerprint(
                wanted.vault, wanted.resource.name, value.reveal()
            )
            marked = there.owner == wanted.owner if hasattr(there.resource, "tags") else there.named_by_us
            ours = marked or there.resource.ours_by_state
            if ours and same_value and there.deletion is None and not differences(there.resource, wanted.resource):
                return there
            raise KvstackError(f"there is a {wanted.resource.kind} already")
        if identity.count("/") > 1 and identity.startswith("vaults/"):
            home = self._backend.vault_of(identity)
            if home is None or home.deletion is not None:
                raise KvstackError("there is no such vault")
        return self._backend.put(identity, wanted, version=True, before=None)

    def update(self, actual: Actual[Resource], wanted: Wanted[Resource], changed: frozenset[str]) -> Actual[Resource]:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("update", identity)
        there = self._alive(identity)
        declared = {name: getattr(wanted.resource, name) for name in changed - {"owner"}}
        resource = msgspec.structs.replace(there.resource, **declared)
        owner = wanted.owner if changed & {"owner", "tags"} else there.owner
        return self._backend.put(
            identity, Wanted(resource, wanted.vault or there.vault, owner), version=False, before=there
        )

    def delete(self, actual: Actual[Resource]) -> None:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("delete", identity)
        self._backend.things.pop(identity, None)

    def _alive(self, identity: str) -> Actual[Resource]:
        there = self._backend.things.get(identity)
        if there is None or there.deletion is not None:
            raise KvstackError(f"there is no {identity}")
        return there


class _Identities(_Plain):
    def create(self, wanted: Wanted[Resource]) -> Actual[Resource]:
        return super().create(msgspec.structs.replace(wanted, resource=wanted.resource.placed("default")))

    def delete(self, actual: Actual[Resource]) -> None:
        super().delete(actual)
        identity = actual.resource.identity("")
        for key in [key for key, one in self._backend.things.items() if identity in one.resource.ends_with()]:
            del self._backend.things[key]


class _SoftDeleted(_Plain):
    def delete(self, actual: Actual[Resource]) -> None:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("delete", identity)
        things = self._backend.things
        there = things.get(identity)
        if there is None or there.deletion is not None:
            return
        home = self._backend.vault_of(identity)
        assert home is not None
        assert isinstance(home.resource, Vault)
        days = timedelta(days=home.resource.soft_delete_retention_days)
        deletion = Deletion(NOW, NOW + days, purgeable=not home.resource.purge_protection)
        things[identity] = msgspec.structs.replace(there, deletion=deletion)
        if there.kind == "vault":
            for key, inside in list(things.items()):
                if key.startswith(identity + "/") and inside.deletion is None:
                    with_vault = msgspec.structs.replace(deletion, with_vault=True)
                    things[key] = msgspec.structs.replace(inside, deletion=with_vault)
                elif f"{key}/".partition("/")[2].startswith(f"vault/{identity[7:]}/"):
                    del things[key]

    def recover(self, actual: Actual[Resource]) -> Actual[Resource]:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("recover", identity)
        things = self._backend.things
        if identity not in things or things[identity].deletion is None:
            raise KvstackError(f"there is no soft-deleted {identity}")
        things[identity] = msgspec.structs.replace(things[identity], deletion=None)
        for key, inside in list(things.items()):
            if key.startswith(identity + "/") and inside.deletion is not None and inside.deletion.with_vault:
                things[key] = msgspec.structs.replace(inside, deletion=None)
        return things[identity]

    def purge(self, actual: Actual[Resource]) -> None:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("purge", identity)
        there = self._backend.things.get(identity)
        if there is None or there.deletion is None:
            raise KvstackError(f"there is no soft-deleted {identity}")
        if not there.deletion.purgeable:
            raise KvstackError("purge protection is on")
        for key in [key for key in self._backend.things if key == identity or key.startswith(identity + "/")]:
            del self._backend.things[key]


class _Versioned(_SoftDeleted):
    def rotate(self, actual: Actual[Resource], wanted: Wanted[Resource]) -> Actual[Resource]:
        identity = actual.resource.identity(actual.vault)
        self._backend.begin("rotate", identity)
        return self._backend.put(identity, wanted, version=True, before=self._alive(identity))
