"""Each permission of an access policy with each operation of the vault: allowed with just that one, or refused."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvstack.terms.access_policy import PERMISSIONS, enough
from kvstack.terms.role import data_actions
from kvstack.vault.caller import Caller
from kvstack.vault.errors import Forbidden
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from kvstack.vault.service import VaultService
from tests.vault.service.policy_operations import LEGACY, OPERATIONS, Known, Operation, stocked
from tests.vault.service.world import StartClock, World

EVERY = sorted(f"{kind}/{name}" for kind, names in PERMISSIONS.items() for name in names)
# What names a vault and is no operation on the data in it.
OTHERS = {
    *("export_vault", "prepare_key", "set_access_policy", "delete_access_policy", "list_access_policies"),
    *("put_alert", "retention", "is_managed_hsm", "told_certificate", "is_used_briefly", "counted_for"),
    *("change_access_policies", "access_policies_of"),
}


class Undone(Exception):
    """Raised to undo what an operation did."""


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Known]]:
    folder: Path = tmp_path_factory.mktemp("legacy")
    unlocked = initialise(folder, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    world = World(unlocked)
    yield world, stocked(world)
    unlocked.close()


def permit(world: World, who: str, permissions: set[str]) -> None:
    given: dict[str, Any] = {
        kind: {name.split("/")[1] for name in permissions if name.startswith(kind)} for kind in PERMISSIONS
    }
    world.service.set_access_policy(world.operator, LEGACY, who, **given)


def refused(world: World, operation: Operation, person: Caller, known: Known) -> str | None:
    """Return the inner code of a refusal, None where it was done, and undone again."""
    try:
        with world.service.batch():
            operation.does(world.service, person, known)
            raise Undone
    except Undone:
        return None
    except Forbidden as error:
        return error.inner


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_allowed_by_the_permissions_azure_names_and_by_no_other(
    legacy: tuple[World, Known], operation: Operation
) -> None:
    world, known = legacy
    # Roles say nothing here: this one would allow all of it.
    person = world.person("Key Vault Administrator", at=world.scope(LEGACY))
    allowed = set()
    for permission in EVERY:
        permit(world, person.id, {permission} | ({operation.also} if operation.also else set()))
        refusal = refused(world, operation, person, known)
        if refusal is None:
            allowed.add(permission)
        assert refusal in (None, "ForbiddenByPolicy")
    assert allowed == set(operation.enough.split())
    world.service.delete_access_policy(world.operator, LEGACY, person.id)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.also], ids=lambda operation: operation.name)
def test_where_two_permissions_are_needed_one_is_not_enough(legacy: tuple[World, Known], operation: Operation) -> None:
    world, known = legacy
    person = world.person()
    permit(world, person.id, set(EVERY) - {operation.also})
    assert refused(world, operation, person, known) == "ForbiddenByPolicy"


def test_every_data_action_of_a_vault_is_reached_by_a_permission() -> None:
    assert [action for action in data_actions() if not enough(action)] == []
    assert all(enough(action) <= set(EVERY) for action in data_actions())


def test_every_permission_is_good_for_something_and_every_operation_is_in_the_table() -> None:
    reached = {permission for operation in OPERATIONS for permission in operation.enough.split()}
    assert reached == set(EVERY)
    tried = {operation.name.split()[0] for operation in OPERATIONS}
    operations = {name for name, _ in inspect.getmembers(VaultService, inspect.isfunction) if not name.startswith("_")}
    about_a_vault = {
        name for name in operations - OTHERS if "vault" in inspect.signature(getattr(VaultService, name)).parameters
    }
    assert about_a_vault == tried
