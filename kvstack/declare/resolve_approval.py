"""Who approves changes of a vault: names from `principals`, resolved."""

from collections.abc import Mapping

import msgspec

from kvstack.declare.graph import Path
from kvstack.declare.variables import Located
from kvstack.resources.vault import Vault
from kvstack.terms.near import meant
from kvstack.terms.principal import Principal, is_guid


def with_approvers(vault: Vault, principals: Mapping[str, Principal], path: Path, problems: list[Located]) -> Vault:
    """Return a vault with the ids of its approvers."""
    if vault.approval is None:
        return vault
    found = set()
    for written in sorted(vault.approval.by):
        known = principals.get(written)
        if known is None and not is_guid(written):
            problems.append(
                Located(
                    (*path, "approval", "by"),
                    f"there is no principal `{written}`{meant(written, principals)}",
                    "Name one from `principals`, or give an object id.",
                )
            )
        elif known is not None and known.type in ("service_principal", "managed_identity"):
            problems.append(
                Located(
                    (*path, "approval", "by"),
                    f"`{written}` is a program: what a program approves, nobody has looked at",
                    "Name the people who look at it, or a group of them.",
                    "warning",
                )
            )
        found.add(known.id if known is not None else written.lower())
    return msgspec.structs.replace(vault, approval=msgspec.structs.replace(vault.approval, by=frozenset(found)))
