"""`kvstack access who-can` and `explain`: who may do something, and why somebody may or may not."""

from typing import TYPE_CHECKING, Any

import click

from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.scopes import scope_of
from kvstack.cli.table import table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.name import folded
from kvstack.terms.scope import Scope, written_scope

if TYPE_CHECKING:
    from kvstack.terms.right import Right
    from kvstack.vault.explanation import Explanation

_RIGHT = "RIGHT is what is done, as `secrets/get`, `keys/sign` or `vaults/delete`, or Azure's action."
_WHERE = (
    "RESOURCE is where: `VAULT`, `VAULT/secrets/NAME`, or a scope as `access list` shows it. In a Managed HSM its "
    "local roles count: `HSM`, `HSM/keys` or `HSM/keys/NAME`."
)
_its_right = click.argument("written_right", metavar="RIGHT", type=text)
_its_resource = click.argument("resource", metavar="RESOURCE", type=text)


def add_questions(group: Verbs) -> None:
    """Give `access` the verbs that ask."""
    group.add_command(who_can)
    group.add_command(explain)


@click.command("who-can", help=f"List who may do something somewhere, by which role or policy. {_RIGHT} {_WHERE}")
@_its_right
@_its_resource
@as_json
@pass_context
def who_can(context: Context, written_right: str, resource: str, as_json: bool) -> int:
    """Answer with every principal that may."""
    from kvstack.cli.grants_told import grant_columns, grant_document

    asked = _right(written_right)
    with opened(context) as vault:
        where = _resource(vault, resource)
        asked = _there(asked, where)
        found = vault.service.who_can(vault.caller, asked.action, where, data=asked.data)
        known = directory(vault)
    # By name: the vault's own order is of ids, which are drawn.
    found = tuple(sorted(found, key=lambda one: (known.name(one[0]).lower(), one[0])))
    if as_json:
        able = [
            {"principal": known.name(who), "principal_id": who, "by": grant_document(grant, known)}
            for who, grant in found
        ]
        answer_json({"right": asked.name, "action": asked.action, "scope": written_scope(where), "principals": able})
        return 0
    rows = [(known.name(who), *grant_columns(grant, known)) for who, grant in found]
    answer(
        table(
            ("PRINCIPAL", "ROLE", "AT", "THROUGH", "UNTIL"),
            rows,
            empty=f"Nobody can {asked.words} at {written_scope(where)}.",
        )
    )
    return 0


@click.command(help=f"Tell why somebody may, or may not, do something. {_RIGHT} {_WHERE}")
@click.argument("principal", metavar="PRINCIPAL", type=text)
@_its_right
@_its_resource
@as_json
@pass_context
def explain(context: Context, principal: str, written_right: str, resource: str, as_json: bool) -> int:
    """Answer with the assignment that decides, or with what is missing."""
    asked = _right(written_right)
    with opened(context) as vault:
        where = _resource(vault, resource)
        asked = _there(asked, where)
        known = directory(vault)
        who = known.principal_id(principal)
        found = vault.service.explain_access(vault.caller, who, asked.action, where, data=asked.data)
    if as_json:
        answer_json(_document(found, asked, known))
    else:
        from kvstack.render.escape import plain

        answer("\n".join(map(plain, _words(found, asked, known))))
    return 0


def _right(written: str) -> "Right":
    from kvstack.terms.right import right

    try:
        return right(written)
    except ValueError as error:
        raise KvstackError(str(error)) from None


def _resource(vault: OpenVault, written: str) -> Scope:
    """Return the scope of a thing as the data plane names it, or of a scope as a stack does. Raises KvstackError."""
    first, _, _ = written.partition("/")
    if first in ("subscription", "resource_group", "vault", "managed_hsm") or not first:
        return scope_of(vault, written, inside=True)
    hsms = {folded(one.name) for one in vault.service.list_managed_hsms(vault.caller)}
    return scope_of(vault, f"{'managed_hsm' if folded(first) in hsms else 'vault'}/{written}", inside=True)


def _there(asked: "Right", where: Scope) -> "Right":
    """Return a right by the action it is where it is asked about. Raises KvstackError where there is no such thing."""
    from kvstack.terms.right import at_managed_hsm

    if not where.managed_hsm:
        if asked.action.startswith("Microsoft.KeyVault/managedHsm/"):
            raise KvstackError(
                f"`{asked.name}` is a right inside a Managed HSM, and {written_scope(where)} is none",
                "`kvstack managed-hsm list` shows those there are.",
            )
        return asked
    found = at_managed_hsm(asked)
    if found is None:
        raise KvstackError(
            f"`{where.vault}` is a Managed HSM: it holds keys, and nobody can {asked.words} in it",
            "Ask about a right on keys, as `keys/sign`, or about the vault that holds it.",
        )
    return found


def _words(found: "Explanation", asked: "Right", known: Directory) -> list[str]:
    from kvstack.cli.grants_told import grant_words, missed_words

    who, where = known.name(found.principal), written_scope(found.scope)
    if found.allowed:
        lines = [f"{who} can {asked.words} at {where}."]
        lines += [f"  {grant_words(grant, known)}" for grant in found.grants]
        return lines
    lines = [f"{who} cannot {asked.words} at {where}."]
    if found.denial is not None:
        lines.append(f"  the deny assignment `{found.denial.name}` at {written_scope(found.denial.scope)} forbids it")
        if found.grants:
            lines += [f"  it would be allowed otherwise: {grant_words(grant, known)}" for grant in found.grants]
        return lines
    lines += [f"  {missed_words(one, known)}" for one in found.missed]
    if found.enough:
        from kvstack.terms.access_policy import permission_words

        vault, needed = found.scope.vault, permission_words(found.enough)
        lines.append(f"  the vault goes by access policies: `kvstack vault set-policy {vault}` would give {needed}")
    elif not found.missed:
        lines.append("  no role that reaches it there allows that")
    if found.smallest is not None:
        at = f"/{found.scope.item} in managed_hsm/{found.scope.vault}" if _is_inside(found, asked) else where
        lines.append(f"  the least that would: `{found.smallest.name}` at {at}")
    return lines


def _is_inside(found: "Explanation", asked: "Right") -> bool:
    return found.scope.managed_hsm and asked.data


def _document(found: "Explanation", asked: "Right", known: Directory) -> dict[str, Any]:
    from kvstack.cli.grants_told import grant_document

    denial = found.denial
    return {
        "principal": known.name(found.principal),
        "principal_id": found.principal,
        "right": asked.name,
        "action": found.action,
        "scope": written_scope(found.scope),
        "allowed": found.allowed,
        "grants": [grant_document(grant, known) for grant in found.grants],
        "denied_by": None if denial is None else {"id": denial.id, "name": denial.name},
        "missed": [{**grant_document(one.grant, known), "why": one.why} for one in found.missed],
        "enough_permissions": sorted(found.enough),
        "smallest_role": found.smallest.name if found.smallest is not None else None,
    }
