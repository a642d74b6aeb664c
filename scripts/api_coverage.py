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
its newest version: whether [`kvstack serve`](server.md) answers it over HTTPS, and the method of `VaultService` and the
command that do it. Where one of them is missing, the last column says why. Some reasons hold for many: calls here
return when the work is done, so that nothing is polled; a command's list comes whole, so that there are no pages.
"""
# What a placeholder stands for that is more than a name: an id is a path.
_IDS = {
    "roleAssignmentId": "subscriptions/s/providers/Microsoft.Authorization/roleAssignments/g",
    "denyAssignmentId": "subscriptions/s/providers/Microsoft.Authorization/denyAssignments/g",
    "roleId": "providers/Microsoft.Authorization/roleDefinitions/g",
}
_MANAGEMENT = ("keyvault", "authorization")


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


def served(operation: Operation) -> str:
    """Return the route that answers an operation, by Azure's name for it; empty for none. It is looked for as a request
    is, so that it is the server's own word."""
    from kvstack.server.answer import Refusal
    from kvstack.server.data_plane.plane import HSM_ROUTES
    from kvstack.server.resource_manager.plane import ROUTES

    try:
        if operation.area in _MANAGEMENT:
            return ROUTES.operation(operation.method, filled(operation.path))[0].id
        found = HSM_ROUTES.operation(operation.method, filled(operation.path))[0].id
    except Refusal:
        return ""
    # A name may look like a word of another operation's path; an operation is served under its own name only.
    return found if found.lower() == operation.name.lower() else ""


def filled(path: str) -> tuple[str, ...]:
    """Return the parts of a path that a request for an operation could have."""
    parts = (_IDS.get(part[1:-1], "x") if part.startswith("{") else part for part in path.strip("/").split("/"))
    return tuple("/".join(parts).split("/"))


def page() -> str:
    """Return the page."""
    table = operations()
    parts = [_INTRODUCTION, _summary(table)]
    for area, title in _AREAS.items():
        rows = [_row(operation) for operation in table if operation.area == area]
        header = "| Operation | | HTTPS | `VaultService` | Command | |\n|---|---|---|---|---|---|\n"
        parts.append(f"## {title}\n\n" + header + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _summary(table: tuple[Operation, ...]) -> str:
    done = sum(bool(operation.service) for operation in table)
    over_https = sum(bool(served(operation)) for operation in table)
    return f"Of {len(table)} operations {over_https} are served over HTTPS, and {done} have a method of their own.\n"


def _row(operation: Operation) -> str:
    methods = ", ".join(f"`{name}`" for name in operation.service) or "none"
    commands = ", ".join(f"[`{name}`](cli.md#kvstack-{name.replace(' ', '-')})" for name in operation.commands)
    https = "yes" if served(operation) else "no"
    place = f"`{operation.method} {operation.path}`"
    return f"| {operation.name} | {place} | {https} | {methods} | {commands} | {operation.note} |"
