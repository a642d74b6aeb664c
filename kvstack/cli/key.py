"""`kvstack key`: keys, made, shown, rotated, changed; using them is in `key_use.py`."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import UNSET

from kvstack.cli.backup import add_backup
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document, kind_words, version_document, version_facts
from kvstack.cli.group import verbs
from kvstack.cli.key_import import import_
from kvstack.cli.key_release import add_release, changed_policy, release_options, release_policy
from kvstack.cli.key_secrets import add_secrets
from kvstack.cli.key_use import add_uses
from kvstack.cli.lifecycle import add_lifecycle
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, changed_attributes, given, new_attributes, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.rotation_policy import add_rotation_policy
from kvstack.cli.table import facts, table
from kvstack.cli.thing import recover_hint, thing, vault_name
from kvstack.cli.words import retagged, tag_values, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import CURVES, KEY_TYPES, OPERATIONS, Curve, KeyType, Operation, specification

if TYPE_CHECKING:
    from kvstack.vault.records import KeyVersion

_its_name = click.argument("written", metavar="VAULT/NAME", type=text)
_operations = click.option(
    "--operation",
    "operations",
    type=click.Choice(OPERATIONS),
    multiple=True,
    help="What the key may be used for; may stand several times.",
)


@verbs("Keys: sign, verify, encrypt, decrypt, wrap, unwrap, rotate.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@_its_name
@click.option(
    "--type", "key_type", type=click.Choice(KEY_TYPES), default="RSA", show_default=True, help="-HSM: in the HSM."
)
@click.option("--size", type=int, help="Bits: RSA 2048 (default), 3072, 4096; oct 128, 192, 256 (default).")
@click.option("--curve", type=click.Choice(CURVES), help="Of an EC key; P-256 by default.")
@_operations
@release_options
@new_attributes
@as_json
@pass_context
def create(
    context: Context,
    written: str,
    key_type: KeyType,
    size: int | None,
    curve: Curve | None,
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
    """Make a key, or a new version of it."""
    wanted = thing(context, written, "keys")
    labels = tag_values(tags)
    policy = release_policy(policy_file, immutable)
    kind = specification(key_type, size, curve)
    _say_slow(kind.family == "RSA" and (kind.size or 0) > 2048, f"generating {kind_words(kind)} ...")
    with opened(context) as vault, recover_hint("key", wanted.written):
        made = vault.service.create_key(
            vault.caller,
            wanted.vault,
            wanted.name,
            specification=kind,
            operations=frozenset(operations) if operations else None,
            enabled=not disabled,
            not_before=not_before,
            expires=expires,
            tags=labels,
            exportable=exportable or UNSET,
            release_policy=policy,
        )
    return _tell(made, "created", as_json=as_json)


@command.command()
@_its_name
@version
@click.option("--public", is_flag=True, help="Print the public key alone, as PEM.")
@as_json
@pass_context
def show(context: Context, written: str, version: str | None, public: bool, as_json: bool) -> int:
    """Show what is known of a key; with --public the public key alone, as PEM."""
    wanted = thing(context, written, "keys")
    with opened(context) as vault, recover_hint("key", wanted.written):
        found = vault.service.get_key(vault.caller, wanted.vault, wanted.name, version=version)
    if as_json:
        answer_json({**version_document(found), **({"public_pem": _pem(found)} if public else {})})
    elif public:
        answer(_pem(found))
    else:
        answer(facts(version_facts(found)))
    return 0


@command.command("list")
@click.argument("vault", metavar="VAULT", type=text)
@as_json
@pass_context
def list_(context: Context, vault: str, as_json: bool) -> int:
    """List a vault's keys."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.list_keys(there.caller, vault_name(vault))
    if as_json:
        answer_json({"keys": [item_document(key) for key in found]})
    else:
        rows = [
            (one.name, kind_words(one.specification), one.enabled, one.expires, one.versions, one.updated)
            for one in found
        ]
        answer(table(("NAME", "TYPE", "ENABLED", "EXPIRES", "VERSIONS", "UPDATED"), rows, empty="No keys."))
    return 0


@command.command()
@_its_name
@as_json
@pass_context
def rotate(context: Context, written: str, as_json: bool) -> int:
    """Make a new version with the newest one's attributes; it expires as the rotation policy says."""
    wanted = thing(context, written, "keys")
    with opened(context) as vault, recover_hint("key", wanted.written):
        made = vault.service.rotate_key(vault.caller, wanted.vault, wanted.name)
    return _tell(made, "rotated", as_json=as_json)


@command.command("set-attributes")
@_its_name
@version
@_operations
@changed_policy
@changed_attributes
@as_json
@pass_context
def set_attributes(
    context: Context,
    written: str,
    version: str | None,
    operations: tuple[Operation, ...],
    policy_file: str | None,
    immutable: bool,
    enabled: bool | None,
    expires: datetime | str | None,
    not_before: datetime | str | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    as_json: bool,
) -> int:
    """Change what a version may be used for, and when; what is not given stays."""
    wanted = thing(context, written, "keys")
    changes: dict[str, Any] = {
        "operations": frozenset(operations) if operations else UNSET,
        "enabled": UNSET if enabled is None else enabled,
        "expires": given(expires),
        "not_before": given(not_before),
        "release_policy": release_policy(policy_file, immutable),
    }
    labels = tag_values(tags)
    # Read and changed in one transaction: a tag somebody else sets meanwhile is not lost.
    with opened(context) as vault, recover_hint("key", wanted.written), vault.service.batch():
        if labels or untag:
            before = vault.service.get_key(vault.caller, wanted.vault, wanted.name, version=version, newest=True)
            changes["tags"] = retagged(before.tags, labels, untag)
        changed = vault.service.update_key(vault.caller, wanted.vault, wanted.name, version=version, **changes)
    if as_json:
        answer_json(version_document(changed))
    else:
        answer(facts(version_facts(changed)))
    return 0


command.add_command(import_)
add_uses(command)
add_release(command)
add_secrets(command)
add_backup(command, "key")
add_lifecycle(command, "keys")
add_rotation_policy(command, "keys")


def _tell(made: "KeyVersion", done: str, *, as_json: bool) -> int:
    if as_json:
        answer_json(version_document(made))
    else:
        answer(f"{done} key {made.vault}/{made.name} ({kind_words(made.specification)}), version {made.version}")
    return 0


def _say_slow(slow: bool, words: str) -> None:
    """Tell whoever watches a terminal what is being waited for."""
    if slow and sys.stderr.isatty():
        say(words)


def _pem(key: "KeyVersion") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from kvstack.hsm.public_half import ec_key, raw_key, rsa_key

    public = key.public
    match key.specification.family:
        case "RSA":
            found: Any = rsa_key(public.n, public.e)
        case "EC":
            found = ec_key(public.curve or "P-256", public.x, public.y)
        case "ML-DSA" | "ML-KEM":
            found = raw_key(key.specification.type, public.raw)
        case _:
            raise KvstackError(f"the key `{key.name}` is symmetric: it has no public half")
    text: bytes = found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()
