"""The table of operations: all of Azure's resource manager for vaults and access that has a counterpart, and where."""

import sys

import pytest

from kvstack.server.answer import Refusal
from kvstack.server.resource_manager.plane import ROUTES
from tests.docs.shell import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import api_coverage  # type: ignore[import-not-found]  # a script, no package

AREAS = ("keyvault", "authorization")
# What any caller may be told, without a word from the vault.
TOLD = {"Operations_List", "ProviderOperationsMetadata_List", "ProviderOperationsMetadata_Get"}


def operations(*, there: bool) -> list[tuple[str, str, str]]:
    """Return (name, method, path) of Azure's operations that are, or are not, answered here."""
    found = [one for one in api_coverage.operations() if one.area in AREAS]
    return [(one.name, one.method, one.path) for one in found if bool(one.service or one.name in TOLD) is there]


@pytest.mark.parametrize(("name", "method", "path"), operations(there=True))
def test_an_operation_is_where_azure_has_it(name: str, method: str, path: str) -> None:
    found, _ = ROUTES.operation(method, api_coverage.filled(path))
    kind, verb = found.id.split("_")
    # A role assignment of a group, of a resource, or by its id, is one at a scope: the same path by another name.
    assert name == found.id or (name.split("_")[0] == kind and name.split("_")[1].startswith(verb.split("For")[0])), (
        name
    )


@pytest.mark.parametrize(("name", "method", "path"), operations(there=False))
def test_what_is_said_not_to_be_there_is_not(name: str, method: str, path: str) -> None:
    with pytest.raises(Refusal) as refusal:
        ROUTES.operation(method, api_coverage.filled(path))
    assert refusal.value.answer.status in (404, 405), name


def test_the_words_of_a_path_are_compared_without_case() -> None:
    path = ("SUBSCRIPTIONS", "s", "resourcegroups", "G", "PROVIDERS", "microsoft.keyvault", "Vaults", "V")
    found, names = ROUTES.operation("GET", path)
    assert (found.id, names["group"], names["name"]) == ("Vaults_Get", "G", "V")


def test_no_two_operations_have_one_place_and_each_has_versions() -> None:
    places = [(one.method, one.path) for one in ROUTES.operations]
    assert len(set(places)) == len(places)
    assert all(one.versions for one in ROUTES.operations)
