"""The table of Azure's operations names what exists, leaves none out, and says why where there is nothing."""

import csv
import sys
from pathlib import Path

import click
import pytest

from kvstack.cli.main import kvstack
from kvstack.vault.service import VaultService
from tests.docs.shell import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from api_coverage import Operation, operations, served  # type: ignore[import-not-found]  # a script, no package

TABLE: tuple[Operation, ...] = operations()


# What `kvstack serve` does not answer, each for the reason in its row.
NOT_SERVED = {
    "GetKeyAttestation",
    "securewrapkey",
    "secureunwrapkey",
    "PrivateEndpointConnections_Put",
    "PrivateEndpointConnections_Delete",
    "MHSMPrivateEndpointConnections_Put",
    "MHSMPrivateEndpointConnections_Delete",
    "Permissions_ListForResourceGroup",
    "Permissions_ListForResource",
}


def _id(operation: Operation) -> str:
    return f"{operation.area}-{operation.name}"


def newest() -> dict[tuple[str, str], tuple[str, str, str]]:
    """The index of Azure's descriptions: each operation of its newest version only."""
    with (Path(__file__).parent / "api_operations.tsv").open(newline="") as file:
        rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda row: row["file"])
    found = {}
    for row in rows:
        _, version, area = row["file"].removesuffix(".json").split("/")
        found[area, row["operationId"]] = (version, row["method"], row["path"])
    return found


def test_no_operation_is_left_out_and_none_is_made_up() -> None:
    assert {(one.area, one.name): (one.version, one.method, one.path) for one in TABLE} == newest()
    assert len(TABLE) == len(newest())


@pytest.mark.parametrize("operation", TABLE, ids=_id)
def test_what_is_named_exists_and_what_is_missing_has_a_reason(operation: Operation) -> None:
    for method in operation.service:
        assert callable(getattr(VaultService, method)), method
    for written in operation.commands:
        command: click.Command = kvstack
        context = click.Context(command)
        for word in written.split():
            assert isinstance(command, click.Group), written
            inner = command.get_command(context, word)
            assert inner is not None, written
            command = inner
        assert not isinstance(command, click.Group), written
    assert operation.service or (operation.note and not operation.commands)
    assert operation.commands or operation.note


@pytest.mark.parametrize("operation", TABLE, ids=_id)
def test_an_operation_is_served_over_https_or_has_its_reason(operation: Operation) -> None:
    if operation.name in NOT_SERVED:
        assert not served(operation)
        assert operation.note
    else:
        assert served(operation)


def test_nothing_is_left_out_that_there_is_not() -> None:
    assert {one.name for one in TABLE} >= NOT_SERVED
