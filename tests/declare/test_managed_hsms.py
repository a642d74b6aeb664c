"""Managed HSMs in a declaration: what stands in them, and what is wrong with them, where it stands."""

from pathlib import Path

import pytest

from kvstack.declare.declaration import declaration
from kvstack.resources.hsm_key import HsmKey
from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.hsm_role_definition import HsmRoleDefinition
from kvstack.resources.managed_hsm import ManagedHsm
from kvstack.schema.resource import Resource
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import InvalidInput

API = "6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11"
PEOPLE = f"principals:\n  api: {{type: service_principal, id: {API}}}\n"


def declared(folder: Path, body: str) -> dict[Address, Resource]:
    (folder / "kvstack.yaml").write_text(f"stack: s\n{PEOPLE}managed_hsms:\n{body}")
    return {address: node.resource for address, node in declaration(folder).desired.nodes.items()}


def told(folder: Path, body: str) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        declared(folder, body)
    return [f"{one.place.line}:{one.place.column} {one.summary}" for one in raised.value.diagnostics if one.place]


def test_everything_in_it_is_of_its_own_types(tmp_path: Path) -> None:
    things = declared(
        tmp_path,
        "  pool:\n    name: pool-one\n    administrators: [api]\n    keys: {k: {type: EC-HSM}}\n"
        "    roles: {signer: {data_actions: [Microsoft.KeyVault/managedHsm/keys/sign/action]}}\n"
        "    access:\n      - {principal: api, role: SIGNER, scope: /keys/k}\n"
        "      - {principal: api, role: managed hsm crypto user}\n",
    )
    assert {address: type(thing) for address, thing in things.items()} == {
        "pool": ManagedHsm,
        "pool/keys/k": HsmKey,
        "pool/roles/signer": HsmRoleDefinition,
        "pool/access/api/signer/keys/k": HsmRoleAssignment,
        "pool/access/api/managed-hsm-crypto-user": HsmRoleAssignment,
    }
    pool, given = things[Address("pool")], things[Address("pool/access/api/managed-hsm-crypto-user")]
    assert isinstance(pool, ManagedHsm)
    assert isinstance(given, HsmRoleAssignment)
    assert (pool.name, pool.administrators) == ("pool-one", frozenset({API}))
    assert (given.principal, given.role, given.needs("pool-one")) == (API, "Managed HSM Crypto User", ())
    own = things[Address("pool/access/api/signer/keys/k")]
    assert isinstance(own, HsmRoleAssignment)
    assert own.needs("pool-one") == ("vaults/pool-one/roles/signer",)


def test_defaults_and_variables_reach_into_it(tmp_path: Path) -> None:
    (tmp_path / "kvstack.yaml").write_text(
        "stack: s\nvariables: {env: {default: dev}}\ndefaults: {managed_hsm: {tokens: 3}, hsm_key: {type: EC-HSM}}\n"
        'managed_hsms:\n  "pool-${var.env}": {keys: {k: {}}}\n'
    )
    things = {address: node.resource for address, node in declaration(tmp_path).desired.nodes.items()}
    pool, key = things[Address("pool-dev")], things[Address("pool-dev/keys/k")]
    assert isinstance(pool, ManagedHsm)
    assert isinstance(key, HsmKey)
    assert (pool.tokens, key.type) == (3, "EC-HSM")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("  pool: {keys: {k: {type: RSA}}}\n", "5:27 `type` is `RSA-HSM`, `EC-HSM` or `oct-HSM`, not `RSA`"),
        ("  pool: {secrets: {}}\n", "5:10 a Managed HSM has no attribute `secrets`"),
        (
            "  pool: {keys: {k: {type: EC-HSM, rotation: {every: P20D}}}}\n",
            "5:53 rotation every P20D is under the least",
        ),
        ("  pool: {tokens: 0}\n", "5:18 "),
        ("  pool: {soft_delete_retention_days: 91}\n", "5:38 "),
        ("  p: {}\n", "5:3 "),
        ("  pool: {administrators: [ape]}\n", "5:26 there is no principal `ape`; did you mean `api`?"),
        ("  pool: {access: [{principal: ape, role: Managed HSM Crypto User}]}\n", "5:31 there is no principal `ape`"),
        ("  pool: {access: [{principal: api, role: Managed HSM Crypt User}]}\n", "5:42 there is no local role"),
        ("  pool: {access: [{principal: api, role: Key Vault Reader}]}\n", "5:42 there is no local role"),
        ("  pool: {access: [{principal: api, role: Managed HSM Backup, scope: keys}]}\n", "5:69 `keys` is no scope"),
        (
            "  pool: {roles: {r: {data_actions: [Microsoft.KeyVault/vaults/*]}}}\n",
            "5:36 no action inside a Managed HSM",
        ),
        ("  pool: {roles: {Managed HSM Backup: {data_actions: ['*']}}}\n", "5:18 `Managed HSM Backup` is a built-in"),
        ("  pool: {}\nvaults: {other: {name: POOL}}\n", "`other` and `pool` are one and the same thing"),
        ("  pool: {}\nvaults: {pool: {}}\n", "5:3 `pool` is declared twice"),
    ],
)
def test_what_a_managed_hsm_would_refuse_is_told_where_it_stands(tmp_path: Path, body: str, expected: str) -> None:
    found = told(tmp_path, body)
    assert any(expected in line for line in found), found
