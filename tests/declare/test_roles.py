"""Roles of the stack's own, roles to be taken up, and denials: resolved; and what is wrong with a line of them."""

from pathlib import Path

import pytest

from kvstack.resources.deny_assignment import DenyAssignment
from kvstack.resources.eligible import Eligible
from kvstack.resources.role_assignment import RoleAssignment
from kvstack.resources.role_definition import RoleDefinition
from kvstack.terms.address import Address
from tests.declare.stacks import ALICE, API, problems, read, told

LIST = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
HEAD = f"""\
stack: s
principals:
  api: {{type: service_principal, id: {API}}}
  alice: {{type: user, id: {ALICE}}}
vaults:
  dev: {{name: dev-1, resource_group: pay, access: []}}
"""


def roles(*lines: str) -> str:
    return HEAD + "roles:\n" + "".join(f"  {line}\n" for line in lines)  # line 8 is the first


def test_a_role_is_resolved_to_real_names(tmp_path: Path) -> None:
    line = (
        f"lister: {{name: Secret Lister, assignable_scopes: [vault/dev, resource_group/Pay], data_actions: [{LIST}]}}"
    )
    node = read(tmp_path, roles(line)).desired.nodes[Address("roles/lister")]
    assert isinstance(node.resource, RoleDefinition)
    assert (node.identity, node.vault, node.vault_address) == ("roles/secret lister", "", None)
    assert node.resource.assignable_scopes == {"vault/dev-1", "resource_group/pay"}
    assert node.resource.made_after() == ("vaults/dev-1",)


@pytest.mark.parametrize("written", ["lister", "LISTER", "Secret Lister", "secret lister"])
def test_a_role_is_given_by_its_key_or_its_name_and_needs_to_be_there(tmp_path: Path, written: str) -> None:
    role = f"lister: {{name: Secret Lister, assignable_scopes: [subscription], data_actions: [{LIST}]}}"
    access = f"access: [{{principal: api, role: {written}, scope: vault/dev/secrets/x}}]\n"
    found = read(tmp_path, roles(role) + access).desired.nodes
    (given,) = (node for address, node in found.items() if address.startswith("access/"))
    assert isinstance(given.resource, RoleAssignment)
    assert given.resource.role == "Secret Lister"
    assert given.resource.needs(given.vault) == ("vaults/dev-1", "roles/secret lister")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"Key Vault Reader: {{assignable_scopes: [subscription], data_actions: [{LIST}]}}",
            "8:3 `Key Vault Reader` is",
        ),
        (
            f"r: {{name: owner, assignable_scopes: [subscription], data_actions: [{LIST}]}}",
            "8:13 `owner` is a built-in",
        ),
        (
            f"Owner: {{name: r, assignable_scopes: [subscription], data_actions: [{LIST}]}}",
            "8:3 `Owner` is a built-in role",
        ),
        ("r: {assignable_scopes: [subscription]}", "8:3 a role that allows nothing"),
        (f"r: {{data_actions: [{LIST}]}}", "8:3 a role definition needs `assignable_scopes`"),
        (f"r: {{assignable_scopes: [], data_actions: [{LIST}]}}", "8:26 `assignable_scopes` cannot be empty"),
        (f"r: {{assignable_scopes: [vault], data_actions: [{LIST}]}}", "8:26 `vault` is no scope: write"),
        (
            f"r: {{assignable_scopes: [vault/dev/secrets/x], data_actions: [{LIST}]}}",
            "8:26 `vault/dev/secrets/x` is one thing in a vault",
        ),
        (f"r: {{assignable_scopes: [vault/d_], data_actions: [{LIST}]}}", "8:26 `d_` cannot name a vault"),
        ("r: {assignable_scopes: [subscription], data_actions: [a/b]}", "8:56 no action on data is like `a/b`"),
        ("r: {assignable_scopes: [subscription], actions: ['a b']}", "8:51 `a b` is no action"),
        ("r: {assignable_scopes: [subscription], data_action: [x]}", "8:42 a role definition has no attribute"),
        (
            f"{ALICE}: {{assignable_scopes: [subscription], data_actions: [{LIST}]}}",
            "8:3 a role is not called by an id",
        ),
    ],
)
def test_what_is_wrong_with_a_role_is_told_where_it_stands(tmp_path: Path, line: str, expected: str) -> None:
    found = told(tmp_path, roles(line))
    assert any(one.startswith(expected) for one in found), found


def test_two_roles_of_one_name_are_told(tmp_path: Path) -> None:
    body = f"assignable_scopes: [subscription], data_actions: [{LIST}]"
    found = told(tmp_path, roles(f"a: {{{body}}}", f"b: {{name: A, {body}}}"))
    assert any("`roles/a` and `roles/b` are one and the same thing" in one for one in found), found


def test_a_vault_cannot_take_the_place_of_what_stands_beside_vaults(tmp_path: Path) -> None:
    for key in ("roles", "access", "deny"):
        (found,) = told(tmp_path, f"stack: s\nvaults:\n  {key}: {{}}\n")
        assert found.startswith(f"3:3 no vault has the key `{key}`")


@pytest.mark.parametrize(
    ("scopes", "given", "outside"),
    [
        ("subscription", "subscription", False),
        ("subscription", "vault/dev/secrets/x", False),
        ("resource_group/pay", "subscription", True),
        ("resource_group/PAY", "resource_group/Pay", False),
        ("resource_group/pay", "resource_group/payments", True),
        ("resource_group/pay", "vault/dev", False),
        ("resource_group/other", "vault/dev/keys/x", True),
        # Which resource group a vault is in that says nothing of it, only the backend knows.
        ("resource_group/other", "vault/somebody-elses", False),
        ("vault/dev", "vault/dev-1/secrets/x", False),
        ("vault/dev-1", "vault/dev", False),
        ("vault/dev", "vault/dev-2", True),
        ("vault/dev", "resource_group/pay", True),
    ],
)
def test_a_role_is_given_only_where_it_may_be(tmp_path: Path, scopes: str, given: str, outside: bool) -> None:
    text = roles(f"r: {{assignable_scopes: [{scopes}], data_actions: [{LIST}]}}")
    text += f"access:\n  - {{principal: api, role: r, scope: {given}}}\n"
    if not outside:
        read(tmp_path, text)
        return
    (problem,) = [one for one in problems(tmp_path, text) if one.severity == "error"]
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (10, 38)
    assert problem.summary.startswith(
        f"the role `r` may not be given at `{given.replace('vault/dev/', 'vault/dev-1/')}"
    )
    assert "assignable_scopes" in problem.detail


def test_an_assignment_in_a_vault_outside_of_a_roles_scopes_is_told_at_its_line(tmp_path: Path) -> None:
    text = roles(f"r: {{assignable_scopes: [resource_group/x], data_actions: [{LIST}]}}")
    text = text.replace("access: []", "access: [{principal: api, role: r}]")
    (found,) = told(tmp_path, text)
    assert found.startswith("6:52 the role `r` may not be given at `vault/dev-1`")


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("secret-listr", "; did you mean `secret-lister`?"),
        ("Key Vault Reeder", "; did you mean `Key Vault Reader`"),
        ("Lister of Secretz", "; did you mean `Lister of Secrets`?"),
    ],
)
def test_a_wrong_role_is_told_with_what_may_be_meant(tmp_path: Path, written: str, suggestion: str) -> None:
    text = roles(
        f"secret-lister: {{name: Lister of Secrets, assignable_scopes: [subscription], data_actions: [{LIST}]}}"
    )
    (found,) = told(tmp_path, text + f"access: [{{principal: api, role: {written}, scope: subscription}}]\n")
    assert f"there is no role `{written}`{suggestion}" in found


def test_a_role_that_is_wrong_itself_is_told_once(tmp_path: Path) -> None:
    text = roles("r: {assignable_scope: [subscription]}")
    found = told(tmp_path, text + "access: [{principal: api, role: r, scope: subscription}]\n")
    assert all(one.startswith("8:") for one in found), found


# Roles to be taken up


def eligible(terms: str, more: str = "") -> str:
    return HEAD.replace("access: []", f"access: [{{principal: api, role: Reader, eligible: {{{terms}}}{more}}}]")


def test_terms_are_resolved_to_ids_and_one_spelling(tmp_path: Path) -> None:
    text = eligible("max_duration: PT240M, approvers: [alice], mfa: required, justification: optional")
    node = read(tmp_path, text).desired.nodes[Address("dev/access/api/reader")]
    assert isinstance(node.resource, RoleAssignment)
    assert node.identity == f"eligible/vault/dev-1/reader/{API}"
    assert node.resource.eligible == Eligible(
        max_duration="PT4H", approvers=frozenset({ALICE}), mfa="required", justification="optional"
    )
    bare = read(tmp_path, eligible("")).desired.nodes[Address("dev/access/api/reader")].resource
    assert isinstance(bare, RoleAssignment)
    assert bare.eligible == Eligible(max_duration="PT8H")


@pytest.mark.parametrize(
    ("terms", "more", "expected"),
    [
        ("max_duration: PT4M", "", "an activation lasts 5 minutes to 24 hours, not PT4M"),
        ("max_duration: P2D", "", "an activation lasts 5 minutes to 24 hours, not P2D"),
        ("max_duration: P1M", "", "an activation lasts hours, not months"),
        ("max_duration: 4h", "", "`max_duration` cannot be `4h`"),
        ("approvers: [alic]", "", "there is no principal `alic`; did you mean `alice`?"),
        ("approvers: [api]", "", "nobody approves his own request"),
        ("from: 2027-01-02T00:00:00Z, until: 2027-01-01T00:00:00Z", "", "it ends (2027-01-01) before it begins"),
        ("mfa: true", "", "`mfa` is `required` or `optional`"),
        ("", ", until: 2027-01-01T00:00:00Z", "`until` of a role that is only taken up stands in `eligible`"),
        ("", ", from: 2027-01-01T00:00:00Z", "`from` of a role that is only taken up stands in `eligible`"),
        ("aprovers: [alice]", "", "`eligible` has no attribute `aprovers`; did you mean `approvers`?"),
    ],
)
def test_terms_that_make_no_sense_are_told(tmp_path: Path, terms: str, more: str, expected: str) -> None:
    found = told(tmp_path, eligible(terms, more))
    assert [one for one in found if one.startswith("6:") and expected in one], found


def test_what_may_be_taken_up_is_not_told_to_be_given_already(tmp_path: Path) -> None:
    text = eligible("") + "access: [{principal: api, role: Reader, scope: subscription, eligible: {}}]\n"
    assert read(tmp_path, text).warnings == ()
    given = "access: [{principal: api, role: Reader, scope: subscription}]\n"
    assert [one.summary for one in read(tmp_path, eligible("") + given).warnings] == [
        "`Reader` is given to the same principal at `subscription` already"
    ]


# Denials


def test_denials_stand_in_a_vault_or_beside_it(tmp_path: Path) -> None:
    inner = (
        f"deny: [{{name: no listing, scope: secrets/x, principals: [api], except: [alice], data_actions: [{LIST}]}}]"
    )
    text = (
        HEAD.replace("access: []", inner)
        + f"deny: [{{name: all, scope: resource_group/pay, data_actions: [{LIST}]}}]\n"
    )
    found = read(tmp_path, text).desired.nodes
    one, other = found[Address("dev/deny/no listing")], found[Address("deny/all")]
    assert isinstance(one.resource, DenyAssignment)
    assert isinstance(other.resource, DenyAssignment)
    assert (one.identity, one.vault, one.vault_address) == ("denials/vault/dev-1/secrets/x/no listing", "dev-1", "dev")
    assert (one.resource.principals, one.resource.excluded) == (frozenset({API}), frozenset({ALICE}))
    assert one.resource.needs("dev-1") == ("vaults/dev-1",)
    assert (other.identity, other.resource.principals) == ("denials/resource_group/pay/all", None)
    assert (other.vault, other.vault_address, other.resource.below) == ("", None, True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{{data_actions: [{LIST}]}}", "6:50 a deny assignment needs a `name`"),
        ("{name: x}", "6:50 a deny assignment that forbids nothing"),
        (f"{{name: x, principals: [], data_actions: [{LIST}]}}", "6:72 nobody is denied"),
        (f"{{name: x, principals: [aip], data_actions: [{LIST}]}}", "6:72 there is no principal `aip`; did you mean"),
        (f"{{name: x, except: [bob], data_actions: [{LIST}]}}", "6:68 there is no principal `bob`"),
        (f"{{name: x, scope: subscription, data_actions: [{LIST}]}}", "6:67 `subscription` is no scope in a vault"),
        ("{name: x, data_actions: [a/b]}", "6:74 no action on data is like"),
        (f"{{name: x, below: no, data_actions: [{LIST}]}}", "6:67 `below` is true or false"),
    ],
)
def test_what_is_wrong_with_a_denial_is_told_where_it_stands(tmp_path: Path, line: str, expected: str) -> None:
    found = told(tmp_path, HEAD.replace("access: []", f"deny: [{line}]"))
    assert any(one.startswith(expected) for one in found), found


def test_a_denial_beside_the_vaults_needs_a_scope(tmp_path: Path) -> None:
    found = told(tmp_path, HEAD + f"deny: [{{name: x, data_actions: [{LIST}]}}]\n")
    assert any(one.startswith("7:8 ") and "needs a `scope`" in one for one in found), found


# Files and defaults


def test_all_of_it_may_stand_in_an_included_file_and_share_defaults(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        f"roles: {{r: {{data_actions: [{LIST}]}}}}\n"
        "access: [{principal: api, role: r, scope: subscription}]\n"
        f"deny: [{{name: d, scope: subscription, data_actions: [{LIST}]}}]\n"
    )
    defaults = "{role_definition: {assignable_scopes: [subscription]}, deny_assignment: {except: [alice]}"
    text = f"{HEAD}include: [more.yaml]\ndefaults: {defaults}, role_assignment: {{description: why}}}}\n"
    found = read(tmp_path, text).desired.nodes
    role, given, denial = (found[Address(one)].resource for one in ("roles/r", "access/api/r/subscription", "deny/d"))
    assert isinstance(role, RoleDefinition)
    assert isinstance(given, RoleAssignment)
    assert isinstance(denial, DenyAssignment)
    assert role.assignable_scopes == {"subscription"}
    assert given.description == "why"
    assert denial.excluded == {ALICE}


def test_what_is_wrong_with_a_default_is_told_at_the_default(tmp_path: Path) -> None:
    text = roles(f"r: {{data_actions: [{LIST}]}}") + "defaults: {role_definition: {assignable_scopes: [x]}}\n"
    (found,) = told(tmp_path, text)
    assert found.startswith("9:49 `x` is no scope")
