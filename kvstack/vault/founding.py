"""The first rights in a new vault: its operator's. Without them nobody could ever do anything."""

from kvstack.terms.role import KEY_VAULT_ADMINISTRATOR, OWNER
from kvstack.terms.scope import Scope
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.assignments import assignment_id
from kvstack.vault.audit import AuditRecord
from kvstack.vault.caller import SYSTEM
from kvstack.vault.registry import PrincipalRow, read_registry
from kvstack.vault.unlock import Unlocked


def initialise_access(unlocked: Unlocked) -> None:
    """Make the operator Owner and Key Vault Administrator of everything. Doing it twice is no error."""
    settings = unlocked.settings
    top = Scope(settings.subscription_id)
    with unlocked.store.transaction() as tx:
        now = unlocked.clock.now()
        registry = read_registry(tx)
        for role_id in (OWNER, KEY_VAULT_ADMINISTRATOR):
            assignment = RoleAssignment(
                id=assignment_id(top, role_id, settings.operator_id),
                scope=top,
                role_id=role_id,
                principal_id=settings.operator_id,
                principal_type="user",
                description="The operator of this vault, made when it was initialised.",
                created=now,
                created_by=SYSTEM.id,
            )
            if assignment.id not in registry.role_assignments:
                registry.put_assignment(tx, assignment)
        registry.put_principal(tx, PrincipalRow(id=settings.operator_id, type="user", name=settings.operator_name))
        registry.set_mark(tx)
        unlocked.audit.append(
            tx,
            AuditRecord(
                time=now,
                operation="AccessInitialise",
                resource=top.path,
                caller=SYSTEM.id,
                caller_name=SYSTEM.name,
                details={"principal": settings.operator_id},
            ),
        )
