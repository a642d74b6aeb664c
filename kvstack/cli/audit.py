"""`kvstack audit`: what was done, by whom, and whether the record of it is whole."""

import time
from typing import TYPE_CHECKING

import click

from kvstack.cli.audit_archive import add_archive
from kvstack.cli.audit_forward import add_forward
from kvstack.cli.audit_reading import add_reading, record_rows
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, finish
from kvstack.cli.table import counted, table
from kvstack.cli.words import text

if TYPE_CHECKING:
    from kvstack.vault.audit import AuditLog
    from kvstack.vault.audit_verification import AuditReport

_HEAD = ("TIME", "OPERATION", "RESOURCE", "CALLER", "RESULT")
_PAUSE = 0.5


@verbs("What was done, by whom; whether the record is whole.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--follow", is_flag=True, help="Go on with what comes; with `--json` one JSON document a line.")
@as_json
@pass_context
def tail(context: Context, count: int, follow: bool, as_json: bool) -> int:
    """Show the newest records, the newest last. Names only, never values."""
    from itertools import islice

    from kvstack.vault.audit_record import read_record
    from kvstack.vault.audit_search import record_document

    require_operator(context, "audit")
    with opened(context) as vault:
        log = vault.unlocked.audit
        newest = list(islice(log.rows(newest_first=True), count))[::-1]
        numbered = [(row[0], read_record(row)) for row in newest]
        if as_json and not follow:
            answer_json({"records": [record_document(*one) for one in numbered]})
        elif as_json:
            _follow_json(log, newest[0][0] - 1 if newest else 0)
        else:
            answer(table(_HEAD, record_rows(numbered), empty="No records."))
            if follow:
                _follow(log, newest[-1][0] if newest else 0)
    return 0


def _follow(log: "AuditLog", last: int) -> None:
    """Show what comes, until interrupted."""
    from kvstack.cli.table import shown
    from kvstack.vault.audit_record import read_record

    while True:
        finish(0)
        time.sleep(_PAUSE)
        for row in log.rows(after=last):
            last = row[0]
            (cells,) = record_rows([(last, read_record(row))])
            answer("  ".join(map(shown, cells)))


def _follow_json(log: "AuditLog", last: int) -> None:
    from kvstack.render.escape import in_json
    from kvstack.vault.audit_record import read_record
    from kvstack.vault.audit_search import json_line

    while True:
        for row in log.rows(after=last):
            last = row[0]
            answer(in_json(json_line(last, read_record(row))))
        finish(0)
        time.sleep(_PAUSE)


@command.command()
@click.option("--anchor", metavar="FILE", type=text, help="A checkpoint kept elsewhere: reveals files put back.")
@click.option("--segment", "segments", metavar="FILE", type=text, multiple=True, help="Archived records; may repeat.")
@as_json
@pass_context
def verify(context: Context, anchor: str | None, segments: tuple[str, ...], as_json: bool) -> int:
    """Check every record and checkpoint; exit code 1 where one was changed, taken out, or put in."""
    from kvstack.vault.audit_segments import Segment

    require_operator(context, "audit")
    kept = None
    if anchor is not None:
        from kvstack.vault.audit_anchor import read_anchor

        kept = read_anchor(anchor)
    with opened(context) as vault:
        report = vault.unlocked.audit.verify(anchor=kept, segments=[Segment.opened(file) for file in segments])
    problem = report.problem
    if as_json:
        wrong = {field: getattr(problem, field) for field in problem.__struct_fields__} if problem is not None else None
        answer_json(
            {
                "whole": problem is None,
                "records": report.records,
                "first": report.first,
                "writers": report.writers,
                "checkpoints": report.checkpoints,
                "signed_up_to": report.signed_up_to,
                "signed_at": report.signed_at,
                "unsigned_since": report.unsigned_since,
                "other_signer": report.other_signer or None,
                "problem": wrong,
            }
        )
    else:
        from kvstack.render.escape import plain

        answer("\n".join(map(plain, _words(report))))
    return 0 if problem is None else 1


def _words(report: "AuditReport") -> list[str]:
    problem = report.problem
    if problem is not None:
        says = f" (it says {problem.operation} of {problem.resource})" if problem.operation else ""
        before = counted(report.records, "whole record")
        return [f"record {problem.position} {problem.what}{says}; before it {before}"]
    from_where = f" from record {report.first} on" if report.first > 1 else ""
    lines = [f"the audit is whole: {counted(report.records, 'record')}{from_where}"]
    if report.signed_at is not None:
        joined = counted(report.checkpoints, "checkpoint")
        newest = f"the newest of {report.signed_at:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"signed up to record {report.signed_up_to}, by {joined}, {newest}")
    if report.unsigned_since is not None:
        since = f"{report.unsigned_since:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"nothing could be signed since {since}: `audit search --operation AuditCheckpoint` says why")
    if report.other_signer:
        lines.append(
            f"from record {report.other_signer} on another key signs than signed the anchor: was it recovered?"
        )
    return lines


@command.command()
@click.option("--file", metavar="FILE", type=text, required=True, help="A new file; keep it where the vault is not.")
@pass_context
def anchor(context: Context, file: str) -> int:
    """Write a signed checkpoint of all there is; `verify --anchor` holds the audit against it."""
    from kvstack.cli.content import keep_private, require_free
    from kvstack.terms.secret import SecretValue

    require_operator(context, "audit")
    require_free(file)
    with opened(context) as vault:
        content = vault.service.audit_anchor(vault.caller)
    keep_private(file, SecretValue(content))
    answer(f"wrote {file}: keep it where the vault's files are not")
    return 0


add_reading(command)
add_archive(command)
add_forward(command)
