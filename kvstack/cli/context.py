"""What every verb starts from: the folder, the environment, the variables, and who acts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from kvstack.terms.diagnostic import KvstackError

if TYPE_CHECKING:
    from kvstack.declare.declaration import Declaration
    from kvstack.vault.caller import Caller
    from kvstack.vault.service import VaultService
    from kvstack.vault.unlock import Unlocked


class OpenVault(msgspec.Struct, frozen=True):
    """The embedded vault, open, and who acts on it."""

    unlocked: "Unlocked"
    service: "VaultService"
    caller: "Caller"


class Context(msgspec.Struct, frozen=True):
    """The options that stand before the verb. principal: of `--as`, None for the vault's operator."""

    directory: Path
    environment: str | None
    variables: dict[str, str]
    principal: str | None

    @classmethod
    def of(
        cls, directory: str, environment: str | None, variables: tuple[str, ...], principal: str | None
    ) -> "Context":
        """Return the options, checked."""
        folder = Path(directory)
        if not folder.is_dir():
            raise KvstackError(f"there is no folder {directory}")
        given = {}
        for text in variables:
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise KvstackError(f"`--var {text}` is not NAME=VALUE")
            given[name] = value
        return cls(folder, environment, given, principal)

    def declaration(self, *, allow_files: bool = False) -> "Declaration":
        """Return what the folder declares."""
        from kvstack.declare.declaration import declaration

        return declaration(
            self.directory,
            environment=self.environment,
            variables=self.variables,
            environ=os.environ,
            allow_files=allow_files,
        )

    @contextmanager
    def vault(self) -> Iterator[OpenVault]:
        """Open the embedded vault of the folder for a verb of the data plane."""
        from kvstack.vault.caller import Caller
        from kvstack.vault.service import VaultService
        from kvstack.vault.unlock import unlock

        unlocked = unlock(self.directory)
        try:
            service = VaultService(unlocked)
            caller: Caller = service.operator if self.principal is None else service.acting(self.principal)
            yield OpenVault(unlocked, service, caller)
        finally:
            unlocked.close()


pass_context = click.make_pass_decorator(Context)
