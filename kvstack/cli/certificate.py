"""`kvstack certificate`: certificates, made, imported, shown, renewed; their other verbs are in files of their own."""

from typing import TYPE_CHECKING, Any

import click
from msgspec import UNSET

from kvstack.cli.backup import add_backup
from kvstack.cli.certificate_authority import add_authority
from kvstack.cli.certificate_documents import (
    certificate_document,
    certificate_facts,
    pem_text,
    policy_document,
)
from kvstack.cli.certificate_pending import add_pending
from kvstack.cli.certificate_people import add_people
from kvstack.cli.certificate_policy import policy_options, written_policy
from kvstack.cli.content import keep, keep_private, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document
from kvstack.cli.group import verbs
from kvstack.cli.lifecycle import add_lifecycle
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.passwords import password_options, password_value
from kvstack.cli.table import facts, table
from kvstack.cli.thing import recover_hint, thing, vault_name
from kvstack.cli.words import retagged, tag_values, text
from kvstack.terms.certificate import CONTENT_TYPES, ContentType

if TYPE_CHECKING:
    from kvstack.vault.records import Certificate

_FILE_BYTES = 256 * 1024
_its_name = click.argument("written", metavar="VAULT/NAME", type=text)
_tags = click.option("--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="May stand several times.")
_disabled = click.option("--disabled", is_flag=True, help="Make it unusable until it is enabled.")
_encoding = click.option(
    "--encoding", type=click.Choice(("PEM", "DER")), default="PEM", show_default=True, help="How it is written."
)


@verbs("Certificates, each with a key and a secret of its name; authorities, revocation lists.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@_its_name
@policy_options
@_tags
@_disabled
@as_json
@pass_context
def create(
    context: Context, /, written: str, tags: tuple[str, ...], disabled: bool, as_json: bool, **policy: Any
) -> int:
    """Make a certificate, or a new version of it. With the issuer `Unknown` what is made is a request: `pending show`
    prints it, `pending merge` takes what was signed."""
    wanted = thing(context, written, "certificates")
    labels = tag_values(tags)
    ordered = written_policy(**policy)
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        made = vault.service.create_certificate(
            vault.caller, wanted.vault, wanted.name, policy=ordered, enabled=not disabled, tags=labels
        )
    return _tell(made, "created", as_json=as_json)


@command.command("import")
@_its_name
@click.option("--file", metavar="FILE", required=True, help="PFX (PKCS#12) or PEM, with the private key and the chain.")
@password_options
@click.option("--content-type", type=click.Choice(CONTENT_TYPES), help="What its secret is; as the file by default.")
@click.option("--exportable/--not-exportable", default=True, help="Whether its secret holds the private key.")
@click.option("--hsm", is_flag=True, help="Put the key into the HSM: it never leaves it again.")
@_tags
@_disabled
@as_json
@pass_context
def import_(
    context: Context,
    written: str,
    file: str,
    password_env: str | None,
    password_file: str | None,
    content_type: ContentType | None,
    exportable: bool,
    hsm: bool,
    tags: tuple[str, ...],
    disabled: bool,
    as_json: bool,
) -> int:
    """Take a certificate in with its private key and its chain, whose certificates may stand in any order."""
    wanted = thing(context, written, "certificates")
    labels = tag_values(tags)
    content = taken(file, at_most=_FILE_BYTES, what="the file")
    encrypted = b"-----BEGIN " not in content or b"ENCRYPTED" in content
    password = password_value(password_env, password_file, what="the file's password", asked=encrypted)
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        made = vault.service.import_certificate(
            vault.caller,
            wanted.vault,
            wanted.name,
            content,
            password=password,
            content_type=content_type,
            exportable=exportable,
            hsm=hsm,
            enabled=not disabled,
            tags=labels,
        )
    return _tell(made, "imported", as_json=as_json)


@command.command()
@_its_name
@version
@as_json
@pass_context
def show(context: Context, written: str, version: str | None, as_json: bool) -> int:
    """Show a certificate: whom it is for, who issued it, until when it holds."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        found = vault.service.get_certificate(vault.caller, wanted.vault, wanted.name, version=version)
    if as_json:
        answer_json(certificate_document(found))
    else:
        answer(facts(certificate_facts(found)))
    return 0


@command.command("list")
@click.argument("vault", metavar="VAULT", type=text)
@click.option("--include-pending", is_flag=True, help="Those too whose first request nobody has signed yet.")
@as_json
@pass_context
def list_(context: Context, vault: str, include_pending: bool, as_json: bool) -> int:
    """List a vault's certificates."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.list_certificates(there.caller, vault_name(vault), include_pending=include_pending)
    if as_json:
        answer_json({"certificates": [item_document(one) for one in found]})
    else:
        rows = [
            (
                one.name,
                one.policy.subject,
                one.policy.issuer,
                one.enabled,
                one.expires,
                one.versions,
                "pending" if one.pending else "",
            )
            for one in found
        ]
        headings = ("NAME", "SUBJECT", "ISSUER", "ENABLED", "EXPIRES", "VERSIONS", "")
        answer(table(headings, rows, empty="No certificates."))
    return 0


@command.command()
@_its_name
@click.option("--file", metavar="FILE", required=True, help="The new file.")
@version
@_encoding
@click.option("--chain", is_flag=True, help="PEM: those above it, too.")
@pass_context
def download(context: Context, written: str, file: str, version: str | None, encoding: str, chain: bool) -> int:
    """Write the certificate, without its key, into a new file. `secret download` has the PFX or PEM with the key."""
    wanted = thing(context, written, "certificates")
    require_free(file)
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        found = vault.service.get_certificate(vault.caller, wanted.vault, wanted.name, version=version)
    if encoding == "DER":
        if chain:
            raise click.UsageError("a chain is written as PEM")
        keep(file, found.der)
    else:
        keep(file, pem_text((found.der, *found.chain) if chain else (found.der,)))
    say(f"wrote {file}: the certificate {found.vault}/{found.name}, version {found.version}")
    return 0


@command.command()
@_its_name
@click.option("--file", metavar="FILE", required=True, help="The new file; only its owner can read it.")
@version
@password_options
@pass_context
def export(
    context: Context, written: str, file: str, version: str | None, password_env: str | None, password_file: str | None
) -> int:
    """Write the certificate with its private key and its chain as a PFX under a password, as Java and Windows like it.
    Where the key may not leave the vault this is refused."""
    from kvstack.vault.certificates.exported import protected

    wanted = thing(context, written, "certificates")
    require_free(file)
    password = password_value(password_env, password_file, what="a password for the PFX", asked=True, needed=True)
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        found = vault.service.get_secret(vault.caller, wanted.vault, wanted.name, version=version)
    if found.value is not None and password is not None:
        keep_private(file, protected(found.name, found.value, password))
    say(f"wrote {file}: the certificate {found.vault}/{found.name} with its key, version {found.version}")
    return 0


@command.command()
@_its_name
@as_json
@pass_context
def renew(context: Context, written: str, as_json: bool) -> int:
    """Make a new version by the certificate's policy, with a new key unless the policy keeps it."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        made = vault.service.renew_certificate(vault.caller, wanted.vault, wanted.name)
    return _tell(made, "renewed", as_json=as_json)


@command.command("set-attributes")
@_its_name
@version
@click.option("--enabled/--disabled", "enabled", default=None, help="Whether it, its key and its secret can be used.")
@click.option("--tag", "tags", metavar="NAME=VALUE", type=text, multiple=True, help="Set one tag; the others stay.")
@click.option("--untag", metavar="NAME", type=text, multiple=True, help="Take one tag away.")
@as_json
@pass_context
def set_attributes(
    context: Context,
    written: str,
    version: str | None,
    enabled: bool | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    as_json: bool,
) -> int:
    """Change whether a version can be used, and its tags."""
    wanted = thing(context, written, "certificates")
    changes: dict[str, Any] = {"enabled": UNSET if enabled is None else enabled}
    labels = tag_values(tags)
    # Read and changed in one transaction: a tag somebody else sets meanwhile is not lost.
    with opened(context) as vault, recover_hint("certificate", wanted.written), vault.service.batch():
        if labels or untag:
            before = vault.service.get_certificate(
                vault.caller, wanted.vault, wanted.name, version=version, newest=True
            )
            changes["tags"] = retagged(before.tags, labels, untag)
        vault.service.update_certificate(vault.caller, wanted.vault, wanted.name, version=version, **changes)
        changed = vault.service.get_certificate(vault.caller, wanted.vault, wanted.name, version=version, newest=True)
    if as_json:
        answer_json(certificate_document(changed))
    else:
        answer(facts(certificate_facts(changed)))
    return 0


@command.command()
@_its_name
@as_json
@pass_context
def policy(context: Context, written: str, as_json: bool) -> int:
    """Show how the next version will be made, as `create --policy` takes it."""
    wanted = thing(context, written, "certificates")
    with opened(context) as vault, recover_hint("certificate", wanted.written):
        found = vault.service.get_certificate_policy(vault.caller, wanted.vault, wanted.name)
    if as_json:
        answer_json(policy_document(found))
    else:
        import msgspec

        answer(msgspec.json.format(msgspec.json.encode(policy_document(found)), indent=2).decode())
    return 0


add_lifecycle(command, "certificates")
add_backup(command, "certificate")
add_pending(command)
add_authority(command)
add_people(command)


def _tell(made: "Certificate", done: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(item_document(made))
    elif made.pending:
        answer(
            f"{done} a request for {made.vault}/{made.name}: have it signed, then merge it\n"
            f"  kvstack certificate pending show {made.vault}/{made.name} --csr"
        )
    else:
        answer(f"{done} certificate {made.vault}/{made.name}, version {made.version}, expires {made.expires:%Y-%m-%d}")
    return 0
