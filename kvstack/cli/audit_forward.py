"""`kvstack audit forward`: records handed over to syslog, a file or a socket, as `.kvstack/forward.json` says."""

import time
from typing import TYPE_CHECKING

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, finish, report
from kvstack.cli.table import counted
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.audit_destinations import Destination
    from kvstack.vault.audit_forwarding import Forwarded

_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


def add_forward(group: Verbs) -> None:
    """Give `audit` the verb that forwards."""
    group.add_command(forward)


@click.command()
@click.option("--once", is_flag=True, help="Hand over what waits, and end; this is what is done by default.")
@click.option("--follow", is_flag=True, help="Go on with what comes.")
@as_json
@pass_context
def forward(context: Context, once: bool, follow: bool, as_json: bool) -> int:
    """Hand records over to where `.kvstack/forward.json` says: at least once, in order, from where each was left.

    Exit code 1 where one of them takes nothing; the others have theirs, and nothing is lost.
    """
    from kvstack.vault.audit_destinations import destinations
    from kvstack.vault.audit_forwarding import forwarded, forwarding_alone

    require_operator(context, "audit")
    if once and follow:
        raise KvstackError("`--once` and `--follow` exclude each other")
    with opened(context) as vault, forwarding_alone(vault.unlocked.paths):
        there = destinations(vault.unlocked.paths)
        if not there:
            raise KvstackError(
                f"nowhere to forward to: there is no {vault.unlocked.paths.forwarding}",
                'Write it, 0600: {"destinations": [{"name": "siem", "to": "syslog+tcp://logs.example.org:601"}]}.',
            )
        if follow:
            _follow(vault, there)
        found = [forwarded(vault.unlocked.audit, one) for one in there]
    failures = [diagnostic for one in found if one.failure is not None for diagnostic in one.failure.diagnostics]
    if as_json and not failures:
        answer_json({"forwarded": [{"name": one.name, "records": one.records} for one in found]})
    elif not as_json:
        answer("\n".join(_words(one) for one in found))
    return report(failures, as_json=as_json, exit_code=1) if failures else 0


def _follow(vault: OpenVault, there: "tuple[Destination, ...]") -> None:
    """Go on until interrupted. One that fails is asked again after a while that grows; the others do not wait."""
    from kvstack.vault.audit_forwarding import forwarded

    again: dict[str, float] = {}
    pauses: dict[str, float] = {}
    while True:
        for destination in there:
            name = destination.name
            if time.monotonic() < again.get(name, 0.0):
                continue
            found = forwarded(vault.unlocked.audit, destination)
            if found.failure is None:
                pauses.pop(name, None)
            else:
                if name not in pauses:
                    report(found.failure.diagnostics, as_json=False, exit_code=0)
                pauses[name] = min(pauses.get(name, _PAUSE / 2) * 2, _LONGEST_PAUSE)
            again[name] = time.monotonic() + pauses.get(name, 0.0)
            if found.records:
                answer(_words(found))
                finish(0)
        time.sleep(_PAUSE)


def _words(found: "Forwarded") -> str:
    from kvstack.render.escape import plain

    return plain(f"{found.name}: {counted(found.records, 'record')}, up to {found.position}")
