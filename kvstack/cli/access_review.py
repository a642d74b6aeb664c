"""`kvstack access review`: who has access, since when and through what, and when it was last used."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.vault_policies import policy_words
from kvstack.cli.words import lasting, text

if TYPE_CHECKING:
    from kvstack.vault.access_review import AccessReview, Reviewed

_HEAD = ("Who", "Role", "Scope", "Through", "Since", "Given by", "Until", "Last used", "Unused")


def add_review(group: Verbs) -> None:
    """Give `access` the verb that reviews."""
    group.add_command(review)


@click.command()
@click.option("--vault", "name", metavar="VAULT", type=text, help="Only what holds at this vault, or in it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("markdown", "csv", "json")),
    default="markdown",
    show_default=True,
    help="For people, a spreadsheet, or programs.",
)
@click.option("--unused-for", metavar="SPAN", type=lasting, help="Mark what nobody used for so long, as `P90D`.")
@click.option("--segment", "segments", metavar="FILE", type=text, multiple=True, help="Archived records, too.")
@as_json
@pass_context
def review(
    context: Context,
    name: str | None,
    form: str,
    unused_for: timedelta | None,
    segments: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write who has access, since when, and when it was last used; what was never used, or not for long, is marked.

    A use is an operation that was allowed by that very assignment, as the audit has it.
    """
    from kvstack.vault.audit_segments import Segment

    with opened(context) as vault:
        where = None
        if name is not None:
            where = scope_of(vault, name if "/" in name else f"vault/{name}")
        archived = sorted((Segment.opened(file) for file in segments), key=lambda one: one.begin.position)
        found = vault.service.review_access(vault.caller, where, archived)
        known = directory(vault)
    lines = sorted(found.lines, key=lambda one: _order(one, known))
    if as_json or form == "json":
        answer_json(
            {
                "reviewed": found.now,
                "uses_known_since": found.known_since,
                "access": [_document(one, found, unused_for, known) for one in lines],
            }
        )
        return 0
    from kvstack.render.cells import csv_text, markdown_table

    rows = [_cells(one, found, unused_for, known) for one in lines]
    if form == "csv":
        answer(csv_text(_HEAD, rows))
    else:
        answer("\n".join((*_introduction(found), "", markdown_table(_HEAD, rows))))
    return 0


def _introduction(found: "AccessReview") -> list[str]:
    known = f"known since {_words(found.known_since)}" if found.known_since is not None else "not known yet"
    return [
        f"# Access review, {_words(found.now)}",
        "",
        f"What was used, and when, is {known}: from the audit, as far as it is still in the vault or was given.",
    ]


def _order(line: "Reviewed", known: Directory) -> tuple[Any, ...]:
    who = known.name(line.through[-1] if line.through else line.principal).lower()
    return (line.scope.lower(), _right(line, known), who, line.assignment, len(line.through), line.principal)


def _unused(line: "Reviewed", found: "AccessReview", span: timedelta | None) -> bool:
    since = line.unused_since(found.known_since)
    if span is None:
        return line.last_used is None and since is not None
    return since is not None and found.now - since >= span


def _cells(line: "Reviewed", found: "AccessReview", span: timedelta | None, known: Directory) -> tuple[str, ...]:
    return (
        known.name(line.principal),
        _right(line, known),
        line.scope + (" (under a condition)" if line.condition else ""),
        " in ".join(known.name(group) for group in line.through),
        _words(line.starts if line.starts is not None and line.starts > line.created else line.created),
        known.name(line.created_by) + (" (activated)" if line.activation else ""),
        _words(line.until),
        _words(line.last_used) or "never",
        "UNUSED" if _unused(line, found, span) else "",
    )


def _document(line: "Reviewed", found: "AccessReview", span: timedelta | None, known: Directory) -> dict[str, Any]:
    return {
        "principal": known.name(line.principal),
        "principal_id": line.principal,
        "role": known.role_name(line.role_id) if line.policy is None else None,
        "policy": policy_words(line.policy) if line.policy is not None else None,
        "scope": line.scope,
        "through": [known.name(group) for group in line.through],
        "assignment": line.assignment,
        "created": line.created,
        "created_by": known.name(line.created_by),
        "starts": line.starts,
        "until": line.until,
        "condition": line.condition or None,
        "activated": bool(line.activation),
        "last_used": line.last_used,
        "unused": _unused(line, found, span),
    }


def _right(line: "Reviewed", known: Directory) -> str:
    """Return what somebody has: a role's name, or what an access policy permits."""
    return known.role_name(line.role_id) if line.policy is None else f"policy: {policy_words(line.policy)}"


def _words(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time is not None else ""
