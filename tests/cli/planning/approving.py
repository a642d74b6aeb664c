"""A stack whose vault wants deletion, purge and access approved, and the steps from a change to its apply."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.command_line import OK, Ran, write

Kvstack = Callable[..., Ran]

ALICE, BOB = "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10", "91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c11"
STACK = """
stack: shop
principals:
  alice: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c10}
  bob: {type: user, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c11}
  api: {type: service_principal, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c13}
  on-call: {type: group, id: 91aa0c5e-6f0d-4a53-9a3e-0d7d1f6b2c12, members: [alice]}
environments:
  dev: {}
  prod: {}
vaults:
  shop-prod:
    approval: {by: [on-call], for: [delete, purge, access]}
    access:
      - {principal: api, role: Key Vault Reader}
    keys:
      signing: {type: EC}
    secrets:
      first: {value_from: {generate: {length: 20}}}
      second: {value_from: {generate: {length: 20}}}
"""
WITHOUT = STACK.replace("      second: {value_from: {generate: {length: 20}}}\n", "")
RULE = "    approval: {by: [on-call], for: [delete, purge, access]}\n"


def applied(folder: Path, kvstack: Kvstack, text: str = STACK) -> None:
    """Apply a stack that needs no approval."""
    write(folder, text)
    ran = kvstack("apply", "--yes")
    assert ran.code == OK, str(ran)


def planned(folder: Path, kvstack: Kvstack, text: str = WITHOUT, *, name: str = "saved.plan") -> str:
    """Save the plan of a changed stack. Returns the file's name."""
    write(folder, text)
    file = str(folder / name)
    ran = kvstack("plan", "--out", file)
    assert ran.code == OK, str(ran)
    return file


def approved(kvstack: Kvstack, file: str, *options: str, who: str = "alice") -> str:
    """Have a plan approved. Returns the approval's id."""
    ran = kvstack("--as", who, "approve", file, "--yes", "--json", *options)
    assert ran.code == OK, str(ran)
    found: str = ran.json["id"]
    return found


def secrets(kvstack: Kvstack) -> list[str]:
    """Return the names of the living secrets."""
    return [one["name"] for one in kvstack("secret", "list", "shop-prod", "--json").json["secrets"]]
