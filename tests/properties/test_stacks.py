"""After any stack and any edit, applied: nothing left to do. Whatever happens outside is drift; nothing else is."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.access import ACCESS
from tests.properties.deeds import deeds
from tests.properties.worlds import World, as_json, required_and_possible, settled, stacks, world

QUICK = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
LARGE = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))


def applied(of: World) -> bool:
    """Apply what is declared. Tells whether it could be."""
    made = of.plan()
    again = of.plan()
    assert (made.changes, made.drift) == (again.changes, again.drift)
    assert "hunter2" not in as_json(made)
    if made.refused:
        return False
    before = of.audited
    of.apply(made)
    required, possible = required_and_possible(made)
    touched = of.touched(before)
    assert required <= touched, required - touched
    assert touched <= required | possible, touched - required - possible
    for path in (of.folder / ".kvstack/state").glob("*"):
        assert b"hunter2" not in path.read_bytes()
    return True


def any_edit_is_applied(data: st.DataObject) -> None:
    with world() as of:
        for stack in data.draw(st.lists(stacks, min_size=1, max_size=4)):
            of.declare(stack)
            if applied(of):
                settled(of)


def whatever_happens_outside_is_drift(data: st.DataObject) -> None:
    with world() as of:
        of.declare(data.draw(stacks))
        if not applied(of):
            return
        for _ in range(data.draw(st.integers(1, 3))):
            possible = deeds(of)
            if not possible:
                return
            deed = data.draw(st.sampled_from(possible), label="deed")
            deed.does()
            made = of.plan()
            assert {drifted.address for drifted in made.drift} == deed.drifts, deed
            assert all(drifted.by for drifted in made.drift if drifted.kind not in ACCESS)
            # What drifted is what the plan brings back, or says that it cannot; where nothing did, there is nothing.
            assert deed.drifts <= {change.address for change in made.changes}, deed
            assert deed.drifts or made.changes == (), deed
            if not applied(of):
                return
            settled(of)


def everything_is_destroyed(data: st.DataObject) -> None:
    with world() as of:
        of.declare(data.draw(stacks))
        applied(of)
        made = of.workspace.plan(destroy=True)
        if made.refused:
            return
        of.apply(made)
        assert of.workspace.state().records == {}
        assert of.workspace.plan(destroy=True).changes == ()
        # And all of it can come back: none of it is taken for somebody else's.
        assert not any("not this stack's" in reason for change in of.plan().changes for reason in change.reasons)
        if applied(of):
            settled(of)


CLAIMS = pytest.mark.parametrize(
    "claim", [any_edit_is_applied, whatever_happens_outside_is_drift, everything_is_destroyed]
)


@CLAIMS
@given(data=st.data())
@QUICK
def test_on_a_few_stacks(claim: Callable[[st.DataObject], None], data: st.DataObject) -> None:
    claim(data)


@pytest.mark.slow
@CLAIMS
@given(data=st.data())
@LARGE
def test_on_many_stacks(claim: Callable[[st.DataObject], None], data: st.DataObject) -> None:
    claim(data)
