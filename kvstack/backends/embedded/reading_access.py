"""What the vault says of who may do what, as resources: roles of its own, who may take one up, what is denied."""

from collections.abc import Mapping

from kvstack.backends.embedded.names import denial_name, eligible_name, role_name
from kvstack.backends.protocol import Actual
from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.eligible import Eligible, written_span
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.schema.resource import Resource
from kvstack.terms.principal import EVERYONE
from kvstack.terms.scope import written_scope
from kvstack.vault.denial import DenyAssignment as DenialRecord
from kvstack.vault.eligibility import EligibleAssignment
from kvstack.vault.registry import CustomRole


def of_role(role: CustomRole, owner: str) -> Actual[Resource]:
    """Return a role of the vault's own as read. owner: the stack that asks."""
    definition = role.definition
    return Actual(
        kind="role_definition",
        id=role.id,
        vault="",
        resource=RoleDefinition(
            name=definition.name,
            assignable_scopes=frozenset(written_scope(scope).lower() for scope in role.assignable_scopes),
            actions=frozenset(definition.actions),
            not_actions=frozenset(definition.not_actions),
            data_actions=frozenset(definition.data_actions),
            not_data_actions=frozenset(definition.not_data_actions),
            description=definition.description,
        ),
        named_by_us=role.id == role_name(owner, definition.name),
    )


def of_eligible(eligible: EligibleAssignment, role: str, owner: str, principals: Mapping[str, str]) -> Actual[Resource]:
    """Return an eligible assignment as read. role: its name; owner: the stack that asks; principals: by id, those told
    otherwise."""
    return Actual(
        kind="role_assignment",
        id=eligible.id,
        vault=eligible.scope.vault,
        resource=RoleAssignment(
            principal=principals.get(eligible.principal_id, eligible.principal_id),
            principal_type=eligible.principal_type,
            role=role,
            scope=written_scope(eligible.scope),
            description=eligible.description,
            condition=eligible.condition,
            eligible=Eligible(
                starts=eligible.starts,
                until=eligible.expires,
                max_duration=written_span(eligible.max_duration),
                justification="required" if eligible.justification else "optional",
                approvers=eligible.approvers,
                mfa="required" if eligible.mfa else "optional",
            ),
        ),
        named_by_us=eligible.id == eligible_name(owner, eligible.scope, eligible.role_id, eligible.principal_id),
    )


def of_denial(denial: DenialRecord, owner: str) -> Actual[Resource]:
    """Return a deny assignment as read. owner: the stack that asks."""
    return Actual(
        kind="deny_assignment",
        id=denial.id,
        vault=denial.scope.vault,
        resource=DenyAssignment(
            name=denial.name,
            principals=None if EVERYONE in denial.principals else denial.principals,
            excluded=denial.excluded,
            actions=frozenset(denial.actions),
            not_actions=frozenset(denial.not_actions),
            data_actions=frozenset(denial.data_actions),
            not_data_actions=frozenset(denial.not_data_actions),
            scope=written_scope(denial.scope),
            below=denial.below,
            description=denial.description,
        ),
        named_by_us=denial.id == denial_name(owner, denial.scope, denial.name),
    )
