"""A vault under an approval rule, and who approves: what tests of approvals act in."""

from datetime import timedelta
from typing import Any

import msgspec

from kvstack.terms import approval as deeds
from kvstack.terms.approval import Deed
from kvstack.terms.principal import Principal
from kvstack.terms.secret import SecretValue
from kvstack.vault.approval_rows import Approval
from kvstack.vault.caller import Caller
from kvstack.vault.records import ApprovalRule
from tests.vault.service.world import World

VAULT = "payments-dev"
PLAN, OTHER_PLAN = "a1" * 32, "b2" * 32
HOUR = timedelta(hours=1)
GROUP = "0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22"
STRANGER = "00000000-0000-4000-8000-0000000000aa"
SECRET = deeds.deletion(f"vaults/{VAULT}/secrets/s")


class Ruled:
    """The world with a vault under a rule: alice approves, for everything."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.service = world.service
        self.operator = world.operator
        self.alice = world.person(name="alice")
        self.service.put_principal(self.operator, Principal(self.alice.id, "user", "alice"))
        self.mallory = world.person("Owner", "Key Vault Administrator", name="mallory")
        for name in ("s", "t"):
            self.service.set_secret(self.operator, VAULT, name, SecretValue("v"))
        self.service.set_secret(self.operator, VAULT, "gone", SecretValue("v"))
        self.service.delete_secret(self.operator, VAULT, "gone")
        self.rule(self.alice.id)

    def rule(self, *by: str, operations: Any = ("access", "delete", "purge")) -> None:
        self.service.update_vault(self.operator, VAULT, approval=ApprovalRule(by, operations))

    def approve(self, *what: Deed, who: Caller | None = None, plan: str = PLAN, **more: Any) -> Approval:
        return self.service.approve_plan(
            who or self.alice, plan, what or (SECRET,), **{"made_by": self.operator.id, **more}
        )

    def under(self, plan: str = PLAN, who: Caller | None = None) -> Caller:
        """Begin the plan, and return who applies it."""
        caller = who or self.operator
        self.service.begin_plan(caller, plan)
        return msgspec.structs.replace(caller, plan=plan)

    def alive(self, name: str = "s") -> bool:
        return any(one.name == name for one in self.service.list_secrets(self.operator, VAULT))


def give(ruled: Ruled, caller: Caller, *, vault: str = VAULT, item: str = "", role: str = "Key Vault Reader") -> None:
    """Give a stranger a role."""
    ruled.service.create_role_assignment(
        caller, ruled.world.scope(vault, item), role=role, principal_id=STRANGER, principal_type="user"
    )
