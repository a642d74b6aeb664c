"""The same number of things, declared for kvstack and for Terraform."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

VAULTS = 2
_PRINCIPALS = 20


class Mix(msgspec.Struct, frozen=True):
    """What a stack is made of, beside its vaults. secrets, keys: shares of 1; what is left is role assignments."""

    secrets: float
    keys: float


MIXED = Mix(secrets=0.6, keys=0.2)
SECRETS_ONLY = Mix(secrets=1.0, keys=0.0)


class Stack(msgspec.Struct, frozen=True):
    """A stack to be written down. size: how many resources, vaults included; faults: whether three places are wrong."""

    size: int
    mix: Mix = MIXED
    faults: bool = False


class Written(msgspec.Struct, frozen=True):
    """A stack as it was written. fault_lines: where it is wrong, lines counted from 1."""

    file: Path
    fault_lines: tuple[int, ...]


_FAULT = "\N{NULL}"  # marks a line that is wrong on its way to the file


def write_kvstack(stack: Stack, folder: Path) -> Written:
    """Write `kvstack.yaml`."""
    return _written(folder / "kvstack.yaml", _kvstack_lines(stack))


def write_terraform(stack: Stack, folder: Path) -> Written:
    """Write `main.tf`: one `terraform_data`, built into terraform and tofu, for each resource."""
    return _written(folder / "main.tf", _terraform_lines(stack))


def _written(file: Path, lines: Iterator[str]) -> Written:
    fault_lines = []
    with file.open("w", encoding="utf-8") as text:
        for number, line in enumerate(lines, 1):
            if line.endswith(_FAULT):
                fault_lines.append(number)
            text.write(line.removesuffix(_FAULT) + "\n")
    return Written(file, tuple(fault_lines))


def _kvstack_lines(stack: Stack) -> Iterator[str]:
    things = stack.size - VAULTS
    secrets = round(things * stack.mix.secrets)
    keys = round(things * stack.mix.keys)
    assignments = things - secrets - keys

    yield "stack: benchmark"
    yield "backend:"
    yield "  type: embedded"
    yield "principals:"
    for number in range(_PRINCIPALS):
        yield f"  service-{number}: {{type: service_principal, id: 6f0c7c0e-3a0e-4f0e-9b0c-{number:012x}}}"
    yield "vaults:"
    for vault in range(VAULTS):
        yield f"  benchmark-{vault}:"
        yield "    soft_delete_retention_days: 7"
        yield from _assignments(_share(assignments, vault), _share(secrets, vault), faults=stack.faults and vault == 1)
        yield from _keys(_share(keys, vault), faults=stack.faults and vault == 0)
        yield from _secrets(_share(secrets, vault), faults=stack.faults and vault == 1)


def _share(count: int, vault: int) -> range:
    """Return which of all the things lie in this vault."""
    return range(vault, count, VAULTS)


def _assignments(numbers: range, secrets: range, *, faults: bool) -> Iterator[str]:
    if numbers:
        yield "    access:"
    for place, number in enumerate(numbers):
        # One assignment a secret, so that no two are the same.
        secret = secrets[place % len(secrets)]
        wrong = faults and place == len(numbers) // 2
        role = "Key Vault Secret User" if wrong else "Key Vault Secrets User"
        yield (
            f"      - {{principal: service-{number % _PRINCIPALS}, role: {role}, scope: secrets/secret-{secret:05d}}}"
            + (_FAULT if wrong else "")
        )


def _keys(numbers: range, *, faults: bool) -> Iterator[str]:
    if numbers:
        yield "    keys:"
    for place, number in enumerate(numbers):
        wrong = faults and place == len(numbers) // 2
        yield f"      key-{number:05d}:"
        yield "        type: EC"
        yield "        curve: P-257" + _FAULT if wrong else "        curve: P-256"


def _secrets(numbers: range, *, faults: bool) -> Iterator[str]:
    if numbers:
        yield "    secrets:"
    for number in numbers:
        if faults and number == numbers[-1]:
            yield f"      secret-{number:05d}: {{value_form: {{generate: {{length: 32}}}}}}" + _FAULT
        else:
            yield f"      secret-{number:05d}: {{value_from: {{generate: {{length: 32}}}}}}"


def _terraform_lines(stack: Stack) -> Iterator[str]:
    wrong = (stack.size // 4, stack.size // 2, stack.size - 1) if stack.faults else ()
    for number in range(stack.size):
        yield f'resource "terraform_data" "resource_{number:05d}" {{'
        yield f'  inptu = "value-{number:05d}"' + _FAULT if number in wrong else f'  input = "value-{number:05d}"'
        yield "}"
