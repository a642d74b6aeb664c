"""After any edit of declared access, applied: nothing left to do. What others do to it is drift, and brought back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.access import Declared, denied, given_access, roles, with_access
from tests.properties.deeds import deeds
from tests.properties.worlds import World, settled, world

FEW = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
MANY = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))


def _with_vault(
    whole: bool,
    own: Declared,
    access: list[Declared],
    deny: list[Declared],
    wide: list[Declared],
    wide_deny: list[Declared],
) -> Declared:
    vaults = {"alpha": {"access": access, "deny": deny, "lifecycle": {"purge_on_delete": True}}} if whole else {}
    return with_access(vaults, own, wide, wide_deny)


_stacks = st.builds(
    _with_vault,
    st.sampled_from([True, True, True, False]),
    roles,
    given_access(["", "secrets/one"]),
    denied(["", "secrets/one"]),
    given_access(["subscription", "resource_group/local", "vault/alpha"]),
    denied(["subscription", "vault/alpha"], "nowhere reading", "no-where"),
)


def applied(of: World) -> None:
    made = of.plan()
    assert not made.refused, made.changes
    of.apply(made)
    settled(of)


def any_edit_is_applied(data: st.DataObject) -> None:
    with world() as of:
        for stack in data.draw(st.lists(_stacks, min_size=2, max_size=5)):
            of.declare(stack)
            applied(of)
            if data.draw(st.booleans()) and (possible := deeds(of)):
                deed = data.draw(st.sampled_from(possible), label="deed")
                deed.does()
                assert {drifted.address for drifted in of.plan().drift} == deed.drifts
                applied(of)
        of.apply(of.workspace.plan(destroy=True))
        found = of.service.snapshot(of.operator)
        assert (found.role_definitions, found.eligible_assignments, found.deny_assignments) == ((), (), ())
        assert {one.principal_id for one in found.role_assignments} == {of.operator.id}


@given(data=st.data())
@FEW
def test_a_few_edits(data: st.DataObject) -> None:
    any_edit_is_applied(data)


@pytest.mark.slow
@given(data=st.data())
@MANY
def test_many_edits(data: st.DataObject) -> None:
    any_edit_is_applied(data)
