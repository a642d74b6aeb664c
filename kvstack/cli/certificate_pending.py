"""`kvstack certificate pending`: requests somebody else signs, shown, merged, cancelled."""

import click

from kvstack.cli.content import taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import Cell, facts
from kvstack.cli.thing import recover_hint, thing
from kvstack.cli.words import text

_CHAIN_BYTES = 256 * 1024
_its_name = click.argument("written", metavar="VAULT/NAME", type=text)


@verbs("Requests that somebody else signs.")
def pending() -> None:
    """Hold the verbs."""


@pending.command()
@_its_name
@click.option("--csr", "alone", is_flag=True, help="Print the request alone, as PEM (PKCS#10).")
@as_json
@pass_context
def show(context: Context, written: str, alone: bool, as_json: bool) -> int:
    """Show a pending request; with --csr the request alone, for whoever signs it."""
    from kvstack.vault.certificates.reading import request_pem

    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        found = vault.service.get_pending_certificate(vault.caller, wanted.vault, wanted.name)
    csr = request_pem(found.csr).decode()
    if as_json:
        created = found.created.isoformat().replace("+00:00", "Z")
        answer_json(
            {"vault": found.vault, "name": found.name, "id": found.id, "status": "inProgress", "csr": csr}
            | {"issuer": found.policy.issuer, "subject": found.policy.subject, "created": created}
        )
    elif alone:
        answer(csr)
    else:
        shown: list[tuple[str, Cell]] = [
            ("vault", found.vault),
            ("name", found.name),
            ("request", found.id),
            ("subject", found.policy.subject),
            ("created", found.created),
        ]
        answer(facts(shown) + "\n" + csr)
    return 0


@pending.command()
@_its_name
@click.option(
    "--file", metavar="FILE", required=True, help="The signed certificate and those above it: PEM, any order."
)
@as_json
@pass_context
def merge(context: Context, written: str, file: str, as_json: bool) -> int:
    """Complete a request with the certificate that was made from it, and those above it."""
    wanted = thing(context, written, "certificates")
    content = taken(file, at_most=_CHAIN_BYTES, what="the chain")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        made = vault.service.merge_certificate(vault.caller, wanted.vault, wanted.name, content)
    if as_json:
        answer_json(item_document(made))
    else:
        answer(f"merged certificate {made.vault}/{made.name}, version {made.version}, expires {made.expires:%Y-%m-%d}")
    return 0


@pending.command()
@_its_name
@as_json
@pass_context
def cancel(context: Context, written: str, as_json: bool) -> int:
    """Give a request up; its key is destroyed."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        left = vault.service.cancel_pending_certificate(vault.caller, wanted.vault, wanted.name)
    if as_json:
        answer_json({"cancelled": {"vault": wanted.vault, "name": wanted.name}})
    else:
        answer(f"cancelled the request for {wanted.written}" + ("" if left else ": there is no such certificate now"))
    return 0


def add_pending(group: Verbs) -> None:
    """Give `certificate` its verbs about requests."""
    group.add_command(pending, "pending")
