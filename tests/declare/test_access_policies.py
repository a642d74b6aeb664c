"""Access policies declared: who and what is meant, and what is wrong with a line of it."""

from pathlib import Path

import pytest

from kvstack.resources.access_policy import AccessPolicy
from kvstack.terms.access_policy import PERMISSIONS
from kvstack.terms.address import Address
from kvstack.terms.diagnostic import Diagnostic
from tests.declare.stacks import ALICE, API, problems, read

PEOPLE = f"""\
stack: s
principals:
  api: {{type: service_principal, id: {API.upper()}}}
  alice: {{type: user, id: {ALICE}}}
"""
VAULT = "vaults:\n  old:\n    name: old-1\n    access_model: access_policies\n    policies:\n"  # lines 5 to 9


def words(problem: Diagnostic) -> str:
    """Return where and what: `:LINE:COLUMN: SUMMARY DETAIL`."""
    place = problem.place
    assert place is not None
    return f":{place.line}:{place.column}: {problem.summary} {problem.detail}"


@pytest.mark.parametrize(
    ("line", "address", "identity"),
    [
        ("{principal: api, secrets: [get]}", "old/policies/api", f"vaults/old-1/policies/{API}"),
        (
            f"{{principal: {ALICE.upper()}, keys: [sign]}}",
            f"old/policies/{ALICE.upper()}",
            f"vaults/old-1/policies/{ALICE}",
        ),
    ],
)
def test_a_policy_is_resolved_to_its_principals_id(tmp_path: Path, line: str, address: str, identity: str) -> None:
    found = read(tmp_path, PEOPLE + VAULT + f"      - {line}\n")
    node = found.desired.nodes[Address(address)]
    assert (node.identity, node.vault, node.vault_address) == (identity, "old-1", "old")
    assert found.warnings == ()


def test_all_is_every_one(tmp_path: Path) -> None:
    line = "      - {principal: api, keys: [get, all], secrets: [all], certificates: [all]}\n"
    policy = read(tmp_path, PEOPLE + VAULT + line).desired.nodes[Address("old/policies/api")].resource
    assert isinstance(policy, AccessPolicy)
    assert {kind: getattr(policy, kind) for kind in PERMISSIONS} == {
        kind: frozenset(names) for kind, names in PERMISSIONS.items()
    }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{principal: api}"], [":10:9: a policy that permits nothing"]),
        (["{principal: apo, secrets: [get]}"], [":10:21: there is no principal `apo`; did you mean `api`?"]),
        (["{principal: api, secrets: [gett]}"], ["not `gett`; did you mean `get`?"]),
        (["{principal: api, secrets: [sign]}"], [":10:36: "]),
        (["{principal: api, keys: [unwrap]}"], ["not `unwrap`; did you mean `unwrapKey`?"]),
        (["{principal: api, secrets: [get], name: x}"], [":10:48: an access policy has no name of its own"]),
        (
            ["{principal: api, secrets: [get]}", f"{{principal: {API}, keys: [get]}}"],
            [":11:9: `old/policies/api` and"],
        ),
        (["{principal: api, secrets: [get]}"] * 2, [":11:9: `old/policies/api` is declared twice"]),
        (["{secrets: [get]}"], [":10:9: "]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, lines: list[str], said: list[str]) -> None:
    found = problems(tmp_path, PEOPLE + VAULT + "".join(f"      - {line}\n" for line in lines))
    assert len(found) == len(said), found
    for one, start in zip(found, said, strict=True):
        assert start in words(one)


@pytest.mark.parametrize("model", ["", "    access_model: rbac\n"])
def test_policies_in_a_vault_that_goes_by_roles_are_an_error_that_says_how_to_mend_it(
    tmp_path: Path, model: str
) -> None:
    policies = "    policies: [{principal: api, secrets: [get]}, {principal: alice, secrets: [get]}]\n"
    (told,) = problems(tmp_path, PEOPLE + "vaults:\n  dev:\n" + model + policies)
    assert f":{7 + bool(model)}:5: `dev` goes by roles: no policy counts in it" in words(told)
    assert "`access_model: access_policies`" in words(told)


def test_a_wrong_model_is_the_one_problem_told(tmp_path: Path) -> None:
    (told,) = problems(
        tmp_path, PEOPLE + VAULT.replace(": access_pol", ": acess_pol") + "      - {principal: api, keys: [get]}\n"
    )
    assert ":8:" in words(told)


def test_a_vault_has_1024_policies_at_most(tmp_path: Path) -> None:
    lines = "".join(
        f"      - {{principal: 0c3c2c6e-1b1f-4c3e-8f58-{number:012}, keys: [get]}}\n" for number in range(1025)
    )
    (told,) = problems(tmp_path, PEOPLE + VAULT + lines)
    assert ":9:5: a vault has at most 1024 access policies, not 1025" in words(told)


@pytest.mark.parametrize(
    ("role", "scope", "warned"),
    [
        ("Key Vault Secrets User", "", True),
        ("Key Vault Crypto User", "keys/sign", True),
        ("Key Vault Administrator", "", True),
        ("Reader", "", False),
        ("Key Vault Contributor", "", False),
    ],
)
def test_a_role_for_data_in_such_a_vault_is_a_warning_and_one_for_the_vault_itself_is_not(
    tmp_path: Path, role: str, scope: str, warned: bool
) -> None:
    keys = "    keys: {sign: {type: EC}}\n"
    line = f"    access: [{{principal: api, role: {role}{f', scope: {scope}' if scope else ''}}}]\n"
    inside = read(tmp_path, PEOPLE + VAULT.replace("    policies:\n", "") + keys + line)
    at = "vault/old-1" + (f"/{scope}" if scope else "")
    outside = read(
        tmp_path,
        PEOPLE
        + VAULT.replace("    policies:\n", "")
        + keys
        + f"access: [{{principal: api, role: {role}, scope: {at}}}]\n",
    )
    for found in (inside, outside):
        assert [one.severity for one in found.warnings] == ["warning"] * warned
        for one in found.warnings:
            assert one.summary == f"`{role}` gives no right to what is in `old-1`: it goes by access policies"
            assert one.place is not None


def test_a_managed_identity_has_a_policy_by_its_name_and_is_needed_for_it(tmp_path: Path) -> None:
    identities = "identities: {batch: {resource_group: pay}}\n"
    found = read(tmp_path, PEOPLE + identities + VAULT + "      - {principal: batch, secrets: [get]}\n")
    node = found.desired.nodes[Address("old/policies/batch")]
    assert node.identity == "vaults/old-1/policies/identity/pay/batch"
    assert node.resource.needs(node.vault) == (found.desired.nodes[Address("identities/batch")].identity,)


def test_what_policies_share_is_said_once(tmp_path: Path) -> None:
    shared = "defaults: {access_policy: {secrets: [list]}}\n"
    found = read(tmp_path, PEOPLE + shared + VAULT + "      - {principal: api, keys: [get]}\n")
    policy = found.desired.nodes[Address("old/policies/api")].resource
    assert isinstance(policy, AccessPolicy)
    assert (sorted(policy.keys), sorted(policy.secrets)) == (["get"], ["list"])
