"""Managed identities declared: named in access like principals, found by their resource group and name."""

from pathlib import Path

import pytest

from kvstack.resources.hsm_role_assignment import HsmRoleAssignment
from kvstack.resources.identity import Identity
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import KvstackError
from tests.declare.stacks import ALICE, API, problems, read, told

STACK = f"""\
stack: s
principals:
  api: {{type: service_principal, id: {API}}}
identities:
  batch: {{resource_group: Payments, tags: {{team: a}}}}
  own: {{name: Nightly-1}}
vaults:
  dev:
    name: dev-1
    access:
"""


def test_one_is_a_thing_of_its_own_beside_the_vaults(tmp_path: Path) -> None:
    nodes = read(tmp_path, STACK.replace("    access:\n", "")).desired.nodes
    batch, own = nodes[Address("identities/batch")], nodes[Address("identities/own")]
    assert batch.resource == Identity(name="batch", resource_group="payments", tags={"team": "a"})
    assert (batch.identity, batch.vault, batch.vault_address) == ("identities/payments/batch", "", None)
    assert (own.resource.name, own.identity) == ("Nightly-1", "identities//nightly-1")


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("batch", "identity/payments/batch"),
        ("own", "identity//nightly-1"),
        ("identity/Payments/BATCH", "identity/payments/batch"),
        ("identity/elsewhere/others", "identity/elsewhere/others"),
    ],
)
def test_access_names_one_by_its_key_or_by_group_and_name(tmp_path: Path, principal: str, expected: str) -> None:
    line = f"      - {{principal: {principal}, role: Key Vault Reader}}\n"
    wider = f"access: [{{principal: {principal}, role: Reader, scope: subscription}}]\n"
    found = read(tmp_path, STACK + line + wider)
    assert found.warnings == ()
    inside, outside = (node for node in found.desired.nodes.values() if isinstance(node.resource, RoleAssignment))
    for node in (inside, outside):
        assert isinstance(node.resource, RoleAssignment)
        assert (node.resource.principal, node.resource.principal_type) == (expected, "managed_identity")
        identity = expected.replace("identity/", "identities/", 1)
        assert node.resource.ends_with() == (identity,)
        assert identity in node.resource.needs(node.vault)
    assert inside.address == f"dev/access/{principal.replace('/', '-')}/key-vault-reader"


def test_access_inside_a_managed_hsm_names_one(tmp_path: Path) -> None:
    text = STACK.replace("vaults:", "managed_hsms:") + "      - {principal: batch, role: Managed HSM Crypto User}\n"
    node = read(tmp_path, text).desired.nodes[Address("dev/access/batch/managed-hsm-crypto-user")]
    assert isinstance(node.resource, HsmRoleAssignment)
    assert node.resource.principal == "identity/payments/batch"
    assert node.resource.needs("dev-1") == ("identities/payments/batch",)


def test_the_backends_own_resource_group_is_put_in_where_none_is_named(tmp_path: Path) -> None:
    lines = "".join(f"      - {{principal: {who}, role: Key Vault Reader}}\n" for who in ("own", "batch", "api"))
    desired = read(tmp_path, STACK + lines).desired.placed("Mine")
    assert desired.nodes[Address("identities/own")].identity == "identities/mine/nightly-1"
    assert desired.nodes[Address("identities/batch")].identity == "identities/payments/batch"
    access = {address: node for address, node in desired.nodes.items() if "/access/" in address}
    assert [node.identity for node in access.values()] == [
        "assignments/vault/dev-1/key vault reader/identity/mine/nightly-1",
        "assignments/vault/dev-1/key vault reader/identity/payments/batch",
        f"assignments/vault/dev-1/key vault reader/{API}",
    ]
    assert desired.placed("Mine") is desired


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "identities:\n  one: {name: batch}\n  two: {name: batch, resource_group: mine}\n",
            "`identities/one` and `identities/two`",
        ),
        (
            "identities:\n  batch: {}\naccess:\n"
            "  - {principal: batch, role: Reader, scope: subscription}\n"
            "  - {principal: identity/mine/batch, role: Reader, scope: subscription}\n",
            "`access/batch/reader/subscription` and `access/identity-mine-batch/reader/subscription`",
        ),
    ],
)
def test_two_that_turn_out_to_be_one_in_the_backends_own_group_are_told(tmp_path: Path, text: str, words: str) -> None:
    desired = read(tmp_path, f"stack: s\n{text}").desired
    with pytest.raises(KvstackError, match=f"{words} are one and the same thing"):
        desired.placed("mine")


def test_what_a_principals_id_stands_for_is_found_by_the_identity_it_is(tmp_path: Path) -> None:
    desired = read(tmp_path, STACK + "      - {principal: api, role: Key Vault Reader}\n").desired
    (access,) = (
        node.resource
        for node in desired.told_by({API: "identity/payments/batch"}).nodes.values()
        if node.resource.kind == "role_assignment"
    )
    assert isinstance(access, RoleAssignment)
    assert access.principal == "identity/payments/batch"
    assert desired.told_by({ALICE: "identity/payments/batch"}).nodes == desired.nodes
    assert desired.told_by({}) is desired


def test_one_in_an_included_file_is_one_of_the_stacks(tmp_path: Path) -> None:
    text = "stack: s\ninclude: [more.yaml]\naccess: [{principal: batch, role: Reader, scope: subscription}]\n"
    found = read(tmp_path, text, {"more.yaml": "identities: {batch: {resource_group: payments}}\n"})
    assert set(found.desired.nodes) == {"identities/batch", "access/batch/reader/subscription"}


def test_what_identities_share_stands_in_defaults(tmp_path: Path) -> None:
    text = "defaults: {identity: {resource_group: payments, tags: {a: b}}}\nidentities: {batch: {}, two: {tags: {}}}\n"
    nodes = read(tmp_path, f"stack: s\n{text}").desired.nodes
    assert nodes[Address("identities/batch")].resource == Identity(
        name="batch", resource_group="payments", tags={"a": "b"}
    )
    assert nodes[Address("identities/two")].resource == Identity(name="two", resource_group="payments")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"principals: {{batch: {{type: user, id: {API}}}}}\nidentities:\n  batch: {{}}\n",
            "4:3 `batch` is a name in `principals` already: in access, either could be meant",
        ),
        ("identities:\n  ab: {}\n", "3:3 `ab` cannot name a managed identity: 3-128 letters"),
        ("identities:\n  batch: {name: a.bc}\n", "3:17 `a.bc` cannot name a managed identity"),
        (f"identities:\n  {API}: {{}}\n", f"3:3 `{API}` cannot name a managed identity: it reads as a principal's id"),
        ("identities:\n  batch: {resource_group: a.}\n", "3:27 `resource_group` cannot be `a.`"),
        ("identities:\n  batch: {tag: {}}\n", "3:11 a managed identity has no attribute `tag`; did you mean `tags`?"),
        ("identities:\n  batch: {tags: {kvstack-stack: x}}\n", "3:33 "),
        (
            "defaults:\n  identity: {tags: {kvstack-stack: x}}\nidentities:\n  batch: {}\n",
            "3:36 ",
        ),
        (
            "identities:\n  one: {name: batch}\n  two: {name: BATCH}\n",
            "4:3 `identities/one` and `identities/two` are one and the same thing",
        ),
        (
            "identities: {batch: {}}\naccess:\n  - {principal: bath, role: Reader, scope: subscription}\n",
            "4:17 there is no principal `bath`; did you mean `batch`?",
        ),
        (
            "identities: {batch: {}}\naccess:\n"
            "  - {principal: batch, principal_type: user, role: Reader, scope: subscription}\n",
            "4:40 `batch` is a managed_identity in `identities`",
        ),
        *(
            (
                f"access:\n  - {{principal: {wrong}, role: Reader, scope: subscription}}\n",
                f"3:17 there is no principal `{wrong}`",
            )
            for wrong in ("identity/pay", "identity//batch", "identity/a./batch", "identity/pay/ab", "identity/a/b/c")
        ),
        (
            f"identities: {{batch: {{}}}}\nprincipals:\n  ops: {{type: group, id: {API}, members: [batch]}}\n",
            f"4:{len(API) + 38} `batch` is a managed identity of this stack: its id is known only once it is made",
        ),
        (
            "identities: {batch: {}}\nmanaged_hsms:\n  hsm-1: {administrators: [batch]}\n",
            "4:27 `batch` is a managed identity: its principal id is known only once it is made",
        ),
        ("vaults:\n  identities: {name: dev-1}\n", "3:3 no vault has the key `identities`"),
        ("identities:\n  batch: {lifecycle: {ignore_changes: [tag]}}\n", "3:40 a managed identity has no attribute"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_is_told_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    found = told(tmp_path, f"stack: s\n{text}")
    assert len(found) == 1, found
    assert found[0].startswith(expected), found


def test_what_names_one_is_not_wrong_because_the_identity_is(tmp_path: Path) -> None:
    text = (
        "stack: s\nidentities:\n  batch: {tagz: {}}\naccess:\n"
        "  - {principal: batch, role: Reader, scope: subscription}\n"
    )
    (only,) = problems(tmp_path, text)
    assert "tagz" in only.summary
