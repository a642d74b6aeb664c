"""`kvstack audit archive`: the oldest records into a file that can still be verified."""

from datetime import datetime, timedelta

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import counted
from kvstack.cli.words import lasting, moment, text
from kvstack.terms.diagnostic import KvstackError


def add_archive(group: Verbs) -> None:
    """Give `audit` the verb that archives."""
    group.add_command(archive)


@click.command()
@click.option("--until", metavar="TIME", type=moment, help="What was recorded before it.")
@click.option("--keep", metavar="SPAN", type=lasting, help="All but the newest, as `P90D`.")
@click.option("--file", metavar="FILE", type=text, required=True, help="A new file.")
@as_json
@pass_context
def archive(context: Context, until: datetime | None, keep: timedelta | None, file: str, as_json: bool) -> int:
    """Move the oldest records into a file, up to a checkpoint. Interrupted, it is run again with the same file."""
    require_operator(context, "audit")
    if (until is None) == (keep is None):
        raise KvstackError("say up to when to archive", "Give either `--until TIME` or `--keep SPAN`.")
    with opened(context) as vault:
        moment = until if until is not None else vault.unlocked.clock.now() - (keep or timedelta())
        done = vault.service.archive_audit(vault.caller, moment, file)
    if as_json:
        answer_json({"file": file, "first": done.first, "last": done.last, "signed_at": done.moment})
    else:
        answer(f"wrote {file}: {counted(done.records, 'record')}, {done.first} to {done.last}")
    return 0
