"""The tables of operations: all of Azure's data plane for vaults and for Managed HSMs, and nothing made up."""

import csv
from pathlib import Path

import pytest

from kvstack.server.data_plane.api import NEWEST, VERSIONS, Operation, Routes, require_version
from kvstack.server.data_plane.plane import HSM_ROUTES, ROUTES

TABLE = Path(__file__).parents[2] / "docs" / "api_operations.tsv"
# An HSM of Azure's attests its keys by certificates of its maker; no PKCS#11 module can be asked for that. The vault
# has no operation that wraps a key for an attested environment, either: `release` gives it one.
LEFT_OUT = {"GetKeyAttestation", "secureWrapKey", "secureUnwrapKey"}
AREAS = ("keys", "secrets", "certificates")
HSM_AREAS = ("backuprestore", "rbac", "securitydomain", "settings")


def described(areas: tuple[str, ...] = AREAS) -> dict[str, tuple[str, str]]:
    """Method and path of each operation that Azure describes."""
    found = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            area = Path(row["file"]).stem
            if row["file"].startswith("data-plane") and area in areas:
                found[row["operationId"]] = (row["method"], row["path"])
    return found


def shape(path: str) -> tuple[str, ...]:
    return tuple("{}" if part.startswith("{") else part for part in path.strip("/").split("/"))


def _left_out() -> set[str]:
    return {name.lower() for name in LEFT_OUT}


def test_every_operation_that_azure_describes_is_there_or_is_left_out_for_a_reason() -> None:
    there = {one.id.lower() for one in ROUTES.operations}
    assert {name.lower() for name in described()} - _left_out() == there
    assert not there & _left_out()


def test_every_operation_of_a_managed_hsm_is_there_and_at_no_vault() -> None:
    beside = {one.id for one in HSM_ROUTES.operations} - {one.id for one in ROUTES.operations}
    assert beside == set(described(HSM_AREAS))


@pytest.mark.parametrize("name", sorted(described(HSM_AREAS)))
@pytest.mark.parametrize("scope", ["", "/", "//keys", "/keys/a-key"])
def test_an_operation_of_a_managed_hsm_is_where_azure_has_it(name: str, scope: str) -> None:
    method, path = described(HSM_AREAS)[name]
    written = path.replace("/{scope}", scope).lstrip("/") if "{scope}" in path else path.strip("/")
    parts = tuple("x" if part.startswith("{") else part for part in written.split("/"))
    found, names = HSM_ROUTES.operation(method, parts)
    assert found.id == name
    if "{scope}" in path:
        assert names[0] == "/" + scope.strip("/")


@pytest.mark.parametrize("name", sorted(one for one in described() if one.lower() not in _left_out()))
def test_an_operation_is_where_azure_has_it(name: str) -> None:
    method, path = described()[name]
    parts = tuple("x" if part == "{}" else part for part in shape(path))
    found, _ = ROUTES.operation(method, parts)
    assert found.id.lower() == name.lower()


def test_a_name_is_given_to_its_operation_and_a_word_is_none() -> None:
    found, names = ROUTES.operation("GET", ("secrets", "restore", "versions"))
    assert (found.id, names) == ("GetSecretVersions", ("restore",))
    found, names = ROUTES.operation("POST", ("keys", "rng", "", "sign"))
    assert (found.id, names) == ("sign", ("rng", ""))
    found, names = ROUTES.operation("POST", ("keys", "rng", "sign"))
    assert (found.id, names) == ("sign", ("rng", ""))
    found, names = ROUTES.operation("GET", ("keys", "rng", "sign"))
    assert (found.id, names) == ("GetKey", ("rng", "sign"))
    found, names = ROUTES.operation("GET", ("certificates", "issuers", "pending"))
    assert (found.id, names) == ("GetCertificateIssuer", ("pending",))


def test_versions_are_in_the_order_they_came_in() -> None:
    assert VERSIONS[-1] == NEWEST == "2026-04-01"
    for one in HSM_ROUTES.operations:
        assert one.since in VERSIONS, one.id
        require_version(NEWEST, one)


def test_no_two_operations_have_one_place() -> None:
    places = [(one.method, one.path) for one in HSM_ROUTES.operations]
    assert len(set(places)) == len(places)
    assert Routes(HSM_ROUTES.operations).operations == HSM_ROUTES.operations
    assert all(isinstance(one, Operation) for one in HSM_ROUTES.operations)
