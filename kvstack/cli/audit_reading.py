"""`kvstack audit search` and `export`: records by who, what, where and when, for people and for other programs."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened, require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, finish
from kvstack.cli.table import Cell, counted, table
from kvstack.cli.words import moment, text

if TYPE_CHECKING:
    from kvstack.vault.audit import AuditRecord
    from kvstack.vault.audit_record import StoredRecord
    from kvstack.vault.audit_search import Numbered

_since = click.option("--since", metavar="TIME", type=moment, help="From when on.")
_until = click.option("--until", metavar="TIME", type=moment, help="Before when.")
_segments = click.option(
    "--segment", "segments", metavar="FILE", type=text, multiple=True, help="Archived records, too."
)


def add_reading(group: Verbs) -> None:
    """Give `audit` the verbs that read."""
    group.add_command(search)
    group.add_command(export)


@click.command()
@_since
@_until
@click.option("--principal", metavar="NAME|ID", type=text, default="", help="Who did it.")
@click.option("--operation", metavar="GLOB", type=text, default="", help="What was done: `SecretGet`, `Key*`.")
@click.option(
    "--resource", metavar="RESOURCE", type=text, help="On what, and all in it: `VAULT/secrets/NAME`, a scope."
)
@click.option("--result", metavar="GLOB", type=text, default="", help="How it ended: `Success`, `Forbidden*`.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="The newest so many.")
@_segments
@as_json
@pass_context
def search(
    context: Context,
    since: datetime | None,
    until: datetime | None,
    principal: str,
    operation: str,
    resource: str | None,
    result: str,
    limit: int,
    segments: tuple[str, ...],
    as_json: bool,
) -> int:
    """Find records, the newest last. All that is asked for has to hold."""
    from kvstack.vault.audit_search import Wanted, found, record_document

    require_operator(context, "audit")
    with opened(context) as vault:
        wanted = Wanted(
            principal=principal, operation=operation, resource=_path(vault, resource) if resource else "", result=result
        )
        numbered = deque(found(_rows(vault, since, until, segments), wanted), maxlen=limit)
    if as_json:
        answer_json({"records": [record_document(*one) for one in numbered]})
    else:
        heading = ("TIME", "OPERATION", "RESOURCE", "CALLER", "RESULT")
        answer(table(heading, record_rows(numbered), empty="No records."))
    return 0


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "azure")),
    default="jsonl",
    show_default=True,
    help="kvstack's own records, or Azure's `AuditEvent`; one JSON document a line.",
)
@_since
@_until
@click.option("--file", metavar="FILE", type=text, help="A new file, 0600; standard output by default.")
@_segments
@pass_context
def export(
    context: Context,
    form: str,
    since: datetime | None,
    until: datetime | None,
    file: str | None,
    segments: tuple[str, ...],
) -> int:
    """Write records out for other programs, the oldest first."""
    from kvstack.cli.content import require_free
    from kvstack.render.escape import in_json
    from kvstack.vault.audit_record import read_record
    from kvstack.vault.audit_search import azure_line, json_line

    require_operator(context, "audit")
    require_free(file)
    count = 0
    with opened(context) as vault, _target(file) as target:
        for row in _rows(vault, since, until, segments):
            record = read_record(row)
            line = azure_line(record) if form == "azure" else json_line(row[0], record)
            target.write(in_json(line) + "\n")
            count += 1
    if file is not None:
        answer(f"wrote {file}: {counted(count, 'record')}")
    return 0


def record_rows(numbered: "Iterable[Numbered]") -> list[tuple[Cell, ...]]:
    """Return records as the rows of a table."""
    return [
        (one.time, one.operation, _short(one.resource), one.caller_name or one.caller, _outcome(one))
        for _, one in numbered
    ]


def _rows(
    vault: OpenVault, since: datetime | None, until: datetime | None, segments: tuple[str, ...]
) -> "Iterator[StoredRecord]":
    """Yield the records of archived segments, and then of the store."""
    from kvstack.vault.audit_segments import Segment
    from kvstack.vault.time_step import microseconds

    first = microseconds(since) if since is not None else None
    last = microseconds(until) if until is not None else None
    for segment in sorted((Segment.opened(file) for file in segments), key=lambda one: one.begin.position):
        for row in segment.rows(mac=vault.unlocked.audit.mac):
            if (first is None or row[3] >= first) and (last is None or row[3] < last):
                yield row
    yield from vault.unlocked.audit.rows(since=since, until=until)


def _path(vault: OpenVault, written: str) -> str:
    """Return the path of a resource as a stack, the data plane or Azure writes it, whether it is there or not."""
    from kvstack.terms.scope import Scope, scope

    settings = vault.unlocked.settings
    try:
        return scope(written).path
    except ValueError:
        pass
    match written.removeprefix("vault/").split("/"):
        case ["subscription"]:
            return Scope(settings.subscription_id).path
        case ["resource_group", group]:
            return Scope(settings.subscription_id, group).path
        case ["managed_hsm", name, *item]:
            return Scope(settings.subscription_id, _group(vault, name), name, "/".join(item), managed_hsm=True).path
        case [name, *item]:
            return Scope(settings.subscription_id, _group(vault, name), name, "/".join(item)).path
        case _:
            return written


def _group(vault: OpenVault, name: str) -> str:
    """Return the resource group of a vault; where one that is gone would be by default."""
    from kvstack.vault.errors import VaultError

    try:
        return vault.service.get_vault(vault.caller, name).resource_group
    except VaultError:
        return vault.unlocked.settings.resource_group


@contextmanager
def _target(file: str | None) -> Iterator[IO[str]]:
    """Give a private file that is there whole or not at all, or standard output."""
    import os
    import sys

    if file is None:
        yield sys.stdout
        finish(0)
        return
    part = Path(f"{file}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as target:
            yield target
        os.link(part, file)
    finally:
        part.unlink(missing_ok=True)


def _short(path: str) -> str:
    """Return a resource as a stack writes its scope, where it is one."""
    from kvstack.terms.scope import scope, written_scope

    try:
        return written_scope(scope(path))
    except ValueError:
        return path


def _outcome(record: "AuditRecord") -> str:
    return record.result if not record.description else f"{record.result}: {record.description}"
