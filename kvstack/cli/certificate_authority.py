"""What certificate authorities do on the command line: what they issued, what of it is revoked, their lists."""

import click

from kvstack.cli.certificate_documents import issued_document
from kvstack.cli.content import keep, require_free
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import table
from kvstack.cli.thing import recover_hint, thing
from kvstack.cli.words import text
from kvstack.terms.certificate import REVOCATION_REASONS, RevocationReason

_its_name = click.argument("written", metavar="VAULT/NAME", type=text)


@click.command()
@_its_name
@version
@click.option("--reason", type=click.Choice(REVOCATION_REASONS), default="unspecified", help="Why.")
@click.option("--serial", metavar="HEX", type=text, help="VAULT/NAME is the authority; revoke what has this number.")
@as_json
@pass_context
def revoke(
    context: Context, written: str, version: str | None, reason: RevocationReason, serial: str | None, as_json: bool
) -> int:
    """Revoke a certificate that an authority in a vault issued. Publish a new list afterwards: `certificate crl`."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        if serial is not None:
            row = vault.service.revoke_issued(vault.caller, wanted.vault, wanted.name, serial, reason=reason)
        else:
            row = vault.service.revoke_certificate(
                vault.caller, wanted.vault, wanted.name, version=version, reason=reason
            )
    if as_json:
        answer_json(issued_document(row))
    else:
        answer(f"revoked {row.vault}/{row.name}, version {row.version}, serial number {row.serial}")
    return 0


@click.command()
@_its_name
@click.option("--file", metavar="FILE", required=True, help="The new file.")
@click.option(
    "--encoding", type=click.Choice(("PEM", "DER")), default="PEM", show_default=True, help="How it is written."
)
@version
@click.option("--valid-days", type=int, default=7, show_default=True, help="When the next list is due.")
@click.option("--last", is_flag=True, help="Write the list published last, instead of publishing a new one.")
@as_json
@pass_context
def crl(
    context: Context,
    written: str,
    file: str,
    version: str | None,
    encoding: str,
    valid_days: int,
    last: bool,
    as_json: bool,
) -> int:
    """Publish an authority's revocation list into a new file. What was issued under the key of an earlier version is in
    that version's list."""
    from kvstack.vault.certificates.reading import revocation_list_pem

    wanted = thing(context, written, "certificates")
    require_free(file)
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        if last:
            row = vault.service.get_revocation_list(vault.caller, wanted.vault, wanted.name)
        else:
            row = vault.service.publish_revocation_list(
                vault.caller, wanted.vault, wanted.name, version=version, valid_days=valid_days
            )
    keep(file, row.der if encoding == "DER" else revocation_list_pem(row.der))
    if as_json:
        times = {name: getattr(row, name).isoformat().replace("+00:00", "Z") for name in ("published", "next_update")}
        answer_json({"authority": wanted.written, "number": row.number, **times, "file": file})
    else:
        say(f"wrote {file}: list {row.number} of {wanted.written}, the next one is due {row.next_update:%Y-%m-%d}")
    return 0


@click.command()
@_its_name
@as_json
@pass_context
def issued(context: Context, written: str, as_json: bool) -> int:
    """List what an authority issued, oldest first."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        rows = vault.service.list_issued(vault.caller, wanted.vault, wanted.name)
    if as_json:
        answer_json({"issued": [issued_document(row) for row in rows]})
    else:
        shown = [
            (
                row.serial,
                row.subject,
                f"{row.vault}/{row.name}",
                row.expires,
                row.revoked,
                row.reason if row.revoked else "",
            )
            for row in rows
        ]
        headings = ("SERIAL NUMBER", "SUBJECT", "CERTIFICATE", "EXPIRES", "REVOKED", "REASON")
        answer(table(headings, shown, empty="Nothing was issued."))
    return 0


def add_authority(group: Verbs) -> None:
    """Give `certificate` the verbs of authorities."""
    for verb in (revoke, crl, issued):
        group.add_command(verb)
