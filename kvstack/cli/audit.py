"""`kvstack audit`: what was done, by whom, and whether the record of it is whole."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import counted, table

if TYPE_CHECKING:
    from kvstack.vault.audit import AuditRecord


@verbs("What was done, by whom; whether the record is whole.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@as_json
@pass_context
def tail(context: Context, count: int, as_json: bool) -> int:
    """Show the newest records, the newest last. Names only, never values."""
    require_operator(context, "audit")
    with opened(context) as vault:
        found = list(vault.unlocked.audit.records(newest_first=True, limit=count))[::-1]
    if as_json:
        answer_json({"records": [_document(record) for record in found]})
    else:
        rows = [
            (one.time, one.operation, _short(one.resource), one.caller_name or one.caller, _outcome(one))
            for one in found
        ]
        answer(table(("TIME", "OPERATION", "RESOURCE", "CALLER", "RESULT"), rows, empty="No records."))
    return 0


@command.command()
@as_json
@pass_context
def verify(context: Context, as_json: bool) -> int:
    """Check every record; exit code 1 where one was changed, taken out, or put in."""
    require_operator(context, "audit")
    with opened(context) as vault:
        report = vault.unlocked.audit.verify()
    problem = report.problem
    if as_json:
        wrong = {field: getattr(problem, field) for field in problem.__struct_fields__} if problem is not None else None
        answer_json({"whole": problem is None, "records": report.records, "writers": report.writers, "problem": wrong})
    elif problem is None:
        answer(f"the audit is whole: {counted(report.records, 'record')}")
    else:
        from kvstack.render.escape import plain

        says = f" (it says {problem.operation} of {problem.resource})" if problem.operation else ""
        answer(
            plain(
                f"record {problem.position} {problem.what}{says}; before it {counted(report.records, 'whole record')}"
            )
        )
    return 0 if problem is None else 1


def _document(record: "AuditRecord") -> dict[str, Any]:
    return {field: getattr(record, field) for field in record.__struct_fields__}


def _short(path: str) -> str:
    """Return a resource as a stack writes its scope, where it is one."""
    from kvstack.terms.scope import scope, written_scope

    try:
        return written_scope(scope(path))
    except ValueError:
        return path


def _outcome(record: "AuditRecord") -> str:
    return record.result if not record.description else f"{record.result}: {record.description}"
