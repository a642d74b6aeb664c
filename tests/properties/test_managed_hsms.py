"""After any edit of a declared Managed HSM, applied: nothing left to do. What others do to it is drift, all of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.hsm.find import find_module
from tests.properties.access import API, BOB, Declared, some
from tests.properties.deeds import deeds
from tests.properties.worlds import World, settled, world
from tests.vault.service.pools import custodians

POOL = "treasury"
SIGN = "Microsoft.KeyVault/managedHsm/keys/sign/action"
READ = "Microsoft.KeyVault/managedHsm/keys/read/action"
FEW = settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
MANY = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))

_tags = st.dictionaries(st.sampled_from(["a", "é"]), st.sampled_from(["x", ""]), max_size=2)
_keys = st.builds(
    lambda curve, more: {"type": "EC-HSM", "curve": curve, **more},
    st.sampled_from(["P-256", "P-384"]),
    some(
        enabled=st.booleans(),
        tags=_tags,
        operations=st.sampled_from([["sign"], ["sign", "verify"]]),
        rotation=st.sampled_from([{"every": "P90D"}, {"every": "P30D", "expire_after": "P12W"}]),
        lifecycle=st.sampled_from([{"purge_on_delete": True}, {"ignore_changes": ["tags"]}]),
        name=st.sampled_from(["other", "OTHER"]),
    ),
)
_roles = st.dictionaries(
    st.sampled_from(["signer", "reader"]),
    st.builds(
        lambda actions, more: {"data_actions": actions, **more},
        st.sampled_from([[SIGN], [READ], [READ, SIGN]]),
        some(description=st.just("why"), not_data_actions=st.just([READ])),
    ),
    max_size=2,
)
_access = st.lists(
    st.builds(
        lambda who, role, scope: {"principal": who, "role": role, "scope": scope},
        st.sampled_from(["api", "bob", "batch"]),
        st.sampled_from(["signer", "reader", "Managed HSM Crypto User", "Managed HSM Crypto Auditor"]),
        st.sampled_from(["/", "/keys", "/keys/one"]),
    ),
    max_size=3,
    unique_by=lambda line: tuple(line.values()),
)


def _pool(more: Declared, keys: Declared, roles: Declared, access: list[Declared]) -> Declared:
    given = [line for line in access if line["role"] in roles or line["role"].startswith("Managed")]
    return {**more, "keys": keys, "roles": roles, "access": given}


stacks = st.builds(
    lambda pool, batch: {
        "stack": "s",
        "principals": {"api": {"type": "service_principal", "id": API}, "bob": {"type": "user", "id": BOB}},
        "identities": {"batch": batch},
        "managed_hsms": {POOL: pool},
    },
    st.builds(
        _pool,
        some(tags=_tags, tokens=st.integers(1, 2)),
        st.dictionaries(st.sampled_from(["one", "two"]), _keys, max_size=2),
        _roles,
        _access,
    ),
    some(resource_group=st.sampled_from(["payments", "shipping"]), tags=_tags),
)


@contextmanager
def activated() -> Iterator[World]:
    """Make a store with one Managed HSM, declared and activated, whose operator may use its keys."""
    with world(hsm=True) as of:
        of.declare({"stack": "s", "managed_hsms": {POOL: {"tokens": 1}}})
        assert applied(of)
        service, operator = of.service, of.operator
        service.download_security_domain(operator, POOL, custodians(), 2)
        for role in ("Managed HSM Crypto User", "Managed HSM Crypto Officer"):
            service.assign_local_role(operator, POOL, role=role, principal_id=operator.id, principal_type="user")
        yield of


def applied(of: World) -> bool:
    """Apply what is declared. Tells whether it could be: tokens are never taken away."""
    made = of.plan()
    if made.refused:
        return False
    of.apply(made)
    return True


def any_edit_is_applied(data: st.DataObject) -> None:
    with activated() as of:
        for stack in data.draw(st.lists(stacks, min_size=1, max_size=4)):
            of.declare(stack)
            if applied(of):
                settled(of)


def whatever_happens_outside_is_drift(data: st.DataObject) -> None:
    with activated() as of:
        of.declare(data.draw(stacks))
        if not applied(of):
            return
        for _ in range(data.draw(st.integers(1, 3))):
            deed = data.draw(st.sampled_from(deeds(of)), label="deed")
            deed.does()
            made = of.plan()
            assert {drifted.address for drifted in made.drift} == deed.drifts, deed
            assert deed.drifts <= {change.address for change in made.changes}, deed
            assert deed.drifts or made.changes == (), deed
            if not applied(of):
                return
            settled(of)


def everything_is_destroyed(data: st.DataObject) -> None:
    with activated() as of:
        of.declare(data.draw(stacks))
        if not applied(of):
            return
        of.apply(of.workspace.plan(destroy=True))
        assert of.workspace.state().records == {}
        assert applied(of)  # its security domain comes back with it: no custodian is asked
        settled(of)


CLAIMS = pytest.mark.parametrize(
    "claim", [any_edit_is_applied, whatever_happens_outside_is_drift, everything_is_destroyed]
)
pytestmark = pytest.mark.skipif(find_module() is None, reason="no PKCS#11 module is found: a Managed HSM needs one")


@CLAIMS
@given(data=st.data())
@FEW
def test_on_a_few_stacks(claim: Callable[[st.DataObject], Any], data: st.DataObject) -> None:
    claim(data)


@pytest.mark.slow
@CLAIMS
@given(data=st.data())
@MANY
def test_on_many_stacks(claim: Callable[[st.DataObject], Any], data: st.DataObject) -> None:
    claim(data)
