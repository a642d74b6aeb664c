"""`kvstack state`: what was recorded at the last apply, and how to mend it."""

import sys
import threading
from typing import Any

import click
import msgspec

from kvstack.apply.rebuild import rebuilt
from kvstack.apply.workspace import state_store
from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.plan_options import as_json
from kvstack.cli.workspace import interactive, locked, workspace
from kvstack.plan.attributes import plain
from kvstack.plan.change import Change, Plan
from kvstack.render.escape import plain as escaped
from kvstack.state.state import Entry, Put, Record, State, after
from kvstack.terms.action import Action
from kvstack.terms.address import Address, is_within
from kvstack.terms.diagnostic import InvalidInput, KvstackError
from kvstack.terms.near import meant


@click.group("state")
def command() -> None:
    """List, show, move, forget, unlock, rebuild what was recorded."""


@command.command("list")
@as_json()
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List the addresses of everything recorded."""
    state = _state(context)
    if as_json:
        answer_json([_document(record) for record in state.records.values()])
    else:
        answer("".join(f"{escaped(address)}\n" for address in state.records))
    return 0


@command.command()
@click.argument("address")
@as_json()
@pass_context
def show(context: Context, address: str, as_json: bool) -> int:
    """Show what is recorded of one thing. Secret values are not: there is only a fingerprint."""
    document = _document(_record(_state(context), address))
    if as_json:
        answer_json(document)
        return 0
    attributes = document.pop("attributes")
    width = max(len(name) for name in (*document, *attributes))
    for part in (document, attributes):
        for name, value in part.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            answer(f"{escaped(name):{width}}  {escaped(text)}\n")
    return 0


@command.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@pass_context
def move(context: Context, source: str, target: str) -> int:
    """Record a thing (and what is in it) under another address. `moved:` in the declaration does the same for
    everybody."""
    store = state_store(context.declaration())
    with locked(store, "state move"):
        state = _required(store.read())
        found = [address for address in state.records if is_within(address, Address(source))]
        if not found:
            _record(state, source)
        entries: list[Entry] = []
        for address in found:
            there = Address(target + address[len(source) :])
            if there in state.records:
                raise KvstackError(f"a thing is recorded at `{there}` already")
            entries.append(Put(msgspec.structs.replace(state.records[address], address=there), was=address))
        store.write(after(state, entries), expected_serial=state.serial)
    answer(f"Moved {len(entries)} to {escaped(target)}. The next apply writes the new address into its tags.")
    return 0


@command.command()
@click.argument("address")
@pass_context
def forget(context: Context, address: str) -> int:
    """Let go of a thing: it stays in the vault, without this stack's tags, and is no longer recorded."""
    with workspace(context) as opened, locked(opened.store, "state forget"):
        state = opened.state()
        record = _record(state, address)
        actual = opened.snapshot(state).things.get(record.identity)
        change = Change(address=record.address, kind=record.kind, action=Action.FORGET, actual=actual, record=record)
        made = Plan(stack=state.stack, environment=state.environment, changes=(change,))
        outcome = opened.apply(made, state, tell=lambda _event: None, stop=threading.Event())
    if outcome.failed:
        raise InvalidInput(outcome.failed[0].diagnostics)
    answer(f"Forgot {escaped(address)}: it stays as it is, and is no longer this stack's.")
    return 0


@command.command()
@pass_context
def unlock(context: Context) -> int:
    """Tell who holds the lock. It ends with the process that holds it, so there is never one to break."""
    from kvstack.state.store import StateLocked

    store = state_store(context.declaration())
    holder = store.holder()
    if holder is None:
        answer("The state is not locked.")
        return 0
    raise StateLocked(holder)


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json("What was found, as one JSON document; with --yes, it is recorded.")
@pass_context
def rebuild(context: Context, yes: bool, as_json: bool) -> int:
    """Make the state anew from what carries this stack's tags in the vaults.

    A tag is a claim, not a proof: what is found is shown, and recorded when you say so.
    """
    with workspace(context) as opened, locked(opened.store, "state rebuild"):
        state = rebuilt(opened)
        if as_json:
            answer_json([_document(record) for record in state.records.values()])
        else:
            for record in state.records.values():
                answer(f"{escaped(record.address)}  ({record.kind.replace('_', ' ')})  {escaped(record.id)}\n")
        if as_json and not yes:
            say("Nothing was recorded: look at what was found, then use `--yes`.")
            return 0
        if not yes:
            _ask(len(state.records))
        opened.store.replace(state)
    say(f"Recorded {len(state.records)}. Generated values are taken as they are.")
    return 0


def _ask(count: int) -> None:
    if not interactive():
        raise KvstackError("nothing was recorded: there is nobody to ask", "Look at what was found, then use `--yes`.")
    typed = click.prompt(
        f"Record these {count} as this stack's? Only `yes` is taken for it", default="", show_default=False, err=True
    )
    if typed.strip() != "yes":
        raise KvstackError("nothing was recorded")
    sys.stderr.flush()


def _state(context: Context) -> State:
    return _required(state_store(context.declaration()).read())


def _required(state: State | None) -> State:
    if state is None:
        raise KvstackError("nothing is recorded: this stack was never applied here", "`kvstack apply` applies it.")
    return state


def _record(state: State, address: str) -> Record:
    record = state.records.get(Address(address))
    if record is None:
        raise KvstackError(f"nothing is recorded at `{address}`{meant(address, state.records)}")
    return record


def _document(record: Record) -> dict[str, Any]:
    document = {
        "address": record.address,
        "kind": record.kind,
        "id": record.id,
        "version": record.version,
        "fingerprint": record.fingerprint,
        "attributes": plain(record.resource),
    }
    return {name: value for name, value in document.items() if value is not None}
