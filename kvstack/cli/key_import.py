"""`kvstack key import`: a key from a file, into the vault or into its HSM."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click
from msgspec import UNSET

from kvstack.cli.content import STANDARD_INPUT, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import kind_words, version_document
from kvstack.cli.key_release import release_options, release_policy
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, new_attributes
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.passwords import password as password_of
from kvstack.cli.thing import recover_hint, thing
from kvstack.cli.words import tag_values, text
from kvstack.terms.key import OPERATIONS, Operation
from kvstack.terms.secret import SecretValue


@click.command("import")
@click.argument("written", metavar="VAULT/NAME", type=text)
@click.option("--file", metavar="FILE", required=True, help="The key: a JSON Web Key or PEM; `-` for standard input.")
@click.option("--hsm", "in_hsm", is_flag=True, help="Take it into the HSM; out of it only released.")
@click.option(
    "--password-env", metavar="NAME", type=text, help="The environment variable an encrypted PEM's password is in."
)
@click.option("--password-file", metavar="FILE", type=text, help="The file an encrypted PEM's password is in.")
@click.option(
    "--operation",
    "operations",
    type=click.Choice(OPERATIONS),
    multiple=True,
    help="What the key may be used for; may stand several times. By default what its file says.",
)
@release_options
@new_attributes
@as_json
@pass_context
def import_(
    context: Context,
    written: str,
    file: str,
    in_hsm: bool,
    password_env: str | None,
    password_file: str | None,
    operations: tuple[Operation, ...],
    exportable: bool,
    policy_file: str | None,
    immutable: bool,
    expires: datetime | None,
    not_before: datetime | None,
    tags: tuple[str, ...],
    disabled: bool,
    as_json: bool,
) -> int:
    """Take in a key that was made elsewhere, or a new version of it.

    A JSON Web Key (RSA, EC, oct; AKP for ML-DSA) or PEM (PKCS#8, PKCS#1, SEC1; encrypted or not). The file stays where
    it is: remove it once the key is in.
    """
    from kvstack.hsm.key_file import LONGEST, plain_key

    wanted = thing(context, written, "keys")
    labels = tag_values(tags)
    policy = release_policy(policy_file, immutable)
    content = taken(file, at_most=LONGEST, what="the key")
    secret = password_of(password_env, password_file, encrypted=b"ENCRYPTED" in content, what="The key")
    with plain_key(content, None if secret is None else SecretValue(secret)) as plain:
        _warn_of_readers(file)
        with opened(context) as vault, recover_hint("key", wanted.written):
            made = vault.service.import_key(
                vault.caller,
                wanted.vault,
                wanted.name,
                plain,
                in_hsm=in_hsm,
                operations=frozenset(operations) if operations else None,
                enabled=not disabled,
                not_before=not_before,
                expires=expires,
                tags=labels,
                exportable=exportable or UNSET,
                release_policy=policy,
            )
    if as_json:
        answer_json(version_document(made))
    else:
        kind = kind_words(made.specification)
        answer(f"imported key {made.vault}/{made.name} ({kind}), version {made.version}")
    return 0


def _warn_of_readers(file: str) -> None:
    """Tell that others can read the file."""
    if file == STANDARD_INPUT or os.name != "posix":
        return
    with suppress(OSError):
        if Path(file).stat().st_mode & 0o077:
            say(f"note: others on this machine can read {file}, and so the key")
