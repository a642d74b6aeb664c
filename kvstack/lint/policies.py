"""Policies in Python, from a folder that whoever runs kvstack names: never from the stack, which a pull request can
change.

Every function of a `*.py` file there whose name begins with `deny_` or `warn_` is one. It gets the stack and yields
pairs: a thing, and what is wrong with it.
"""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from kvstack.declare.graph import Desired, Node
from kvstack.lint.attribute import value
from kvstack.schema.resource import attributes
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic, KvstackError, Severity

_PREFIXES: dict[str, Severity] = {"deny_": "error", "warn_": "warning"}


class Thing:
    """One declared thing, as a policy sees it: nothing of it can be changed, and no secret value is in it."""

    __slots__ = ("_node", "address", "kind", "name", "vault")

    def __init__(self, address: Address, node: Node) -> None:
        self._node = node
        self.address: str = address
        self.kind = node.resource.kind
        self.name = node.resource.name
        self.vault = node.vault

    def __getitem__(self, path: str) -> Any:
        """Return an attribute by its dotted name: `thing["rotation.every"]`; None where it has none. Raises KeyError
        for what no such thing has."""
        known = {entry.written for entry in attributes(type(self._node.resource))}
        if path.split(".", maxsplit=1)[0] not in known:
            raise KeyError(f"a {self.kind} has no attribute `{path}`")
        return msgspec.to_builtins(value(self._node.resource, path))

    def __repr__(self) -> str:
        return f"Thing({self.address})"


class StackView:
    """A stack as a policy sees it. production: whether its environment is marked so."""

    def __init__(self, desired: Desired) -> None:
        self.name = desired.stack
        self.environment = desired.environment
        self.production = desired.production
        self._things = tuple(Thing(address, node) for address, node in desired.nodes.items())

    def things(self, kind: str | None = None) -> tuple[Thing, ...]:
        """Return everything declared, or what is of one kind."""
        return tuple(thing for thing in self._things if kind in (None, thing.kind))


def breaches(folder: Path, desired: Desired, *, stack_folder: Path) -> tuple[Diagnostic, ...]:
    """Return what the policies of a folder find in a stack. Raises KvstackError where there is none, where one cannot
    be run, or where the folder is one that the stack itself could bring."""
    if folder.resolve().is_relative_to(stack_folder.resolve()):
        raise KvstackError(
            f"the policies in {folder} are in the stack's own folder",
            "Whoever changes the stack could change them, and what they run. Keep them elsewhere.",
        )
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    if not files:
        raise KvstackError(f"there are no policies in {folder}", "A policy is a function in a `*.py` file there.")
    stack = StackView(desired)
    return tuple(found for file in files for found in _of_file(file, stack))


def _of_file(file: Path, stack: StackView) -> Iterator[Diagnostic]:
    for name, function in _policies(_module(file)):
        severity = next(severity for prefix, severity in _PREFIXES.items() if name.startswith(prefix))
        try:
            pairs = [(thing, str(words)) for thing, words in function(stack) or ()]
        except Exception as error:
            raise _failed(file, f"the policy `{name}`", error) from error
        for thing, words in pairs:
            if not isinstance(thing, Thing):
                raise KvstackError(
                    f"the policy `{name}` of {file} yields what is no thing of the stack",
                    "It yields pairs: a thing of `stack.things()`, and what is wrong with it.",
                )
            yield Diagnostic(severity=severity, summary=words, address=thing.address, code=f"{file.stem}:{name}")


def _policies(module: ModuleType) -> Iterator[tuple[str, Callable[[StackView], Any]]]:
    for name, found in vars(module).items():
        if name.startswith(tuple(_PREFIXES)) and callable(found):
            yield name, found


def _module(file: Path) -> ModuleType:
    import importlib.util

    specification = importlib.util.spec_from_file_location(f"kvstack_policies_{file.stem}", file)
    if specification is None or specification.loader is None:
        raise KvstackError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise _failed(file, "the policies", error) from error
    return module


def _failed(file: Path, what: str, error: Exception) -> KvstackError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = lines[-1] if lines else error.lineno if isinstance(error, SyntaxError) else None
    where = f"{file}:{line}" if line else str(file)
    return KvstackError(f"{where}: {what} failed: {type(error).__name__}: {error}", "Mend it: nothing was checked.")
