"""`rotation-policy` of a key or a secret: shown, and set as a whole."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import click
from msgspec import UNSET

from kvstack.cli.context import Context, pass_context
from kvstack.cli.documents import rotation_document
from kvstack.cli.group import Verbs, verbs
from kvstack.cli.opened import opened
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json
from kvstack.cli.table import facts
from kvstack.cli.thing import NOUNS, recover_hint, thing
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.duration import Duration, duration
from kvstack.terms.generator import Characters, Generator
from kvstack.terms.limits import SECRET_BYTES
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.rotator import Rotator

F = TypeVar("F", bound=Callable[..., Any])


def _length(_: click.Context, __: click.Parameter, value: str | None) -> Duration | None:
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _generation(collection: Literal["keys", "secrets"]) -> Callable[[F], F]:
    """Return the options that say how a secret's next values are made; a key's need none."""

    def options(function: F) -> F:
        if collection == "keys":
            return function
        length = click.option(
            "--length",
            type=click.IntRange(1, SECRET_BYTES),
            metavar="N",
            help="The vault generates the next values, of so many characters; 32.",
        )
        characters = click.option(
            "--characters", type=click.Choice(get_args(Characters)), help="What they are drawn from; alphanumeric."
        )
        return _rotator_options(length(characters(function)))

    return options


def _rotator_options(function: F) -> F:
    """Return the options that say who makes a secret's new values known outside."""
    command = click.option(
        "--rotator-command",
        metavar="WORDS",
        type=text,
        default="",
        help="Who makes a new value known outside: a program with its arguments, each call on its standard input.",
    )
    webhook = click.option(
        "--rotator-webhook", metavar="URL", type=text, default="", help="Or an address each call is posted to."
    )
    secret = click.option(
        "--rotator-secret", metavar="VAULT/NAME", type=text, default="", help="The secret that signs what is posted."
    )
    return command(webhook(secret(function)))


def _rotator(context: Context, command: str, webhook: str, secret: str) -> Rotator | None:
    if not (command or webhook or secret):
        return None
    import shlex

    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise click.BadParameter(f"--rotator-command: {error}") from None
    signs = thing(context, secret, "secrets") if secret else None
    return Rotator(words, webhook, signs.vault if signs else "", signs.name if signs else "")


def add_rotation_policy(group: Verbs, collection: Literal["keys", "secrets"]) -> None:
    """Give `key` or `secret` the verbs of its rotation policy."""
    noun = NOUNS[collection]
    its_name = click.argument("written", metavar="VAULT/NAME", type=text)

    @verbs(f"When new versions of a {noun} are made, and when they expire.")
    def rotation_policy() -> None:
        """Hold the verbs."""

    @rotation_policy.command(help=f"Show a {noun}'s rotation policy.")
    @its_name
    @as_json
    @pass_context
    def show(context: Context, written: str, as_json: bool) -> int:
        wanted = thing(context, written, collection)
        with opened(context) as vault, recover_hint(noun, wanted.written):
            policy = vault.service.get_rotation_policy(vault.caller, wanted.vault, collection, wanted.name)
        _tell(policy, f"The {noun} {wanted.written} has no rotation policy.", as_json=as_json)
        return 0

    @rotation_policy.command(help=f"Set a {noun}'s rotation policy, as a whole. Durations are ISO 8601: P90D, P18M.")
    @its_name
    @click.option("--every", metavar="DURATION", callback=_length, help="A new version this long after the newest.")
    @click.option("--before-expiry", metavar="DURATION", callback=_length, help="Or: this long before it expires.")
    @click.option("--expire-after", metavar="DURATION", callback=_length, help="How long a version lives.")
    @click.option("--notify-before-expiry", metavar="DURATION", callback=_length, help="When people are told.")
    @click.option(
        "--keep-previous", metavar="DURATION", callback=_length, help="Disable a version this long after the next one."
    )
    @_generation(collection)
    @click.option("--off", is_flag=True, help="Keep the policy, and rotate nothing.")
    @click.option("--none", is_flag=True, help="Take the policy away.")
    @as_json
    @pass_context
    def update(
        context: Context,
        written: str,
        every: Duration | None,
        before_expiry: Duration | None,
        expire_after: Duration | None,
        notify_before_expiry: Duration | None,
        keep_previous: Duration | None,
        off: bool,
        none: bool,
        as_json: bool,
        length: int | None = None,
        characters: Characters | None = None,
        rotator_command: str = "",
        rotator_webhook: str = "",
        rotator_secret: str = "",
    ) -> int:
        wanted = thing(context, written, collection)
        given = RotationPolicy(
            every,
            before_expiry,
            expire_after,
            notify_before_expiry,
            enabled=not off,
            keep_previous=keep_previous,
            rotator=_rotator(context, rotator_command, rotator_webhook, rotator_secret),
        )
        if none != (given == RotationPolicy()):
            raise KvstackError("a rotation policy is set, or taken away by `--none`", "One of both is to be said.")
        said = length is not None or characters is not None
        with opened(context) as vault, recover_hint(noun, wanted.written):
            policy = vault.service.set_rotation_policy(
                vault.caller,
                wanted.vault,
                collection,
                wanted.name,
                None if none else given,
                generator=Generator(length or 32, characters or "alphanumeric") if said else UNSET,
            )
        _tell(policy, f"The {noun} {wanted.written} has no rotation policy any more.", as_json=as_json)
        return 0

    group.add_command(rotation_policy, "rotation-policy")


def _tell(policy: RotationPolicy | None, nothing: str, *, as_json: bool) -> None:
    shown = {} if policy is None else rotation_document(policy)
    if as_json:
        answer_json({"rotation": shown or None})
    elif policy is None:
        answer(nothing)
    else:
        rotator = policy.rotator
        words = {**shown, **({"rotator": rotator.target} if rotator is not None else {})}
        words |= {"signed by": rotator.signed_by} if rotator is not None and rotator.secret else {}
        answer(facts([(name.replace("_", " "), value) for name, value in words.items()]))
