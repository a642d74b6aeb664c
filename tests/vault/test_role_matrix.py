"""Every built-in role x everything that can be done x every level of scope, against answers written down by hand."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kvstack.vault
from kvstack.terms.local_role import local_data_actions, local_roles
from kvstack.terms.role import built_in_roles_by_id, data_actions, role
from kvstack.terms.scope import Scope
from kvstack.vault.access import Assignments, Request, decision
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.local_access import LocalAccess, LocalAssignment

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ALICE = "00000000-0000-4000-8000-00000000000a"
HERE = Path(__file__).parent

# Written down apart from roles.json and local_roles.json, so that a slip in either is found.
DATA = json.loads((HERE / "role_data_actions.json").read_text())
LOCAL = json.loads((HERE / "local_role_data_actions.json").read_text())

ITEMS = {"key": "keys/signing", "secret": "secrets/db", "certificate": "certificates/web"}
PLACES = {
    "subscription": Scope("SUB"),
    "group": Scope("SUB", "payments"),
    "vault": Scope("SUB", "payments", "pay-dev"),
    **{kind: Scope("SUB", "payments", "pay-dev", item) for kind, item in ITEMS.items()},
    "another key": Scope("SUB", "payments", "pay-dev", "keys/signing2"),
    "another vault": Scope("SUB", "payments", "pay-dev2"),
    "its key": Scope("SUB", "payments", "pay-dev2", "keys/signing"),
    "another group": Scope("SUB", "payments2"),
    "its vault": Scope("SUB", "payments2", "pay-dev"),
    "another subscription": Scope("SUB2"),
}
_IN_VAULT = {"vault", "key", "secret", "certificate", "another key"}
_IN_GROUP = {"group", "another vault", "its key", *_IN_VAULT}
# Where a role holds that was given at a place.
HOLDS = {
    "subscription": {"subscription", "another group", "its vault", *_IN_GROUP},
    "group": _IN_GROUP,
    "vault": _IN_VAULT,
    "key": {"key"},
    "secret": {"secret"},
    "certificate": {"certificate"},
    "another vault": {"another vault", "its key"},
    "another key": {"another key"},
    "another subscription": {"another subscription"},
}

# The encryption user is for services that keep their keys in a vault, and follow their rotation.
_SUBSCRIBES = {"Owner", "Contributor", "Key Vault Crypto Service Encryption User"}
_READS_ACCESS = {
    "Owner",
    "Contributor",
    "Reader",
    "User Access Administrator",
    "Role Based Access Control Administrator",
    "Key Vault Administrator",
    "Key Vault Reader",
    "Key Vault Secrets Officer",
    "Key Vault Crypto Officer",
    "Key Vault Certificates Officer",
    "Key Vault Contributor",
    "Key Vault Data Access Administrator",
    "Key Vault Purge Operator",
}
_READS_ALL = {
    "Owner",
    "Contributor",
    "Reader",
    "User Access Administrator",
    "Role Based Access Control Administrator",
}
_GIVES = {
    "Owner",
    "User Access Administrator",
    "Role Based Access Control Administrator",
    "Key Vault Data Access Administrator",
}
_MANAGES_ACCESS = {"Owner", "User Access Administrator"}
_WRITES_VAULTS = {"Owner", "Contributor", "Key Vault Contributor"}
_WRITES_HSMS = {"Owner", "Contributor", "Managed HSM contributor"}
_READS_DELETED = _READS_ACCESS - {"Key Vault Data Access Administrator"}
_SEES_VAULTS = _READS_ALL | {"Key Vault Contributor"}

# Who may do what VaultService asks the evaluator about resource manager.
MANAGING = {
    "Microsoft.Authorization/roleAssignments/read": _READS_ACCESS,
    "Microsoft.Authorization/roleAssignments/write": _GIVES,
    "Microsoft.Authorization/roleAssignments/delete": _GIVES,
    "Microsoft.Authorization/roleDefinitions/read": _READS_ACCESS,
    "Microsoft.Authorization/roleDefinitions/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/roleDefinitions/delete": _MANAGES_ACCESS,
    "Microsoft.Authorization/denyAssignments/read": _READS_ACCESS,
    "Microsoft.Authorization/denyAssignments/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/denyAssignments/delete": _MANAGES_ACCESS,
    "Microsoft.Authorization/roleEligibilitySchedules/read": _READS_ACCESS,
    "Microsoft.Authorization/attestationAuthorities/read": _READS_ACCESS,
    "Microsoft.Authorization/attestationAuthorities/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/attestationAuthorities/delete": _MANAGES_ACCESS,
    "Microsoft.Authorization/principals/read": _READS_ACCESS,
    "Microsoft.Authorization/principals/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/principals/credentials/read": _READS_ACCESS,
    "Microsoft.Authorization/principals/credentials/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/locks/write": _MANAGES_ACCESS,
    "Microsoft.Authorization/clock/write": _MANAGES_ACCESS,
    # `vaults/*/read` is of what is in a vault, not of the vault: Azure's patterns are texts.
    "Microsoft.KeyVault/vaults/read": _SEES_VAULTS,
    "Microsoft.KeyVault/vaults/write": _WRITES_VAULTS,
    "Microsoft.KeyVault/vaults/delete": _WRITES_VAULTS,
    # Who may change the vault may give himself a policy: known of Azure, warned of by lint (KV009).
    "Microsoft.KeyVault/vaults/accessPolicies/write": _WRITES_VAULTS,
    "Microsoft.KeyVault/deletedVaults/read": _READS_DELETED,
    "Microsoft.KeyVault/checkNameAvailability/read": _READS_DELETED - {"Key Vault Purge Operator"},
    "Microsoft.Resources/subscriptions/read": _READS_ALL | {"Key Vault Data Access Administrator"},
    "Microsoft.Resources/subscriptions/resourceGroups/read": _READS_ACCESS,
    "Microsoft.KeyVault/locations/deletedVaults/purge/action": {"Owner", "Contributor", "Key Vault Purge Operator"},
    "Microsoft.ManagedIdentity/userAssignedIdentities/read": _READS_ALL,
    "Microsoft.ManagedIdentity/userAssignedIdentities/write": {"Owner", "Contributor"},
    "Microsoft.ManagedIdentity/userAssignedIdentities/delete": {"Owner", "Contributor"},
    "Microsoft.EventGrid/eventSubscriptions/read": _READS_ALL | {"Key Vault Crypto Service Encryption User"},
    "Microsoft.EventGrid/eventSubscriptions/write": _SUBSCRIBES,
    "Microsoft.EventGrid/eventSubscriptions/delete": _SUBSCRIBES,
    "Microsoft.KeyVault/managedHSMs/read": _READS_ALL | {"Managed HSM contributor"},
    "Microsoft.KeyVault/managedHSMs/write": _WRITES_HSMS,
    "Microsoft.KeyVault/managedHSMs/delete": _WRITES_HSMS,
    "Microsoft.KeyVault/deletedManagedHsms/read": _SEES_VAULTS | {"Managed HSM contributor"},
    "Microsoft.KeyVault/locations/deletedManagedHsms/purge/action": _WRITES_HSMS | {"Key Vault Contributor"},
}


def given(role_name: str, place: str) -> Assignments:
    one = RoleAssignment(
        id="1", scope=PLACES[place], role_id=role(role_name).id, principal_id=ALICE, principal_type="user", created=NOW
    )
    return Assignments([one], built_in_roles_by_id())


def allowed(index: Assignments, action: str, place: str, *, data: bool) -> bool:
    return decision(Request((ALICE,), action, data, PLACES[place]), index, NOW).allowed


def test_the_table_names_every_role_and_every_data_action() -> None:
    assert set(DATA["roles"]) == {definition.name for definition in built_in_roles_by_id().values()}
    assert [f"Microsoft.KeyVault/vaults/{action}" for action in DATA["data_actions"]] == list(data_actions())


@pytest.mark.parametrize("role_name", sorted(DATA["roles"]))
@pytest.mark.parametrize("at", HOLDS)
def test_a_role_allows_its_actions_and_no_others_where_it_holds_and_nowhere_else(role_name: str, at: str) -> None:
    index = given(role_name, at)
    for place in PLACES:
        inside = place in HOLDS[at]
        for action in DATA["data_actions"]:
            expected = inside and action in DATA["roles"][role_name]
            assert allowed(index, f"Microsoft.KeyVault/vaults/{action}", place, data=True) == expected, (action, place)
        for action, holders in MANAGING.items():
            expected = inside and role_name in holders
            assert allowed(index, action, place, data=False) == expected, (action, place)


def test_every_action_the_vault_asks_about_is_in_a_table() -> None:
    """Whoever asks the evaluator for something new says here which roles may do it."""
    asked = set(_actions_in_source())
    local = {action for action in asked if action.startswith("Microsoft.KeyVault/managedHsm/")}
    assert asked - local <= set(MANAGING) | set(data_actions())
    assert set(MANAGING) <= asked | {f"Microsoft.Authorization/denyAssignments/{end}" for end in _ENDS}
    assert local <= set(local_data_actions())


_ENDS = ("read", "write", "delete")
_ACTION = re.compile(r"Microsoft\.[A-Za-z]+(/[A-Za-z]+)*/(read|write|delete|action)")


def _actions_in_source() -> Iterator[str]:
    """Yield every text in the vault's modules that is an action."""
    for folder in kvstack.vault.__path__:
        for module in Path(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ACTION.fullmatch(node.value):
                    yield node.value


# Inside a Managed HSM: the places of its local scopes, and where a role given at one holds. What is done with keys, and
# with no one key, is done at `/keys`; `Managed HSM EKM Administrator` is left out: its actions are not published.
LOCAL_PLACES = {"/": "", "/keys": "keys", "/keys/one": "keys/one", "/keys/ONE": "keys/ONE", "/keys/two": "keys/two"}
_ONE, _KEYS = {"/keys/one", "/keys/ONE"}, {"/keys", "/keys/one", "/keys/ONE", "/keys/two"}
LOCAL_HOLDS = {"/": {"/", *_KEYS}, "/keys": _KEYS, "/keys/one": _ONE, "/keys/ONE": _ONE, "/keys/two": {"/keys/two"}}


def test_the_local_table_names_every_local_role_and_action() -> None:
    published = {name for name in LOCAL["roles"] if name != "Managed HSM EKM Administrator"}
    assert published == {definition.name for definition in local_roles().values()}
    assert {f"Microsoft.KeyVault/managedHsm/{action}" for action in LOCAL["data_actions"]} == set(local_data_actions())


@pytest.mark.parametrize("role_name", sorted(LOCAL["roles"]))
@pytest.mark.parametrize("at", LOCAL_HOLDS)
def test_a_local_role_allows_its_actions_and_no_others_where_it_holds(role_name: str, at: str) -> None:
    (role_id,) = (one.id for one in local_roles().values() if one.name == role_name)
    access = LocalAccess(
        [
            LocalAssignment(
                vault_id="v", id="1", scope=at, role_id=role_id, principal_id=ALICE, principal_type="user", created=NOW
            )
        ]
    )
    for place, item in LOCAL_PLACES.items():
        for action in LOCAL["data_actions"]:
            where = "/keys" if place == "/" and action.startswith("keys/") else place
            expected = where in LOCAL_HOLDS[at] and action in LOCAL["roles"][role_name]
            asked = Scope("SUB", "payments", "pool", item, managed_hsm=True)
            found = access.decide((ALICE,), f"Microsoft.KeyVault/managedHsm/{action}", asked, NOW)
            assert found.allowed == expected, (action, place)
