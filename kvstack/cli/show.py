"""`kvstack show`: a saved plan, or all that is known of one thing."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from kvstack.cli.context import Context, pass_context
from kvstack.cli.output import answer, answer_json, coloured, width
from kvstack.cli.plan_options import as_json
from kvstack.cli.workspace import workspace
from kvstack.plan.attributes import plain
from kvstack.render.escape import plain as escaped
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.near import meant


@click.command("show")
@click.argument("what", metavar="PLAN | ADDRESS")
@as_json()
@pass_context
def command(context: Context, what: str, as_json: bool) -> int:
    """Show a saved plan, or one thing: as declared, as applied last, as it is now, and who changed it last."""
    if Path(what).is_file():
        return _saved(context, Path(what), as_json=as_json)
    with workspace(context) as opened:
        address = Address(what)
        state = opened.state()
        node, record = opened.desired.nodes.get(address), state.records.get(address)
        if node is None and record is None:
            known = [*opened.desired.nodes, *state.records]
            raise KvstackError(
                f"nothing is declared or recorded at `{what}`{meant(what, known)}",
                "And there is no plan file of that name.",
            )
        identity = record.identity if record is not None else node.identity if node is not None else ""
        actual = opened.snapshot(state).things.get(identity)
        last = opened.backend.last_changes([identity]).get(identity)
    parts: dict[str, dict[str, Any] | None] = {
        "declared": plain(node.resource) if node else None,
        "applied": plain(record.resource) if record else None,
        "actual": None
        if actual is None
        else {
            "id": actual.id,
            "version": actual.version,
            "fingerprint": actual.fingerprint,
            "owner": plain(actual.owner),
            "deletion": plain(actual.deletion),
            **plain(actual.resource),
        },
        "last_change": None
        if last is None
        else {"who": last.who, "when": plain(last.when), "operation": last.operation},
    }
    if as_json:
        answer_json({"address": what, **parts})
    else:
        answer("\n".join(_section(title, part) for title, part in parts.items()))
    return 0


def _saved(context: Context, path: Path, *, as_json: bool) -> int:
    from kvstack.apply.saved import opened as read
    from kvstack.apply.saved import plan_of
    from kvstack.render.json import document
    from kvstack.render.terminal import terminal

    file = read(path)
    made = plan_of(file.saved)
    # A plan may be looked at where its vaults are not.
    if made.needs_approval and (context.directory / ".kvstack").is_dir():
        from kvstack.apply.approval import shown
        from kvstack.cli.opened import opened

        with opened(context) as vault:
            given = vault.service.approvals_of(vault.caller, file.digest)
        made = msgspec.structs.replace(made, approvals=shown(given))
    if as_json:
        approvals = document(made).get("approvals")
        answer_json(file.saved.plan | ({"approvals": approvals} if approvals else {}))
    else:
        answer(terminal(made, width=width(sys.stdout), colour=coloured(sys.stdout)))
    return 0


def _section(title: str, part: dict[str, Any] | None) -> str:
    heading = title.replace("_", " ").capitalize()
    shown = {name: value for name, value in (part or {}).items() if value is not None}
    if not shown:
        return f"{heading}: nothing\n"
    widest = max(len(name) for name in shown)
    lines = [f"  {escaped(name):{widest}}  {escaped(_text(value))}" for name, value in shown.items()]
    return "\n".join((heading, *lines, ""))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
