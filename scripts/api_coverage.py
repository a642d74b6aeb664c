"""The page that tells, for every operation of Azure's, what kvstack has for it: docs/api-coverage.md."""

import csv
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "api_coverage.tsv"

_AREAS = {
    "keys": "Keys",
    "secrets": "Secrets",
    "certificates": "Certificates",
    "backuprestore": "Managed HSM: backup and restore",
    "securitydomain": "Managed HSM: security domain",
    "rbac": "Managed HSM: local roles",
    "settings": "Managed HSM: settings",
    "keyvault": "Resource manager: vaults",
    "authorization": "Resource manager: access",
}
_INTRODUCTION = """# Azure's operations, and what there is for each

Every operation of Key Vault's and Managed HSM's data planes, and of resource manager for vaults and for access, each in
its newest version, with the method of `VaultService` and the command that do it. Where there is none, the last column
says why. Some reasons hold for many: calls here return when the work is done, so that nothing is polled; a command's
list comes whole, so that there are no pages. What [`kvstack serve`](server.md) answers is on its pages.
"""


class Operation(NamedTuple):
    """One operation of Azure. service: methods of VaultService; commands: without the leading `kvstack`; note: what is
    different, or why there is nothing."""

    area: str
    version: str
    method: str
    path: str
    name: str
    service: tuple[str, ...]
    commands: tuple[str, ...]
    note: str


def operations() -> tuple[Operation, ...]:
    """Return the table."""
    with TABLE.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return tuple(
        Operation(*row[:5], tuple(row[5].split()), tuple(part for part in row[6].split(",") if part), row[7])
        for row in rows
    )


def page() -> str:
    """Return the page."""
    table = operations()
    parts = [_INTRODUCTION, _summary(table)]
    for area, title in _AREAS.items():
        rows = [_row(operation) for operation in table if operation.area == area]
        header = "| Operation | | `VaultService` | Command | |\n|---|---|---|---|---|\n"
        parts.append(f"## {title}\n\n" + header + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _summary(table: tuple[Operation, ...]) -> str:
    done = sum(bool(operation.service) for operation in table)
    return f"{done} of {len(table)} operations have a counterpart.\n"


def _row(operation: Operation) -> str:
    methods = ", ".join(f"`{name}`" for name in operation.service) or "none"
    commands = ", ".join(f"[`{name}`](cli.md#kvstack-{name.replace(' ', '-')})" for name in operation.commands)
    return f"| {operation.name} | `{operation.method} {operation.path}` | {methods} | {commands} | {operation.note} |"
