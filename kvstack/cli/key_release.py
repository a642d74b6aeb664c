"""`kvstack key release`, and whose attestations the vault believes; what a key says about leaving it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from msgspec import UNSET, UnsetType

from kvstack.cli.content import STANDARD_INPUT, keep, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, version
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import table
from kvstack.cli.thing import recover_hint, thing, vault_name
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.release import DEFAULT_WRAPPING, WRAPPINGS
from kvstack.terms.release_policy import LONGEST, ReleasePolicy

F = TypeVar("F", bound=Callable[..., Any])

policy_options = (
    click.option(
        "--release-policy",
        "policy_file",
        metavar="FILE",
        type=text,
        help="To whom the key may be released: a JSON file in Azure's grammar.",
    ),
    click.option("--immutable", is_flag=True, help="The release policy can never be changed again."),
)


def release_options(function: F) -> F:
    """Add what makes a key exportable."""
    for option in reversed(policy_options):
        function = option(function)
    return click.option("--exportable", is_flag=True, help="The key may be released; it needs a release policy.")(
        function
    )


def changed_policy(function: F) -> F:
    """Add what changes the policy of an exportable key."""
    for option in reversed(policy_options):
        function = option(function)
    return function


def release_policy(file: str | None, immutable: bool) -> ReleasePolicy | UnsetType:
    """Return the policy in a file, UNSET where none is named. Raises KvstackError."""
    if file is None:
        if immutable:
            raise KvstackError("`--immutable` goes with `--release-policy FILE`")
        return UNSET
    return ReleasePolicy(taken(file, at_most=LONGEST, what="the release policy"), immutable)


def add_release(group: Verbs) -> None:
    """Give `key` the verbs of releasing."""
    for verb in (release, release_certificate, authority):
        group.add_command(verb)


@click.command()
@click.argument("written", metavar="VAULT/NAME", type=text)
@click.option(
    "--attestation",
    metavar="FILE",
    default=STANDARD_INPUT,
    help="The token that attests the environment, a compact JWS; standard input by default.",
)
@click.option(
    "--algorithm", type=click.Choice(list(WRAPPINGS)), default=DEFAULT_WRAPPING, show_default=True, help="The wrapping."
)
@click.option("--nonce", metavar="TEXT", type=text, help="Comes back in the answer.")
@version
@click.option("--file", "out", metavar="FILE", required=True, help="The new file the answer is written into.")
@as_json
@pass_context
def release(
    context: Context,
    written: str,
    attestation: str,
    algorithm: str,
    nonce: str | None,
    version: str | None,
    out: str,
    as_json: bool,
) -> int:
    """Release a key to an environment its release policy names.

    The answer is a compact JWS, signed by the vault, with the key wrapped for the environment's own key.
    """
    from kvstack.vault.attestation import LONGEST as LONGEST_TOKEN

    wanted = thing(context, written, "keys")
    require_free(out)
    content = taken(attestation, at_most=LONGEST_TOKEN + 2, what="the attestation").strip()
    try:
        token = content.decode("ascii")
    except UnicodeDecodeError:
        raise KvstackError("the attestation is no compact JWS: three parts with dots between them") from None
    with opened(context) as vault, recover_hint("key", wanted.written):
        released = vault.service.release_key(
            vault.caller,
            wanted.vault,
            wanted.name,
            target_attestation_token=token,
            version=version,
            algorithm=algorithm,
            nonce=nonce,
        )
    keep(out, released)
    if as_json:
        answer_json({"vault": wanted.vault, "name": wanted.name, "algorithm": algorithm, "file": out})
    else:
        answer(f"released key {wanted.written} by {algorithm} into {out}")
    return 0


@click.command("release-certificate")
@click.argument("vault", metavar="VAULT", type=text)
@as_json
@pass_context
def release_certificate(context: Context, vault: str, as_json: bool) -> int:
    """Print the certificate of the key a vault signs its releases with, as PEM, for whoever verifies them."""
    from ssl import DER_cert_to_PEM_cert

    with opened(context) as there, recover_hint("vault", vault):
        certificate = DER_cert_to_PEM_cert(there.service.release_certificate(there.caller, vault_name(vault)))
    if as_json:
        answer_json({"vault": vault, "certificate": certificate})
    else:
        answer(certificate.rstrip())
    return 0


@verbs("Whose attestations the vault believes.")
def authority() -> None:
    """Hold the verbs."""


_its_url = click.argument("url", metavar="URL", type=text)


@authority.command()
@_its_url
@click.option("--file", metavar="FILE", required=True, help="Its JSON Web Key Set; `-` for standard input.")
@as_json
@pass_context
def trust(context: Context, url: str, file: str, as_json: bool) -> int:
    """Believe what an authority signs, from now on with these keys only.

    URL is the `iss` of its tokens, exactly. It takes the right to hand out access.
    """
    from kvstack.vault.jwks import LONGEST as LONGEST_SET

    keys = taken(file, at_most=LONGEST_SET, what="the key set")
    with opened(context) as vault:
        trusted = vault.service.trust_authority(vault.caller, url, keys)
    kids = [key.kid for key in trusted.keys]
    if as_json:
        answer_json({"url": trusted.url, "keys": kids})
    else:
        answer(f"trusts {trusted.url} with {len(kids)} {'key' if len(kids) == 1 else 'keys'}")
    return 0


@authority.command("list")
@as_json
@pass_context
def list_(context: Context, as_json: bool) -> int:
    """List whom the vault believes."""
    with opened(context) as vault:
        found = vault.service.list_authorities(vault.caller)
    if as_json:
        answer_json({"authorities": [{"url": one.url, "keys": [key.kid for key in one.keys]} for one in found]})
    else:
        rows = [(one.url, ", ".join(key.kid for key in one.keys), one.trusted) for one in found]
        answer(table(("URL", "KEYS", "TRUSTED"), rows, empty="No authorities."))
    return 0


@authority.command()
@_its_url
@as_json
@pass_context
def remove(context: Context, url: str, as_json: bool) -> int:
    """Believe an authority no longer."""
    with opened(context) as vault:
        vault.service.remove_authority(vault.caller, url)
    if as_json:
        answer_json({"url": url, "trusted": False})
    else:
        answer(f"trusts {url} no longer")
    return 0
