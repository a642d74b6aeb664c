"""`kvstack secret`: secrets and their values. A value comes from standard input or a file, never from an argument."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from msgspec import UNSET

from kvstack.cli.backup import add_backup
from kvstack.cli.content import STANDARD_INPUT, give_out, keep_private, require_free, taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import item_document, version_document, version_facts
from kvstack.cli.group import verbs
from kvstack.cli.lifecycle import add_lifecycle
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json, changed_attributes, given, new_attributes, version
from kvstack.cli.output import answer, answer_json, say
from kvstack.cli.rotation_policy import add_rotation_policy
from kvstack.cli.rotation_status import status_document, status_facts
from kvstack.cli.table import facts, table
from kvstack.cli.thing import Thing, recover_hint, thing, vault_name
from kvstack.cli.words import retagged, tag_values, text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.limits import SECRET_BYTES
from kvstack.terms.secret import SecretValue

if TYPE_CHECKING:
    from kvstack.cli.context import OpenVault
    from kvstack.vault.records import SecretVersion

_its_name = click.argument("written", metavar="VAULT/NAME", type=text)


@verbs("Secrets and their values. A value is never an argument: others on this machine could read it there.")
def command() -> None:
    """Hold the verbs."""


@command.command("set")
@_its_name
@click.option("--file", metavar="FILE", default=STANDARD_INPUT, help="Where the value is; standard input by default.")
@click.option("--trim-newline", is_flag=True, help="Leave out one newline at the value's end.")
@click.option("--content-type", metavar="TYPE", type=text, default="", help="The media type: text/plain.")
@new_attributes
@as_json
@pass_context
def set_(
    context: Context,
    written: str,
    file: str,
    trim_newline: bool,
    content_type: str,
    expires: datetime | None,
    not_before: datetime | None,
    tags: tuple[str, ...],
    disabled: bool,
    as_json: bool,
) -> int:
    """Set a secret, or a new version of it.

    The value is standard input, or the file, byte for byte: a newline at its end is part of it, as `echo` writes one
    (`printf %s` does not). On a terminal it is asked for, and not shown.
    """
    wanted = thing(context, written, "secrets")
    labels = tag_values(tags)
    value = _value(file, wanted, trim_newline=trim_newline)
    with opened(context) as vault, recover_hint("secret", wanted.written):
        made = vault.service.set_secret(
            vault.caller,
            wanted.vault,
            wanted.name,
            value,
            content_type=content_type,
            enabled=not disabled,
            not_before=not_before,
            expires=expires,
            tags=labels,
        )
    if as_json:
        answer_json(version_document(made))
    else:
        answer(f"set secret {made.vault}/{made.name}, version {made.version}")
    return 0


@command.command()
@_its_name
@version
@click.option("--value", "with_value", is_flag=True, help="Print the value: its bytes, and nothing else.")
@as_json
@pass_context
def show(context: Context, written: str, version: str | None, with_value: bool, as_json: bool) -> int:
    """Show what is known of a secret, without its value; with --value the value alone.

    With --json and --value the value is a string, or {"base64": ...} where it is not UTF-8.
    """
    wanted = thing(context, written, "secrets")
    with opened(context) as vault, recover_hint("secret", wanted.written):
        found = _read(vault, wanted, version, with_value=with_value)
    match found.value:
        case None if as_json:
            answer_json(version_document(found))
        case None:
            answer(facts(version_facts(found)))
        case value if as_json:
            answer_json({**version_document(found), "value": _in_json(value)})
        case value:
            give_out(value.reveal())
    return 0


@command.command()
@_its_name
@click.option("--file", metavar="FILE", required=True, help="The new file; only its owner can read it.")
@version
@pass_context
def download(context: Context, written: str, file: str, version: str | None) -> int:
    """Write a secret's value into a new file. One that is there is not overwritten."""
    wanted = thing(context, written, "secrets")
    require_free(file)
    with opened(context) as vault, recover_hint("secret", wanted.written):
        found = _read(vault, wanted, version, with_value=True)
    if found.value is not None:
        keep_private(file, found.value)
    say(f"wrote {file}: the value of {found.vault}/{found.name}, version {found.version}")
    return 0


@command.command("list")
@click.argument("vault", metavar="VAULT", type=text)
@as_json
@pass_context
def list_(context: Context, vault: str, as_json: bool) -> int:
    """List a vault's secrets, without values."""
    with opened(context) as there, recover_hint("vault", vault):
        found = there.service.list_secrets(there.caller, vault_name(vault))
    if as_json:
        answer_json({"secrets": [item_document(secret) for secret in found]})
    else:
        rows = [(one.name, one.enabled, one.expires, one.content_type, one.versions, one.updated) for one in found]
        headings = ("NAME", "ENABLED", "EXPIRES", "CONTENT TYPE", "VERSIONS", "UPDATED")
        answer(table(headings, rows, empty="No secrets."))
    return 0


@command.command("set-attributes")
@_its_name
@version
@click.option("--content-type", metavar="TYPE", type=text, default=None, help="The media type: text/plain.")
@changed_attributes
@as_json
@pass_context
def set_attributes(
    context: Context,
    written: str,
    version: str | None,
    content_type: str | None,
    enabled: bool | None,
    expires: datetime | str | None,
    not_before: datetime | str | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    as_json: bool,
) -> int:
    """Change what is around a value; what is not given stays."""
    wanted = thing(context, written, "secrets")
    changes: dict[str, Any] = {
        "content_type": UNSET if content_type is None else content_type,
        "enabled": UNSET if enabled is None else enabled,
        "expires": given(expires),
        "not_before": given(not_before),
    }
    labels = tag_values(tags)
    # Read and changed in one transaction: a tag somebody else sets meanwhile is not lost.
    with opened(context) as vault, recover_hint("secret", wanted.written), vault.service.batch():
        if labels or untag:
            before = vault.service.get_secret_properties(
                vault.caller, wanted.vault, wanted.name, version=version, newest=True
            )
            changes["tags"] = retagged(before.tags, labels, untag)
        changed = vault.service.update_secret(vault.caller, wanted.vault, wanted.name, version=version, **changes)
    if as_json:
        answer_json(version_document(changed))
    else:
        answer(facts(version_facts(changed)))
    return 0


@command.command()
@_its_name
@as_json
@pass_context
def rotate(context: Context, written: str, as_json: bool) -> int:
    """Make a new value, of a secret whose value is generated; it expires as the rotation policy says.

    Where it has a rotator that makes the value known outside first; what is on its way is gone on with.
    """
    wanted = thing(context, written, "secrets")
    with opened(context) as vault, recover_hint("secret", wanted.written):
        made = vault.service.rotate_secret(vault.caller, wanted.vault, wanted.name)
        status = vault.service.rotation_status(vault.caller, wanted.vault, wanted.name)
    if status.stage == "finish":
        say(f"note: the rotator did not take `finish` yet: {status.failure}. `kvstack run-due` asks it again.")
    if as_json:
        answer_json(version_document(made))
    else:
        answer(f"rotated secret {made.vault}/{made.name}, version {made.version}")
    return 0


@command.command("rotation-status")
@_its_name
@as_json
@pass_context
def rotation_status(context: Context, written: str, as_json: bool) -> int:
    """Show how a secret's rotation by its rotator stands: the phase, the tries, the last failure; no value."""
    wanted = thing(context, written, "secrets")
    with opened(context) as vault, recover_hint("secret", wanted.written):
        found = vault.service.rotation_status(vault.caller, wanted.vault, wanted.name)
    if as_json:
        answer_json(status_document(found))
    else:
        answer(facts(status_facts(found)))
    return 0


add_backup(command, "secret")
add_lifecycle(command, "secrets")
add_rotation_policy(command, "secrets")


def _read(vault: "OpenVault", wanted: Thing, version: str | None, *, with_value: bool) -> "SecretVersion":
    read = vault.service.get_secret if with_value else vault.service.get_secret_properties
    return read(vault.caller, wanted.vault, wanted.name, version=version)


def _value(file: str, wanted: Thing, *, trim_newline: bool) -> SecretValue:
    if file == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
        return SecretValue(click.prompt(f"The value of {wanted.written} (not shown)", hide_input=True, err=True))
    value = taken(file, at_most=SECRET_BYTES + 1, what="the value")
    if trim_newline:
        value = value.removesuffix(b"\n").removesuffix(b"\r")
    elif file == STANDARD_INPUT and value.endswith(b"\n") and value.count(b"\n") == 1:
        say("note: the value ends with a newline, which is kept; `--trim-newline` leaves it out")
    if len(value) > SECRET_BYTES:
        raise KvstackError(f"the value has more than {SECRET_BYTES} bytes", "A secret takes 25 KB.")
    return SecretValue(value)


def _in_json(value: SecretValue) -> str | dict[str, str]:
    from base64 import b64encode

    try:
        return value.reveal().decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value.reveal()).decode()}
