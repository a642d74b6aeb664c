"""`kvstack run`: a program with chosen secrets as environment variables, and nothing on disk."""

import os
import re
import signal
import sys

import click

from kvstack.cli.context import Context, pass_context
from kvstack.cli.opened import opened
from kvstack.cli.thing import Thing, recover_hint, thing
from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.command("run", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
@click.option(
    "--secret",
    "wanted",
    metavar="VARIABLE=VAULT/NAME",
    type=text,
    multiple=True,
    help="A secret's newest value as an environment variable; may stand several times.",
)
@click.argument("program", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_context
def command(context: Context, wanted: tuple[str, ...], program: tuple[str, ...]) -> int:
    """Start a program with chosen secrets in its environment; it takes this one's place, exit code and signals.

    Nothing is written to disk. What its environment holds, its children and its user's other programs can see.
    """
    named = dict(_named(context, one) for one in wanted)
    if len(named) != len(wanted):
        raise KvstackError("a variable is given two secrets", "Each stands once.")
    values: dict[str, bytes] = {}
    with opened(context) as vault:
        for variable, secret in named.items():
            with recover_hint("secret", secret.written):
                found = vault.service.get_secret(vault.caller, secret.vault, secret.name)
            if found.value is not None:
                values[variable] = _carried(secret, found.value.reveal())
    environment: dict[bytes, bytes] = {**os.environb, **{name.encode(): value for name, value in values.items()}}
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores it, and a program would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606  # no shell: that is the point
    except FileNotFoundError:
        raise KvstackError(f"there is no program {program[0]}", "Name one that is on the PATH.") from None
    except (PermissionError, OSError) as error:
        raise KvstackError(f"{program[0]} cannot be started: {error.strerror}") from None
    except ValueError:
        raise KvstackError("the command holds a NUL, which no program can be given") from None


def _named(context: Context, written: str) -> tuple[str, Thing]:
    variable, equals, secret = written.partition("=")
    if not equals:
        raise KvstackError(f"`--secret {written}` is not VARIABLE=VAULT/NAME")
    if not _VARIABLE.fullmatch(variable):
        raise KvstackError(f"`{variable}` cannot name an environment variable: letters, digits and `_`, no digit first")
    return variable, thing(context, secret, "secrets")


def _carried(secret: Thing, value: bytes) -> bytes:
    """Return a value that an environment can carry. Raises KvstackError."""
    if b"\0" in value:
        raise KvstackError(
            f"the secret {secret.written} holds a NUL, which no environment variable can",
            "Write it into a file: `kvstack secret download`.",
        )
    try:
        value.decode()
    except UnicodeDecodeError:
        raise KvstackError(
            f"the secret {secret.written} is binary: few programs read an environment variable that is not UTF-8",
            "Write it into a file: `kvstack secret download`.",
        ) from None
    return value
