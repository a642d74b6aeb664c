"""The embedded vault behind the Backend protocol: its VaultService, and one handler a resource type."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from kvstack.backends.embedded import handlers
from kvstack.backends.embedded.places import Places
from kvstack.backends.embedded.snapshot import snapshot
from kvstack.backends.protocol import Handler, LastChange, Offer, Snapshot
from kvstack.resources.certificate import Certificate, CertificateKey
from kvstack.resources.key import Key
from kvstack.resources.rotation import Rotator, SecretRotation
from kvstack.resources.secret import Secret
from kvstack.schema.resource import Resource
from kvstack.terms.approval import Deed, Given, Held
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.event import StackEvent
from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from kvstack.vault.service import VaultService
from kvstack.vault.unlock import Unlocked, simulated_clock_note, unlock


class EmbeddedBackend:
    """One open vault, who acts on it, and for which stack."""

    name = "embedded"

    def __init__(self, unlocked: Unlocked, service: VaultService, caller: Caller, owner: str = "") -> None:
        self._unlocked = unlocked
        self._service = service
        self._caller = caller
        self._owner = owner
        self._places = Places(unlocked.settings, {})
        self.id = f"embedded/{unlocked.settings.subscription_id}"
        self.resource_group = self._places.resource_group
        self._handlers: dict[str, Any] = {}

    @classmethod
    def opened(
        cls, directory: Path, *, owner: str = "", principal: str | None = None, isolated: bool = False
    ) -> "EmbeddedBackend":
        """Open the vault of a folder. owner: the stack it is opened for; principal: who acts (name or object id), None
        for the operator; isolated: with the HSM's module in a process of its own."""
        unlocked = unlock(directory, isolated=isolated)
        try:
            service = VaultService(unlocked)
            caller = service.operator if principal is None else service.acting(principal)
            return cls(unlocked, service, caller, owner)
        except BaseException:
            unlocked.close()
            raise

    @property
    def clock(self) -> Any:
        """The vault's clock: a simulated one where it was made with one."""
        return self._unlocked.clock

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What the vault has to say of itself: how it was opened, and whether its clock is simulated."""
        return (*self._unlocked.warnings, *simulated_clock_note(self._unlocked))

    def snapshot(self, vaults: Iterable[str]) -> Snapshot:
        """Read everything in these vaults, all role assignments and managed identities, in one bulk read."""
        taken = self._service.snapshot(self._caller, tuple(vaults))
        self._places.groups.update(
            (vault.folded, vault.resource_group) for vault in (*taken.vaults, *taken.managed_hsms)
        )
        self._places.managed_hsms.update(pool.folded for pool in taken.managed_hsms)
        return snapshot(taken, self._unlocked.settings.subscription_id, self._owner)

    def handler(self, kind: str) -> Handler[Resource] | None:
        """Return the handler of a resource type."""
        if kind not in self._handlers:
            self._handlers[kind] = handlers.handler(kind, self._service, self._caller, self._places, self._owner)
        return cast("Handler[Resource] | None", self._handlers[kind])

    def fingerprints(self, offers: Iterable[Offer]) -> tuple[str | None, ...]:
        """Return the fingerprint of each offered value, keyed in the vault; None where the caller may not set it."""
        asked = [(offer.vault, offer.name, offer.value) for offer in offers]
        try:
            return self._service.fingerprints(self._caller, asked)
        except Forbidden:
            return tuple(self._fingerprint(*offer) for offer in asked)

    def _fingerprint(self, vault: str, name: str, value: SecretValue) -> str | None:
        try:
            return self._service.fingerprint(self._caller, vault, name, value)
        except Forbidden:
            return None

    def tell(self, what: StackEvent, stack: str) -> None:
        """Put what became of a stack into the outbox, where anybody wants to know."""
        self._service.tell_of_stack(self._caller, what, stack)

    def last_changes(self, identities: Iterable[str]) -> Mapping[str, LastChange]:
        """Return who changed these things last, from the audit."""
        scopes = {identity: scope.path for identity in identities if (scope := self._places.of_identity(identity))}
        found = self._service.last_changes(self._caller, scopes.values())
        return {
            identity: LastChange(identity, change.caller_name or change.caller, change.time, change.operation)
            for identity, path in scopes.items()
            if (change := found.get(path)) is not None
        }

    def principals(self) -> Mapping[str, Principal] | None:
        """Return the principals the vault knows, by id; None where the caller may not know them."""
        try:
            return {principal.id: principal for principal in self._service.list_principals(self._caller)}
        except Forbidden:
            return None

    def make_known(self, principal: Principal) -> None:
        """Tell the vault a principal's name, and who is in a group."""
        self._service.put_principal(self._caller, principal)

    @property
    def caller_id(self) -> str:
        """Who acts."""
        return self._caller.id

    def held_up(self, deeds: Iterable[Deed]) -> tuple[Held, ...]:
        """Return which deeds the rules there now hold up."""
        return self._service.held_up(self._caller, deeds)

    def approvals_of(self, plan: str) -> tuple[Given, ...]:
        """Return the approvals of a plan as they count now."""
        return self._service.approvals_of(self._caller, plan)

    @contextmanager
    def under(self, plan: str) -> Iterator[Callable[[], None]]:
        """Act in the block under the approvals of a plan; what it gives uses them up."""
        self._service.begin_plan(self._caller, plan)
        self._act_as(msgspec.structs.replace(self._caller, plan=plan))
        try:
            yield lambda: self._service.end_plan(self._caller, plan)
        finally:
            self._act_as(msgspec.structs.replace(self._caller, plan=""))

    def _act_as(self, caller: Caller) -> None:
        self._caller = caller
        self._handlers.clear()

    def batch(self) -> AbstractContextManager[None]:
        """Group this thread's calls into one durable commit."""
        return self._service.batch()

    def is_slow(self, kind: str, resource: Resource) -> str | None:
        """Return what is being waited for where making this takes long."""
        match resource:
            case Secret(rotation=SecretRotation(rotator=Rotator())):
                return "asking its rotator"
            case Key(type="RSA" | "RSA-HSM" as type, size=size):
                return f"generating {type} {size} key"
            case Key(type="EC-HSM" as type, curve=curve):
                return f"generating {type} {curve} key"
            case Key(type="oct-HSM" as type):
                return f"generating {type} key"
            case Certificate(key=CertificateKey(type="RSA" | "RSA-HSM" as type, size=size)):
                return f"generating {type} {size or 2048} key and certificate"
            case Certificate(key=CertificateKey(type="EC-HSM")):
                return "generating EC-HSM key and certificate"
            case _:
                return None

    def apart(self, kind: str) -> str | None:
        """Return what is being waited for where a change of this resource type stands in no batch."""
        return "making its tokens" if kind == "managed_hsm" else None

    def close(self) -> None:
        """Close the vault."""
        self._unlocked.close()
