"""A stack opened for work: its declaration, its backend and its state, and the plans and applies made of them."""

import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from kvstack.apply import approval
from kvstack.apply.rules_last import is_second_step, rules_last, without_second_steps
from kvstack.apply.step import Step, as_applied, recorded, sets_value
from kvstack.apply.values import Values
from kvstack.backends.protocol import Approves, Backend, LastChange, Offer, Snapshot, Tells
from kvstack.declare.declaration import Declaration
from kvstack.declare.digest import digest
from kvstack.plan import people
from kvstack.plan.access import NO_EFFECTS, AccessEffects
from kvstack.plan.change import Change, Drifted, Plan
from kvstack.plan.plan import plan
from kvstack.render.events import Event, Failed, Outcome, Skipped
from kvstack.resources.catalog import CONTAINERS
from kvstack.state.file import FileStore
from kvstack.state.state import Drop, Entry, Put, State, after
from kvstack.terms.action import Action
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError
from kvstack.terms.event import StackEvent
from kvstack.terms.principal import Principal


def state_store(declaration: Declaration) -> FileStore:
    """Return where a declaration's state is kept."""
    folder = Path(declaration.state_path or ".kvstack/state")
    return FileStore(declaration.directory / folder, declaration.desired.stack, declaration.desired.environment)


class Workspace:
    """One stack, open. environ: the process's environment, which secret values may come from."""

    def __init__(
        self,
        declaration: Declaration,
        backend: Backend,
        *,
        environ: Mapping[str, str] = os.environ,
        allow_files: bool = False,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.declaration = declaration
        self.desired = declaration.desired.placed(backend.resource_group)
        self.backend = backend
        self.store = state_store(declaration)
        self._random = random
        self._values = Values(declaration.directory, environ=environ, random=random, allow_files=allow_files)

    @property
    def maker(self) -> dict[str, str]:
        """For which vaults plans are made here, and by whom, as a saved plan says it."""
        caller = self.backend.caller_id if isinstance(self.backend, Approves) else ""
        return {"backend": self.backend.id, "made_by": caller}

    def tell(self, what: StackEvent) -> None:
        """Tell those who want to know what became of the stack."""
        if isinstance(self.backend, Tells):
            self.backend.tell(what, self.desired.owner)

    def state(self) -> State:
        """Return what was applied last; of a stack never applied, an empty state that is not written yet."""
        found = self.store.read()
        if found is None:
            lineage = str(uuid.UUID(bytes=self._random(16), version=4))
            return State(
                stack=self.desired.stack, environment=self.desired.environment, lineage=lineage, backend=self.backend.id
            )
        if found.backend != self.backend.id:
            raise KvstackError(
                f"the state {self.store.path} belongs to other vaults",
                f"It records what is in `{found.backend}`, the stack's backend is `{self.backend.id}`. "
                "Put the right state back, or run `kvstack state rebuild`.",
            )
        return found

    def plan(
        self,
        *,
        state: State | None = None,
        targets: tuple[Address, ...] = (),
        destroy: bool = False,
        refresh_only: bool = False,
        with_digest: bool = False,
        policies: Path | None = None,
    ) -> Plan:
        """Read what is there and return the plan. with_digest: for a plan that is saved; policies: a folder of Python
        policies."""
        state = self.state() if state is None else state
        snapshot = self.snapshot(state)
        made = plan(
            self.desired,
            state,
            snapshot,
            now=self.backend.clock.now(),
            values=self._offered(),
            targets=targets,
            destroy=destroy,
            refresh_only=refresh_only,
        )
        wrong = tuple(diagnostic for diagnostic in made.diagnostics if diagnostic.severity == "error")
        if wrong:
            raise InvalidInput(wrong)
        approval.require_brings_no_rule(made.changes, self.backend)
        known = self.backend.principals() if self.desired.principals or made.changes else {}
        # Whoever may not know them cannot tell what is new either.
        principals = () if destroy or known is None else people.unknown(self.desired.principals, known)
        made = msgspec.structs.replace(made, principals=principals)
        return msgspec.structs.replace(
            made,
            changes=tuple(self._placed(made.changes)),
            drift=tuple(self._attributed(made.drift, state)),
            access=self._access(made, snapshot, known, principals),
            needs_approval=approval.needed(
                made, self.backend, self.desired.nodes, self.desired.principals, known or {}
            ),
            diagnostics=(
                *self.backend.notes,
                *self.declaration.warnings,
                *made.diagnostics,
                *people.membership(principals, known or {}),
                *self._linted(made, policies),
            ),
            declaration_digest=digest(self.desired) if with_digest else "",
        )

    def snapshot(self, state: State) -> Snapshot:
        """Return everything in the vaults that are declared or recorded."""
        names = {node.vault for node in self.desired.nodes.values() if node.vault}
        names |= {record.vault for record in state.records.values() if record.vault}
        for vault, resource in (
            *((node.vault, node.resource) for node in self.desired.nodes.values()),
            *((record.vault, record.resource) for record in state.records.values()),
        ):
            if type(resource) in CONTAINERS.values():
                names.add(resource.name)
            # What is needed may be in somebody else's vault.
            names |= {needed.split("/")[1] for needed in resource.needs(vault) if needed.startswith("vaults/")}
        return self.backend.snapshot({name.lower(): name for name in sorted(names)}.values())

    def missing_values(self, made: Plan) -> tuple[Diagnostic, ...]:
        """Return what is wrong with the values a plan would set that have to be there already: all of them, before
        anything is touched."""
        found: list[Diagnostic] = []
        for change in made.changes:
            source = change.node.resource.value_source if change.node is not None else None
            if source is not None and sets_value(change):
                problems = self._values.problems(source)
                found += (msgspec.structs.replace(problem, address=change.address) for problem in problems)
        return tuple(found)

    def apply(
        self,
        made: Plan,
        state: State,
        *,
        tell: Callable[[Event], None],
        stop: threading.Event,
        workers: int | None = None,
        approved: str = "",
    ) -> Outcome:
        """Make a plan true. Only under the state's lock. tell: hears what happens; stop: set it to finish what is in
        flight; approved: the digest of the saved plan, where it is done under its approvals."""
        if not approved or not isinstance(self.backend, Approves):
            return self._applied(made, state, tell, stop, workers)
        with self.backend.under(approved) as ended:
            outcome = self._applied(made, state, tell, stop, workers)
            if not outcome.failed and not outcome.skipped:
                ended()
        return outcome

    def _applied(
        self,
        made: Plan,
        state: State,
        tell: Callable[[Event], None],
        stop: threading.Event,
        workers: int | None,
    ) -> Outcome:
        if state.serial == 0:
            state = self.store.write(state, expected_serial=0)
        for principal in made.principals:
            self.backend.make_known(principal)
        from kvstack.apply.run import Run  # threads and all: a plan needs none

        step = Step(self.backend, self.desired.owner, self._values)
        entries: list[Entry] = list(self._bookkeeping(made, state))
        if entries:
            self.store.record(entries)

        def record(more: Iterable[Entry]) -> None:
            finished = list(more)
            entries.extend(finished)
            self.store.record(finished)

        def told(event: Event) -> None:
            if not is_second_step(event.address) or isinstance(event, Failed | Skipped):
                tell(event)

        outcome = Run(
            rules_last(made.changes),
            backend=self.backend,
            step=step,
            record=record,
            tell=told,
            stop=stop,
            workers=workers or max(2, os.cpu_count() or 2),
        ).outcome()
        if entries or state.intents:
            self.store.write(after(state, entries), expected_serial=state.serial)
        return without_second_steps(outcome)

    def _bookkeeping(self, made: Plan, state: State) -> Iterator[Entry]:
        """Yield what the state has to say of things that need no change: those it does not know, or knows otherwise."""
        for change in made.bookkeeping:
            if change.actual is not None and not change.compared_at_apply:
                yield recorded(change, change.actual)
        if made.refresh_only:
            yield from self._refreshed(state)

    def _refreshed(self, state: State) -> Iterator[Entry]:
        snapshot = self.snapshot(state)
        for record in state.records.values():
            actual = snapshot.things.get(record.identity)
            if snapshot.unread_because(record.identity) is not None:
                continue  # it may well be there
            if actual is None or actual.deletion is not None:
                yield Drop(record.address)
            else:
                yield Put(
                    msgspec.structs.replace(
                        record,
                        id=actual.id,
                        resource=as_applied(record.resource, actual.resource),
                        version=actual.version,
                        fingerprint=actual.fingerprint if record.fingerprint is not None else None,
                    )
                )

    def _offered(self) -> dict[Address, str]:
        """Return the fingerprints of the values that are there to read, by address."""
        found: list[tuple[Address, Offer]] = []
        for address, node in self.desired.nodes.items():
            resource = node.resource
            if resource.value_source is not None and resource.value_source.read_at_plan:
                value = self._values.offered(resource.value_source)
                if value is not None:
                    found.append((address, Offer(node.vault, resource.name, value)))
        if not found:
            return {}
        prints = self.backend.fingerprints(offer for _, offer in found)
        return {
            address: fingerprint
            for (address, _), fingerprint in zip(found, prints, strict=True)
            if fingerprint is not None
        }

    def _linted(self, made: Plan, policies: Path | None) -> tuple[Diagnostic, ...]:
        """Return what lint has to say of what a plan changes."""
        if made.destroy or made.refresh_only or not (made.changes or policies or self.desired.rules):
            return ()
        from kvstack.apply.linted import linted, of_plan  # most plans change nothing

        found = linted(self.declaration, now=self.backend.clock.now(), policies=policies)
        return of_plan(found, (change.address for change in made.changes))

    def _access(
        self,
        made: Plan,
        snapshot: Snapshot,
        known: Mapping[str, Principal] | None,
        principals: tuple[Principal, ...],
    ) -> AccessEffects:
        """Return who gains and loses what. known: the principals the backend tells; principals: the new ones."""
        if not made.changes and not principals:
            return NO_EFFECTS
        from kvstack.plan.effects import effects  # most plans change nothing

        declared = {} if made.destroy else self.desired.principals
        return effects(
            made.changes,
            snapshot,
            known=known or {},
            declared=declared,
            group=self.backend.resource_group,
            now=self.backend.clock.now(),
        )

    def _placed(self, changes: tuple[Change, ...]) -> Iterator[Change]:
        """Yield the changes, the refused ones with the line they stand at."""
        paths = {
            str(change.address): change.node.path
            for change in changes
            if change.action is Action.REFUSE and change.node is not None
        }
        places = self.declaration.places(paths) if paths else {}
        for change in changes:
            place = places.get(change.address)
            yield change if place is None else msgspec.structs.replace(change, place=place)

    def _attributed(self, drift: tuple[Drifted, ...], state: State) -> Iterator[Drifted]:
        """Yield what drifted with who did it, as far as the audit knows."""
        identities = {drifted.address: state.records[drifted.address].identity for drifted in drift}
        changes: Mapping[str, LastChange] = self.backend.last_changes(identities.values()) if drift else {}
        for drifted in drift:
            last = changes.get(identities[drifted.address])
            if last is None:
                yield drifted
            else:
                yield msgspec.structs.replace(drifted, by=last.who, at=last.when, operation=last.operation)
