"""`kvstack import --all`: a whole vault written as a declaration, and taken over with it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kvstack.cli.context import Context
from kvstack.cli.first_files import FIRST_STACK, stack_name
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.table import counted
from kvstack.cli.workspace import locked, workspace
from kvstack.terms.action import Action
from kvstack.terms.diagnostic import Diagnostic, InvalidInput, KvstackError

if TYPE_CHECKING:
    from kvstack.apply.workspace import Workspace
    from kvstack.backends.protocol import Snapshot
    from kvstack.declare.graph import Desired
    from kvstack.plan.change import Change
    from kvstack.render.declaration import Written
    from kvstack.render.events import Outcome


def import_all(context: Context, vault: str, file: str | None, *, as_json: bool) -> int:
    """Write the declaration of a vault, and take over everything in it. What goes wrong leaves no file behind."""
    into = _new_file(context, file)
    into.parent.mkdir(parents=True, exist_ok=True)
    with into.open("x", encoding="utf-8") as opened:
        opened.write("vaults: {}\n")  # a pattern of the stack's `include` has to match something already
    try:
        made = _written(context, vault, into)
        into.write_text(f"# Written by `kvstack import --all {vault}`: what was there then.\n{made.text}", "utf-8")
        with workspace(context) as opened_stack, locked(opened_stack.store, "import"):
            outcome = _taken_over(opened_stack, vault, into, made.roles)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    if outcome.failed:
        raise InvalidInput(tuple(one for failed in outcome.failed for one in failed.diagnostics))
    count = sum(outcome.made.values())
    warn(Diagnostic(severity="warning", summary=f"left out: {words}") for words in made.left_out)
    if as_json:
        answer_json({"file": str(into), "imported": count, "left_out": list(made.left_out)})
    else:
        answer(f"Wrote {into}, and imported {counted(count, 'thing')}. `kvstack plan` is empty.")
    return 0


def _new_file(context: Context, file: str | None) -> Path:
    stack = context.directory / FIRST_STACK
    if file is None and stack.exists():
        raise KvstackError(
            f"there is a {FIRST_STACK} already",
            "Name a new file that it includes: `--file vaults/NAME.yaml`, with `include: [vaults/*.yaml]` in it.",
        )
    into = stack if file is None else context.directory / file
    if into.exists():
        raise KvstackError(f"{into} is there already", "Name a new file: what somebody wrote is not overwritten.")
    if into != stack and not stack.exists():
        raise KvstackError(f"there is no {FIRST_STACK} that could include {file}", "Leave `--file` out to write one.")
    return into


def _written(context: Context, vault: str, into: Path) -> "Written":
    from kvstack.backends.registry import opened
    from kvstack.render.declaration import written
    from kvstack.terms.local_role import local_roles
    from kvstack.terms.role import built_in_roles

    stack, owner, desired = stack_name(context.directory), "", None
    own: set[str] = set()
    kind, isolated = "embedded", False
    if into.name != FIRST_STACK or into.parent != context.directory:
        declared = context.declaration()
        desired = declared.desired
        own |= {
            node.resource.name.lower() for node in desired.nodes.values() if node.resource.kind == "role_definition"
        }
        owner, kind, isolated = declared.desired.owner, declared.backend.type, declared.backend.hsm.isolated
        stack = ""
    backend = opened(kind, context.directory, owner=owner or stack, principal=context.principal, isolated=isolated)
    try:
        snapshot = backend.snapshot([vault])
        _require_whole(snapshot, vault)
        _require_free(snapshot, vault, owner or stack)
        roles = frozenset(role.name.lower() for role in (*built_in_roles().values(), *local_roles().values()))
        own |= {
            actual.resource.name.lower() for actual in snapshot.things.values() if actual.kind == "hsm_role_definition"
        }
        known = _known(desired.placed(backend.resource_group)) if desired is not None else {}
        return written(snapshot, vault, backend.principals() or {}, stack=stack or None, known=known, roles=roles | own)
    finally:
        backend.close()


def _known(desired: "Desired") -> dict[str, str]:
    """Return what a stack calls the principals it declares, by id; its managed identities as things name them."""
    from kvstack.resources.identity import Identity

    identities = {
        node.resource.principal: address.partition("/")[2]
        for address, node in desired.nodes.items()
        if isinstance(node.resource, Identity)
    }
    return {**{principal.id: name for name, principal in desired.principals.items()}, **identities}


def _require_whole(snapshot: "Snapshot", vault: str) -> None:
    there = snapshot.things.get(f"vaults/{vault.lower()}")
    if there is None or there.deletion is not None:
        what = "is soft-deleted" if there is not None else "is not there, or you may not see it"
        raise KvstackError(f"the vault `{vault}` {what}", "`kvstack vault list` shows those there are.")
    unread = [one for one in snapshot.unread if one.identity.startswith(f"vaults/{vault.lower()}")]
    if unread:
        raise KvstackError(
            f"not all of `{vault}` can be read: {unread[0].reason}", "A declaration of a part would plan the rest away."
        )


def _require_free(snapshot: "Snapshot", vault: str, owner: str) -> None:
    """Refuse what another stack has already. Raises InvalidInput with all of it."""
    identity = f"vaults/{vault.lower()}"
    others = [
        actual
        for key, actual in snapshot.things.items()
        if (key == identity or key.startswith(f"{identity}/"))
        and actual.owner is not None
        and actual.owner.stack != owner
        and actual.deletion is None
    ]
    if others:
        raise InvalidInput(
            tuple(
                Diagnostic(
                    summary=f"{type(one.resource).collection}/{one.resource.name} is the stack `{one.owner.stack}`'s",
                    detail="It lets go of it by `removed: [{address: ..., destroy: false}]`; then import it here.",
                )
                for one in others
                if one.owner is not None
            )
        )


def _taken_over(opened: "Workspace", vault: str, into: Path, roles: frozenset[str]) -> "Outcome":
    addresses = {
        address
        for address, node in opened.desired.nodes.items()
        if node.vault.lower() == vault.lower() or node.identity in (f"vaults/{vault.lower()}", *roles)
    }
    if not addresses:
        raise KvstackError(
            f"the stack does not include {into}",
            f"Write `include: [{into.name}]` into {FIRST_STACK}, and run it again.",
        )
    opened.desired = msgspec.structs.replace(opened.desired, imports=frozenset(addresses))
    state = opened.state()
    made = opened.plan(state=state)
    changes = [change for change in made.changes if change.address in addresses]
    _require_only_taking_over(changes)
    adopted = tuple(
        msgspec.structs.replace(
            change, changed=change.changed & {"owner"}, new_version=False, attributes=(), depends_on=()
        )
        for change in changes
    )
    return opened.apply(
        msgspec.structs.replace(made, changes=adopted, bookkeeping=()),
        state,
        tell=lambda _event: None,
        stop=threading.Event(),
    )


def _require_only_taking_over(changes: "list[Change]") -> None:
    wrong = [change for change in changes if change.action is not Action.IMPORT]
    if wrong:
        raise InvalidInput(
            tuple(
                Diagnostic(
                    summary=f"it would not be taken over as it is, but: {change.action.name.lower()}",
                    detail="; ".join(change.reasons),
                    address=change.address,
                )
                for change in wrong
            )
        )
