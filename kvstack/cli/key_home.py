"""Where a vault's keys are to live: the options of `init` and `hsm recover`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from kvstack.cli.words import text
from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.vault.key_home import HsmChoice, Token

F = TypeVar("F", bound=Callable[..., Any])


class KeyHomeChoice(msgspec.Struct, frozen=True):
    """What the options say. Nothing given: an HSM where a module is found, and a token of kvstack's own."""

    hsm: bool | None = None
    module: str | None = None
    token_label: str | None = None
    pin_env: str | None = None
    pin_file: str | None = None
    token_keys: bool = False
    module_parameters: str = ""
    isolated_hsm: bool = False

    def chosen(self, *, isolated: bool = False) -> "tuple[HsmChoice, Token]":
        """Return the choice as the vault takes it. isolated: the stack wants it, wherever the keys are to live. Raises
        KvstackError."""
        from kvstack.vault.key_home import OWN_TOKEN, Token

        about_tokens = (
            self.token_label
            or self.pin_env
            or self.pin_file
            or self.token_keys
            or self.module_parameters
            or self.isolated_hsm
        )
        if self.hsm is False and (self.module or about_tokens):
            raise KvstackError("`--no-hsm` goes with no module and no token", "Leave out one or the other.")
        if self.pin_env and self.pin_file:
            raise KvstackError("the PIN is in the environment or in a file, not in both")
        if self.token_label and not (self.pin_env or self.pin_file):
            raise KvstackError(
                "an existing token needs its PIN", "Say where it is, by `--pin-env NAME` or `--pin-file FILE`."
            )
        if self.pin_file and not Path(self.pin_file).is_file():
            raise KvstackError(f"there is no PIN file {self.pin_file}")
        if self.module and not Path(self.module).is_file():
            raise KvstackError(f"there is no PKCS#11 module {self.module}")
        token = Token(
            label=self.token_label or OWN_TOKEN.label,
            adopt=self.token_label is not None,
            pin_environment=self.pin_env or "",
            # The vault looks for it again at every start, from wherever that is.
            pin_file=str(Path(self.pin_file).absolute()) if self.pin_file else "",
            parameters=self.module_parameters,
            keys_in_token=self.token_keys,
            isolated=self.isolated_hsm or isolated,
        )
        if self.module:
            return Path(self.module).absolute(), token
        return (True if about_tokens else self.hsm), token


def key_home_options(function: F) -> F:
    """Add the options."""
    for option in reversed(
        (
            click.option(
                "--hsm/--no-hsm", default=None, help="Whether to use an HSM; by default where a module is found."
            ),
            click.option("--module", metavar="FILE", type=text, help="The PKCS#11 module."),
            click.option(
                "--token-label", metavar="LABEL", type=text, help="Take this existing token; it needs its PIN."
            ),
            click.option(
                "--pin-env", metavar="NAME", type=text, help="The environment variable the PIN is in, always."
            ),
            click.option("--pin-file", metavar="FILE", type=text, help="The file the PIN is in, always."),
            click.option("--token-keys", is_flag=True, help="Keep every -HSM key in the token, up to about 1,000."),
            click.option(
                "--isolated-hsm", is_flag=True, help="Load the module in a process of its own, now and always."
            ),
            click.option(
                "--module-parameters", metavar="TEXT", type=text, default="", help="What NSS softokn asks for."
            ),
        )
    ):
        function = option(function)
    return function
