"""Access resolved: who, which role, where; and what is wrong with a line of it."""

from pathlib import Path

import pytest

from kvstack.resources.role_assignment import RoleAssignment
from kvstack.terms.address import Address
from tests.declare.stacks import ALICE, API, problems, read, told

PEOPLE = f"""\
stack: s
principals:
  api: {{type: service_principal, id: {API.upper()}}}
  alice: {{type: user, id: {ALICE}}}
"""
VAULT = "vaults:\n  dev:\n    name: dev-1\n    keys: {sign: {type: EC, name: Sign-1}}\n    access:\n"  # lines 5 to 9


@pytest.mark.parametrize(
    ("line", "address", "scope", "vault"),
    [
        ("{principal: api, role: Key Vault Reader}", "dev/access/api/key-vault-reader", "vault/dev-1", "dev-1"),
        ("{principal: api, role: key vault reader}", "dev/access/api/key-vault-reader", "vault/dev-1", "dev-1"),
        (
            "{principal: alice, role: Key Vault Crypto User, scope: keys/sign}",
            "dev/access/alice/key-vault-crypto-user/keys/sign",
            "vault/dev-1/keys/Sign-1",
            "dev-1",
        ),
        (
            f"{{principal: {ALICE.upper()}, principal_type: user, role: Key Vault Reader}}",
            f"dev/access/{ALICE.upper()}/key-vault-reader",
            "vault/dev-1",
            "dev-1",
        ),
    ],
)
def test_access_in_a_vault_is_resolved_to_ids_and_real_names(
    tmp_path: Path, line: str, address: str, scope: str, vault: str
) -> None:
    found = read(tmp_path, PEOPLE + VAULT + f"      - {line}\n")
    node = found.desired.nodes[Address(address)]
    assert isinstance(node.resource, RoleAssignment)
    assert (node.resource.scope, node.vault, node.vault_address) == (scope, vault, "dev")
    assert node.resource.principal in (API, ALICE)
    assert node.resource.role.startswith("Key Vault ")
    assert node.resource.principal_type in ("user", "service_principal")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("scope", "resolved", "vault", "vault_address"),
    [
        ("subscription", "subscription", "", None),
        ("resource_group/pay", "resource_group/pay", "", None),
        ("vault/dev", "vault/dev-1", "dev-1", "dev"),
        ("vault/DEV-1", "vault/dev-1", "dev-1", "dev"),
        ("vault/shared-prod", "vault/shared-prod", "shared-prod", None),
        ("vault/shared-prod/secrets/db", "vault/shared-prod/secrets/db", "shared-prod", None),
        ("vault/dev/keys/sign", "vault/dev-1/keys/Sign-1", "dev-1", "dev"),
    ],
)
def test_wider_access_reaches_subscriptions_groups_and_vaults(
    tmp_path: Path, scope: str, resolved: str, vault: str, vault_address: str | None
) -> None:
    line = f"access: [{{principal: api, role: Key Vault Reader, scope: {scope}}}]\n"
    text = PEOPLE + line + VAULT.replace("    access:\n", "")
    node = read(tmp_path, text).desired.nodes[Address(f"access/api/key-vault-reader/{scope}")]
    assert isinstance(node.resource, RoleAssignment)
    assert (node.resource.scope, node.vault, node.vault_address) == (resolved, vault, vault_address)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{principal: apy, role: Key Vault Reader}", "10:21 there is no principal `apy`; did you mean `api`?"),
        ("{principal: api, role: Key Vault Raeder}", "10:32 there is no role `Key Vault Raeder`; did you mean"),
        ("{principal: api, role: Reader, scope: key/sign}", "10:47 `key/sign` is no scope in a vault"),
        ("{principal: api, role: Reader, scope: subscription}", "10:47 `subscription` is no scope in a vault"),
        ("{principal: api, role: Reader, scope: keys/a_b}", "10:47 `a_b` cannot name a key, secret or certificate"),
        ("{principal: api, role: Reader, scope: keys}", "10:47 `keys` is no scope in a vault"),
        (f"{{principal: {ALICE[:-1]}0, role: Reader}}", "10:21 an object id needs its `principal_type`"),
        ("{principal: api, principal_type: user, role: Reader}", "10:42 `api` is a service_principal in `principals`"),
        ("{principal: api, role: Reader, name: x}", "10:46 a role assignment has no name of its own"),
        ("{principal: api, role: Reader, from: 2027-01-02T00:00:00Z, until: 2027-01-01T00:00:00Z}", "10:75 it ends"),
        (
            '{principal: api, role: Reader, condition: "Exists x"}',
            "10:51 character 8 of the condition: an attribute such as",
        ),
        ("{principal: api, role: Reader, until: tomorrow}", "10:47 `until` is a moment such as"),
        ("{principal: api}", "10:9 a role assignment needs `role`"),
        ("api", "10:9 `0` is a mapping, not text"),
    ],
)  # fmt: skip
def test_a_wrong_line_of_access_is_told_where_it_stands(tmp_path: Path, line: str, expected: str) -> None:
    found = told(tmp_path, PEOPLE + VAULT + f"      - {line}\n")
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("", "an assignment outside a vault needs a `scope`"),
        (", scope: everything", "`everything` is no scope"),
        (", scope: keys/sign", "`keys/sign` is no scope"),
        (", scope: vault/a", "`a` cannot name a vault"),
        (", scope: vault/dev/key/a", "`vault/dev/key/a` is no scope"),
        (", scope: resource_group/a.", "`a.` cannot name a resource group"),
    ],
)
def test_a_wrong_wider_scope_is_told(tmp_path: Path, scope: str, expected: str) -> None:
    found = told(tmp_path, PEOPLE + f"access:\n  - {{principal: api, role: Reader{scope}}}\n")
    assert len(found) == 1, found
    assert found[0].startswith("6:")
    assert expected in found[0]


@pytest.mark.parametrize(
    "other",
    [
        "{principal: api, role: Key Vault Reader}",
        "{principal: api, role: key vault READER, scope: ''}",
        f"{{principal: {API}, principal_type: service_principal, role: Key Vault Reader}}",
        "{principal: api, role: 21090545-7ca7-4776-b22c-e363652d74d2}",
    ],
)
def test_the_same_access_twice_is_told(tmp_path: Path, other: str) -> None:
    found = told(tmp_path, PEOPLE + VAULT + f"      - {{principal: api, role: Key Vault Reader}}\n      - {other}\n")
    assert len(found) == 1, found
    assert found[0].startswith("11:9 ")
    assert "twice" in found[0] or "one and the same" in found[0]


def test_access_that_a_wider_line_gives_already_is_a_warning(tmp_path: Path) -> None:
    lines = "      - {principal: api, role: Reader}\n      - {principal: api, role: Reader, scope: keys/sign}\n"
    found = read(tmp_path, PEOPLE + VAULT + lines)
    (warning,) = found.warnings
    assert (warning.severity, str(warning.place)) == ("warning", "kvstack.yaml:11:9")
    assert warning.summary == "`Reader` is given to the same principal at `vault/dev-1` already"


def test_access_to_what_the_stack_does_not_declare_is_a_warning(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, PEOPLE + VAULT + "      - {principal: api, role: Reader, scope: keys/sgin}\n").warnings
    assert warning.severity == "warning"
    assert warning.summary == "the stack declares no `keys/sgin` in `dev`; did you mean `sign`?"


def test_a_warning_beside_an_error_is_told_as_a_warning(tmp_path: Path) -> None:
    lines = "      - {principal: api, role: Reader, scope: keys/sgin}\n      - {principal: apy, role: Reader}\n"
    assert [found.severity for found in problems(tmp_path, PEOPLE + VAULT + lines)] == ["warning", "error"]


def test_groups_have_their_members_ids(tmp_path: Path) -> None:
    text = PEOPLE + "  ops: {type: group, id: 0c3c2c6e-1b1f-4c3e-8f58-7a9f2f0b6c22, members: [alice, api]}\n"
    assert read(tmp_path, text).desired.principals["ops"].members == {ALICE, API}
