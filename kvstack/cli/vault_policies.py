"""`kvstack vault set-policy` and `delete-policy`: access policies of a vault, one principal at a time, like `az`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import UNSET, UnsetType

from kvstack.cli.context import Context, pass_context
from kvstack.cli.directory import Directory, directory
from kvstack.cli.group import Verbs
from kvstack.cli.many_values import ManyValues
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import NONE, text
from kvstack.terms.access_policy import COLLECTIONS, in_order
from kvstack.terms.diagnostic import Diagnostic

if TYPE_CHECKING:
    from kvstack.vault.access_policy import AccessPolicy

F = TypeVar("F", bound=Callable[..., Any])

_name = click.argument("name", metavar="VAULT", type=text)
_principal = click.option(
    "--principal", metavar="PRINCIPAL", type=text, required=True, help="A name the vault knows, or an object id."
)


def add_policies(group: Verbs) -> None:
    """Give `vault` the verbs for access policies."""
    group.add_command(set_policy)
    group.add_command(delete_policy)


def _permissions(word: str, few: str) -> Callable[[F], F]:
    return click.option(
        f"--{word}-permissions",
        f"{word}s",
        metavar="PERMISSION...",
        type=text,
        multiple=True,
        help=f"What may be done with {word}s: {few}, ...; `all`, or `{NONE}`. Left out, it stays.",
    )


@click.command("set-policy", cls=ManyValues, help="Set what a principal may do in a vault under access policies.")
@_name
@_principal
@_permissions("secret", "get list set")
@_permissions("key", "get sign unwrapKey")
@_permissions("certificate", "get list import")
@as_json
@pass_context
def set_policy(
    context: Context,
    name: str,
    principal: str,
    secrets: tuple[str, ...],
    keys: tuple[str, ...],
    certificates: tuple[str, ...],
    as_json: bool,
) -> int:
    """Set a principal's policy."""
    with opened(context) as there, recover_hint("vault", name):
        known = directory(there)
        who = known.principal_id(principal)
        home = there.service.get_vault(there.caller, vault_name(name))
        made = there.service.set_access_policy(
            there.caller,
            home.name,
            who,
            keys=_given(keys),
            secrets=_given(secrets),
            certificates=_given(certificates),
        )
    if home.access_model == "rbac":
        warn(
            [
                Diagnostic(
                    severity="warning",
                    summary=f"vault `{name}` goes by roles: the policy counts once it goes by access policies",
                    detail=f"`kvstack vault update {name} --access-model access_policies` changes that.",
                )
            ]
        )
    if as_json:
        answer_json(policy_document(made, known))
    else:
        answer(f"{_plain(known.name(who))} may in vault {name}: {policy_words(made)}")
    return 0


@click.command("delete-policy", help="Take a principal's access policy in a vault away.")
@_name
@_principal
@as_json
@pass_context
def delete_policy(context: Context, name: str, principal: str, as_json: bool) -> int:
    """Take a principal's policy away."""
    with opened(context) as there, recover_hint("vault", name):
        known = directory(there)
        gone = there.service.delete_access_policy(there.caller, vault_name(name), known.principal_id(principal))
    if as_json:
        answer_json(policy_document(gone, known))
    else:
        answer(f"took the access policy of {_plain(known.name(gone.principal_id))} in vault {name} away")
    return 0


def policy_document(policy: "AccessPolicy", known: Directory) -> dict[str, Any]:
    """Return an access policy."""
    found = known.principals.get(policy.principal_id)
    return {
        "principal": found.name if found is not None and found.name else None,
        "principal_id": policy.principal_id,
        **{kind: list(in_order(kind, getattr(policy, kind))) for kind in COLLECTIONS},
    }


def policy_words(policy: "AccessPolicy") -> str:
    """Return what a policy permits, in words."""
    given = [(kind, in_order(kind, getattr(policy, kind))) for kind in COLLECTIONS]
    return "; ".join(f"{kind} {' '.join(names)}" for kind, names in given if names)


def _given(written: Sequence[str]) -> "tuple[str, ...] | UnsetType":
    names = tuple(name for one in written for name in one.replace(",", " ").split())
    if [name.lower() for name in names] == [NONE]:
        return ()
    return names or UNSET


def _plain(name: str) -> str:
    from kvstack.render.escape import plain

    return plain(name)
