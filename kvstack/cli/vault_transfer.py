"""`kvstack vault export` and `import`: a vault moved to another machine, in one file under a password."""

from typing import TYPE_CHECKING

import click

from kvstack.cli.content import keep_private, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import vault_document
from kvstack.cli.group import Verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.passwords import password as password_of
from kvstack.cli.passwords import password_options
from kvstack.cli.table import counted, table
from kvstack.cli.thing import recover_hint, vault_name
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.secret import SecretValue

if TYPE_CHECKING:
    from kvstack.vault.transfer_rows import Exported, Imported, Left


def add_transfer(group: Verbs) -> None:
    """Give `vault` its verbs of moving."""
    group.add_command(export)
    group.add_command(import_, "import")


@click.command(help="Write a vault with all in it into a new file under a password, for another machine.")
@click.argument("name", metavar="VAULT", type=text)
@click.option("--file", metavar="FILE", required=True, help="The new file.")
@password_options
@click.option("--without-hsm-keys", is_flag=True, help="Leave out keys that never leave their token.")
@as_json
@pass_context
def export(
    context: Context,
    name: str,
    file: str,
    password_env: str | None,
    password_file: str | None,
    without_hsm_keys: bool,
    as_json: bool,
) -> int:
    """Write a vault into a file."""
    wanted = vault_name(name)
    require_free(file)
    password = _password(password_env, password_file, "A new password for the file")
    with opened(context) as there, recover_hint("vault", name):
        found = there.service.export_vault(there.caller, wanted, password=password, without_hsm_keys=without_hsm_keys)
    keep_private(file, SecretValue(found.blob))
    if as_json:
        answer_json({"vault": found.vault, "file": file, **_numbers(found), "left": _left(found.left)})
        return 0
    _tell_left(found.left)
    say(f"wrote {file}: the vault {found.vault} with {_words(found)}")
    return 0


@click.command("import", help="Make a vault of an exported one's file, where its name is free.")
@click.option("--file", metavar="FILE", required=True, help="The exported vault; `-` for standard input.")
@password_options
@click.option("--without-hsm-keys", is_flag=True, help="Leave out keys this store's token cannot open.")
@as_json
@pass_context
def import_(
    context: Context,
    file: str,
    password_env: str | None,
    password_file: str | None,
    without_hsm_keys: bool,
    as_json: bool,
) -> int:
    """Make a vault of a file."""
    from kvstack.vault.transfer_file import LONGEST

    blob = taken(file, at_most=LONGEST, what="the exported vault")
    password = _password(password_env, password_file, "The exported vault")
    with opened(context) as there:
        found = there.service.import_vault(there.caller, blob, password=password, without_hsm_keys=without_hsm_keys)
    if as_json:
        answer_json(
            {
                "vault": vault_document(found.vault),
                "exported": found.taken,
                **_numbers(found),
                "role_assignments": [
                    {"role": one.role, "principal_id": one.principal_id, "name": one.name, "scope": one.scope}
                    for one in found.given
                ],
                "left": _left(found.left),
            }
        )
        return 0
    answer(f"imported vault {found.vault.name} with {_words(found)}")
    if found.given:
        rows = [(one.role, one.name or one.principal_id, one.scope) for one in found.given]
        answer(table(("ROLE", "GIVEN TO", "AT"), rows, empty=""))
    _tell_left(found.left)
    return 0


def _password(variable: str | None, file: str | None, what: str) -> SecretValue:
    found = password_of(variable, file, encrypted=True, what=what)
    if found is None:
        raise KvstackError(
            "an exported vault's password is needed", "Name its source with `--password-env` or `--password-file`."
        )
    return SecretValue(found)


def _numbers(found: "Exported | Imported") -> dict[str, int]:
    return {
        "keys": found.keys,
        "secrets": found.secrets,
        "certificates": found.certificates,
        "access_policies": found.policies,
    }


def _words(found: "Exported | Imported") -> str:
    keys, secrets = counted(found.keys, "key"), counted(found.secrets, "secret")
    policies = f", {found.policies} access policies" if found.policies > 1 else ", 1 access policy"
    return f"{keys}, {secrets}, {counted(found.certificates, 'certificate')}{policies if found.policies else ''}"


def _left(left: "tuple[Left, ...]") -> list[dict[str, str]]:
    return [{"thing": one.thing, "why": one.why} for one in left]


def _tell_left(left: "tuple[Left, ...]") -> None:
    for one in left:
        say(f"left out {one.thing}: {one.why}")
