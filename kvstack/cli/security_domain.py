"""`kvstack hsm security-domain`, `backup` and `restore`: a Managed HSM's life beyond its tokens."""

from typing import TYPE_CHECKING

import click

from kvstack.cli.confirm import confirm
from kvstack.cli.content import keep_private, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.custodians import custodian_in, custodian_keys_in, custodians_option
from kvstack.cli.documents import item_document
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.managed_hsm_documents import hsm_document
from kvstack.cli.opened import opened
from kvstack.cli.options import answer_yes, as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.table import counted
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue

if TYPE_CHECKING:
    from kvstack.hsm.security_domain import CustodianKey

_NOUN = "managed-hsm"
_LONGEST_PEM = 1 << 16
_LONGEST_DOMAIN = 1 << 20
_hsm = click.argument("hsm", metavar="HSM", type=text)
_hsm_or_own = click.argument("hsm", metavar="[HSM]", type=text, required=False)


def _custodian_keys(function: "click.decorators.FC") -> "click.decorators.FC":
    for option in (
        click.option("--password-file", metavar="FILE", type=text, help="The file the keys' password is in."),
        click.option("--password-env", metavar="NAME", type=text, help="The environment variable it is in."),
        click.option(
            "--custodian-key",
            "custodian_keys",
            metavar="PRIVATE.pem",
            required=True,
            multiple=True,
            help="A custodian's private key; as many as the quorum.",
        ),
        click.option("--file", metavar="FILE", required=True, help="The security domain; `-` for standard input."),
    ):
        function = option(function)
    return function


@verbs("The security domain: what a Managed HSM's keys are wrapped under, in the hands of its custodians.")
def security_domain() -> None:
    """Hold the verbs."""


@security_domain.command()
@_hsm_or_own
@custodians_option
@click.option("--quorum", type=int, help="How many custodians restore it; at least 2.")
@click.option("--file", metavar="FILE", required=True, help="The new file.")
@as_json
@pass_context
def download(
    context: Context, hsm: str | None, custodians: tuple[str, ...], quorum: int | None, file: str, as_json: bool
) -> int:
    """Draw a security domain, give each custodian a share, and activate the Managed HSM.

    Without HSM it is that of the vaults' own HSM keys, for the custodians named to `init`. The file holds no secret by
    itself: keep copies of it apart from the vault. Asked again for the same custodians, it is written again.
    """
    require_free(file)
    if hsm is None:
        if custodians or quorum is not None:
            raise KvstackError("the custodians of the vaults' own keys were named to `init`", "Leave them out here.")
        with opened(context) as there:
            document = there.service.download_own_security_domain(there.caller)
        keep_private(file, SecretValue(document))
        _tell_downloaded(None, file, document, as_json=as_json)
        return 0
    if not custodians or quorum is None:
        raise KvstackError("a Managed HSM is activated for custodians", "Name them by `--custodian` and `--quorum`.")
    asked = [custodian_in(one) for one in custodians]
    with opened(context) as there, recover_hint(_NOUN, hsm):
        document = there.service.download_security_domain(there.caller, vault_name(hsm), asked, quorum)
    keep_private(file, SecretValue(document))
    _tell_downloaded(hsm, file, document, as_json=as_json)
    return 0


@security_domain.command()
@_hsm_or_own
@_custodian_keys
@click.option(
    "--of-another-store",
    is_flag=True,
    help="Without HSM: take another store's, where this one has none yet, so that its vaults' HSM keys open here.",
)
@as_json
@pass_context
def upload(
    context: Context,
    hsm: str | None,
    file: str,
    custodian_keys: tuple[str, ...],
    password_env: str | None,
    password_file: str | None,
    of_another_store: bool,
    as_json: bool,
) -> int:
    """Activate a new Managed HSM by the security domain of a lost one: its backups can be restored then.

    Without HSM it brings the vaults' own HSM keys back, after `hsm recover` has made a new token.
    """
    document, keys = _brought(file, custodian_keys, password_env, password_file)
    if hsm is not None and of_another_store:
        raise KvstackError(
            f"a Managed HSM takes any store's security domain: `--of-another-store` is not for {hsm}", "Leave it out."
        )
    if hsm is None:
        with opened(context) as there:
            there.service.upload_own_security_domain(there.caller, document, keys, of_another_store=of_another_store)
        if as_json:
            answer_json({"uploaded": file})
        else:
            answer(f"the vaults' HSM keys can be used again, by the security domain in {file}")
        return 0
    with opened(context) as there, recover_hint(_NOUN, hsm):
        activated = there.service.upload_security_domain(there.caller, vault_name(hsm), document, keys)
    if as_json:
        answer_json(hsm_document(activated))
    else:
        answer(f"activated Managed HSM {activated.name} by the security domain in {file}")
    return 0


@security_domain.command()
@_hsm
@_custodian_keys
@as_json
@pass_context
def join(
    context: Context,
    hsm: str,
    file: str,
    custodian_keys: tuple[str, ...],
    password_env: str | None,
    password_file: str | None,
    as_json: bool,
) -> int:
    """Let the new tokens of an activated Managed HSM take part in its security domain."""
    document, keys = _brought(file, custodian_keys, password_env, password_file)
    with opened(context) as there, recover_hint(_NOUN, hsm):
        count = there.service.join_security_domain(there.caller, vault_name(hsm), document, keys)
    if as_json:
        answer_json({"managed_hsm": hsm, "joined": count})
    else:
        answer(f"{counted(count, 'token')} of Managed HSM {hsm} joined its security domain")
    return 0


@security_domain.command()
@_custodian_keys
@click.option(
    "--transfer-key",
    metavar="FILE",
    required=True,
    help="The transfer key of the Managed HSM: what it answered, JSON, or its certificate, PEM.",
)
@click.option("--out", metavar="FILE", required=True, help="The new file, to be uploaded.")
@as_json
@pass_context
def prepare(
    _: Context,
    file: str,
    custodian_keys: tuple[str, ...],
    password_env: str | None,
    password_file: str | None,
    transfer_key: str,
    out: str,
    as_json: bool,
) -> int:
    """Encrypt the shares of a security domain to the transfer key of a Managed HSM that is reached over HTTPS.

    Needs neither a vault nor a network: it is run where the custodians' keys are. The new file is uploaded by a client
    of Azure's, once, within 24 hours; it opens for that Managed HSM alone.
    """
    from kvstack.hsm.security_domain_transfer import to_transfer, transfer_certificate

    require_free(out)
    document, keys = _brought(file, custodian_keys, password_env, password_file)
    certificate = transfer_certificate(taken(transfer_key, at_most=_LONGEST_PEM, what="the transfer key"))
    keep_private(out, SecretValue(to_transfer(document, keys, certificate)))
    if as_json:
        answer_json({"security_domain": file, "file": out})
    else:
        say(f"wrote {out}: the shares of {file}, for the Managed HSM of this transfer key")
    return 0


def add_pool_verbs(group: Verbs) -> None:
    """Give `hsm` what is done with a Managed HSM as a whole."""
    group.add_command(security_domain, "security-domain")
    group.add_command(backup)
    group.add_command(restore)


@click.command()
@_hsm
@click.option("--file", metavar="FILE", required=True, help="The new file.")
@as_json
@pass_context
def backup(context: Context, hsm: str, file: str, as_json: bool) -> int:
    """Write everything in a Managed HSM into a new file, which only a Managed HSM of its security domain opens."""
    require_free(file)
    with opened(context) as there, recover_hint(_NOUN, hsm):
        blob = there.service.backup_managed_hsm(there.caller, vault_name(hsm))
        domain = there.service.get_managed_hsm(there.caller, hsm).pool
    keep_private(file, SecretValue(blob))
    if as_json:
        answer_json({"managed_hsm": hsm, "file": file, "security_domain": domain.domain if domain else None})
    else:
        say(f"wrote {file}: Managed HSM {hsm} with its keys and the roles inside it")
    return 0


@click.command()
@_hsm
@click.option("--file", metavar="FILE", required=True, help="The backup; `-` for standard input.")
@click.option("--key", metavar="NAME", type=text, help="Bring back this key alone, where its name is free.")
@answer_yes
@as_json
@pass_context
def restore(context: Context, hsm: str, file: str, key: str | None, yes: bool, as_json: bool) -> int:
    """Bring a Managed HSM back to what a backup holds, or one key of it; asks first.

    A full restore takes away keys and roles that are not in the backup. Where there are keys, it takes a backup of them
    that is at most 30 minutes old.
    """
    from kvstack.vault.pool_backup import LONGEST

    wanted = vault_name(hsm)
    if key is None:
        confirm(f"Put everything in the Managed HSM {wanted} back to what is in {file}?", yes=yes)
    blob = taken(file, at_most=LONGEST, what="the backup")
    if key is not None:
        with opened(context) as there, recover_hint("key", f"{wanted}/{key}"):
            item = there.service.restore_managed_hsm_key(there.caller, wanted, blob, key)
        if as_json:
            answer_json(item_document(item))
        else:
            answer(f"restored key {item.vault}/{item.name} with {counted(item.versions, 'version')}")
        return 0
    with opened(context) as there, recover_hint(_NOUN, hsm):
        restored = there.service.restore_managed_hsm(there.caller, wanted, blob)
    if as_json:
        answer_json(
            {
                "managed_hsm": wanted,
                "taken": restored.taken,
                "keys": list(restored.keys),
                "gone": list(restored.gone),
                "role_assignments": restored.assignments,
            }
        )
    else:
        gone = f"; {counted(len(restored.gone), 'key')} that were not in it are gone" if restored.gone else ""
        answer(
            f"restored Managed HSM {wanted} as of {restored.taken:%Y-%m-%d %H:%M} UTC: "
            f"{counted(len(restored.keys), 'key')}{gone}"
        )
    return 0


def _brought(
    file: str, custodian_keys: tuple[str, ...], password_env: str | None, password_file: str | None
) -> "tuple[bytes, list[CustodianKey]]":
    """Return a security domain and the keys of its custodians."""
    document = taken(file, at_most=_LONGEST_DOMAIN, what="the security domain")
    return document, custodian_keys_in(custodian_keys, password_env, password_file)


def _tell_downloaded(hsm: str | None, file: str, document: bytes, *, as_json: bool) -> None:
    from kvstack.hsm.security_domain import from_document

    domain = from_document(document)
    if as_json:
        custodians = [{"name": one.name, "fingerprint": one.fingerprint} for one in domain.custodians]
        answer_json(
            {"managed_hsm": hsm, "security_domain": domain.id, "quorum": domain.quorum, "custodians": custodians}
        )
        return
    how_many = f"any {domain.quorum} of {len(domain.custodians)} custodians"
    what = "the vaults' HSM keys can be made" if hsm is None else f"activated Managed HSM {hsm}"
    answer(f"{what}: {how_many} restore {'them' if hsm is None else 'it'} from {file}")
    say("Keep it and the custodians' private keys apart from the vault: without them a lost token is lost for good.")
