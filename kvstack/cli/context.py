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

    def isolated(self) -> bool:
        """Tell whether the folder's stack wants the HSM's module in a process of its own."""
        from kvstack.cli.first_files import FIRST_STACK

        file = self.directory / FIRST_STACK
        try:
            # Most stacks say nothing of it, and a verb of the data plane does not read them for that.
            if not file.is_file() or b"isolated" not in file.read_bytes():
                return False
            return self.declaration(allow_files=True).backend.hsm.isolated
        except (OSError, KvstackError):
            # It may want it and cannot be understood, as one whose variables are not given: isolating breaks nothing.
            return True

    @contextmanager
    def vault(self) -> Iterator[OpenVault]:
        """Open the embedded vault of the folder for a verb of the data plane."""
        from kvstack.vault.caller import Caller
        from kvstack.vault.service import VaultService
        from kvstack.vault.unlock import unlock

        unlocked = unlock(self.directory, isolated=self.isolated())
        try:
            service = VaultService(unlocked)
            caller: Caller = service.operator if self.principal is None else service.acting(self.principal)
            yield OpenVault(unlocked, service, caller)
        finally:
            unlocked.close()


pass_context = click.make_pass_decorator(Context)
