"""`kvstack key random`, `encapsulate`, `decapsulate`: secrets that a key or an HSM gives."""

import click

from kvstack.cli.content import STANDARD_INPUT, give_out, keep, keep_private, require_free, taken
from kvstack.cli.context import Context, OpenVault, pass_context
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.thing import Thing, recover_hint, thing, vault_name
from kvstack.cli.words import base64url, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.limits import RANDOM_BYTES

_LONGEST = 1 << 16

_its_name = click.argument("written", metavar="VAULT/NAME", type=text)


def add_secrets(group: Verbs) -> None:
    """Give `key` the verbs that give secrets."""
    for verb in (random, encapsulate, decapsulate):
        group.add_command(verb)


@click.command()
@click.argument("vault", metavar="VAULT", type=text)
@click.option("--bytes", "count", type=int, required=True, help=f"How many: {RANDOM_BYTES[0]} to {RANDOM_BYTES[1]}.")
@as_json
@pass_context
def random(context: Context, vault: str, count: int, as_json: bool) -> int:
    """Draw random bytes, of the HSM where the vault has one; printed as base64url."""
    home = vault_name(vault)
    with opened(context) as there, recover_hint("vault", vault):
        drawn = there.service.random_bytes(there.caller, home, count)
    if as_json:
        answer_json({"value": base64url(drawn.reveal())})
    else:
        answer(base64url(drawn.reveal()))
    return 0


@click.command()
@_its_name
@version
@click.option("--out", metavar="FILE", required=True, help="A new file for the ciphertext, which is no secret.")
@click.option("--secret-out", metavar="FILE", help="A new file for the secret, only its owner can read it.")
@pass_context
def encapsulate(context: Context, written: str, version: str | None, out: str, secret_out: str | None) -> int:
    """Draw a shared secret of 32 bytes with an ML-KEM key; print it as bytes.

    Only the key gets the same secret out of the ciphertext again, by `key decapsulate`.
    """
    wanted = thing(context, written, "keys")
    require_free(out)
    require_free(secret_out)
    with opened(context) as vault, recover_hint("key", wanted.written):
        algorithm, fixed = _algorithm(vault, wanted, version)
        made = vault.service.encapsulate(vault.caller, wanted.vault, wanted.name, algorithm=algorithm, version=fixed)
    say(f"with {wanted.written}, version {made.version}, {made.algorithm}")
    keep(out, made.ciphertext)
    if secret_out is not None:
        keep_private(secret_out, made.secret)
    else:
        give_out(made.secret.reveal())
    return 0


@click.command()
@_its_name
@version
@click.option(
    "--file", metavar="FILE", default=STANDARD_INPUT, help="The ciphertext's bytes; standard input by default."
)
@click.option("--out", metavar="FILE", help="A new file for the secret, only its owner can read it.")
@pass_context
def decapsulate(context: Context, written: str, version: str | None, file: str, out: str | None) -> int:
    """Print the shared secret that was encapsulated, as bytes.

    A changed ciphertext gives another secret, not an error: so it is with ML-KEM.
    """
    wanted = thing(context, written, "keys")
    require_free(out)
    ciphertext = taken(file, at_most=_LONGEST, what="the ciphertext")
    with opened(context) as vault, recover_hint("key", wanted.written):
        algorithm, fixed = _algorithm(vault, wanted, version)
        made = vault.service.decapsulate(
            vault.caller, wanted.vault, wanted.name, algorithm=algorithm, ciphertext=ciphertext, version=fixed
        )
    if out is not None:
        keep_private(out, made.value)
    else:
        give_out(made.value.reveal())
    return 0


def _algorithm(vault: OpenVault, wanted: Thing, version: str | None) -> tuple[str, str]:
    """Return the algorithm of a key's type, and the version it was looked up for. Raises KvstackError."""
    found = vault.service.get_key(vault.caller, wanted.vault, wanted.name, version=version)
    if found.specification.family != "ML-KEM":
        raise KvstackError(f"an {found.specification.type} key cannot encapsulate: ML-KEM keys can")
    return found.specification.type, found.version
