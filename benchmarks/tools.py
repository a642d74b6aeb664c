"""The contestants: how each is told to do the same things."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.command import Command
from benchmarks.stacks import Stack, Written, write_kvstack, write_terraform


class Tool(Protocol):
    """Something that plans and applies a stack in a folder."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""
        ...

    @property
    def largest_first_apply(self) -> int:
        """The most resources it creates in a sane time."""
        ...

    def version(self) -> str:
        """Ask it for its version."""
        ...

    def write(self, stack: Stack, folder: Path) -> Written:
        """Write the stack down in the tool's own language."""
        ...

    def init(self, folder: Path) -> Command:
        """Make the folder ready: not part of what is measured."""
        ...

    def apply(self, folder: Path) -> Command:
        """Create everything."""
        ...

    def plan(self, folder: Path) -> Command:
        """Plan where nothing is to change."""
        ...

    def validate(self, folder: Path, written: Written) -> Command:
        """Check the declaration alone, and find exactly what is wrong with it."""
        ...


class Kvstack(msgspec.Struct, frozen=True):
    """kvstack on its embedded vault."""

    executable: str
    environment: Mapping[str, str]
    name: str = "kvstack"
    largest_first_apply: int = sys.maxsize

    def version(self) -> str:
        """Ask for the version."""
        return _version(self.environment, self.executable, "--version")

    def write(self, stack: Stack, folder: Path) -> Written:
        """Write kvstack.yaml."""
        return write_kvstack(stack, folder)

    def init(self, folder: Path) -> Command:
        """Make the vault."""
        return self._command(folder, "init")

    def apply(self, folder: Path) -> Command:
        """Apply without asking."""
        return self._command(folder, "apply", "--yes")

    def plan(self, folder: Path) -> Command:
        """Plan; any change would be exit code 2."""
        return self._command(folder, "plan", "--detailed-exitcode")

    def validate(self, folder: Path, written: Written) -> Command:
        """Validate; each fault has to be named with its line."""
        command = self._command(folder, "validate")
        says = tuple(f"{written.file.name}:{line}:" for line in written.fault_lines)
        return msgspec.structs.replace(command, exit_code=1 if says else 0, says=says)

    def _command(self, folder: Path, *arguments: str) -> Command:
        return Command((self.executable, "-C", str(folder), *arguments), folder, self.environment)


class Terraform(msgspec.Struct, frozen=True):
    """terraform or tofu with its built-in provider and a local state."""

    name: str
    executable: str
    environment: Mapping[str, str]
    largest_first_apply: int

    def version(self) -> str:
        """Ask for the version."""
        return _version(self.environment, self.executable, "version")

    def write(self, stack: Stack, folder: Path) -> Written:
        """Write main.tf."""
        return write_terraform(stack, folder)

    def init(self, folder: Path) -> Command:
        """Initialise; the provider is built in, so nothing is fetched."""
        return self._command(folder, "init", "-input=false", "-no-color")

    def apply(self, folder: Path) -> Command:
        """Apply without asking."""
        return self._command(folder, "apply", "-auto-approve", "-input=false", "-no-color")

    def plan(self, folder: Path) -> Command:
        """Plan; any change would be exit code 2."""
        return self._command(folder, "plan", "-detailed-exitcode", "-input=false", "-no-color")

    def validate(self, folder: Path, written: Written) -> Command:
        """Validate; each fault has to be named with its line."""
        command = self._command(folder, "validate", "-no-color")
        says = tuple(f"{written.file.name} line {line}" for line in written.fault_lines)
        return msgspec.structs.replace(command, exit_code=1 if says else 0, says=says)

    def take_over(self, applied: Path, folder: Path) -> None:
        """Go on from the state the other one of the two made: the format is the same, its maker's version is noted."""
        version = self.version().rsplit("v", 1)[-1]
        with (
            (applied / "terraform.tfstate").open(encoding="utf-8") as theirs,
            (folder / "terraform.tfstate").open("w", encoding="utf-8") as mine,
        ):
            for line in theirs:
                mine.write(re.sub(r'^(  "terraform_version": )"[^"]*"', rf'\g<1>"{version}"', line))

    def _command(self, folder: Path, *arguments: str) -> Command:
        return Command((self.executable, *arguments), folder, self.environment)


def found(environment: Mapping[str, str]) -> tuple[Tool, ...]:
    """Return the tools this machine has; kvstack is the one of this virtual environment."""
    tools: list[Tool] = []
    kvstack = Path(sys.executable).with_name("kvstack")
    if os.access(kvstack, os.X_OK):
        tools.append(Kvstack(str(kvstack), environment))
    # Terraform writes its whole state after each resource: 10 s at 1,000, and a hundred times that at 10,000.
    for name, largest_first_apply in (("tofu", 10_000), ("terraform", 1_000)):
        if (executable := shutil.which(name)) is not None:
            tools.append(Terraform(name, executable, environment, largest_first_apply))
    return tuple(tools)


def _version(environment: Mapping[str, str], *arguments: str) -> str:
    printed = subprocess.run(arguments, capture_output=True, text=True, check=False, env=dict(environment))
    lines = printed.stdout.strip().splitlines()
    return lines[0] if lines else f"unknown (exit code {printed.returncode})"
