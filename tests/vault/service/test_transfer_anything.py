"""Whoever knows the password may write anything into an exported vault's file: it is taken, or is one error."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault import transfer_file
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.vault.service.world import StartClock, World

VAULT = "payments-dev"
PASSWORD = SecretValue("correct horse")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_file, "_COST", 2**4)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[World]:
    """Another store."""
    folder = tmp_path / "other"
    unlocked = initialise(folder, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    yield World(unlocked)
    unlocked.close()


@pytest.fixture
def content(dev: World) -> bytes:
    """What is in the file of a vault with a secret and a key."""
    dev.service.set_secret(dev.operator, VAULT, "pass", SecretValue(b"\0\xff"), tags={"a": "b"})
    dev.service.create_key(dev.operator, VAULT, "signing", specification=KeySpecification("EC", None, "P-256"))
    return transfer_file.content_of(dev.service.export_vault(dev.operator, VAULT, password=PASSWORD).blob, PASSWORD)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_changed_are_one_error_or_a_vault(other: World, content: bytes, data: st.DataObject) -> None:
    start, piece = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=12))
    over, between = content[:start] + piece + content[start + len(piece) :], content[:start] + piece + content[start:]
    changed = data.draw(st.sampled_from([over, between, content[:start]]))
    blob = transfer_file.sealing(PASSWORD)(changed)
    service, operator = other.service, other.operator
    refused = None
    try:
        service.import_vault(operator, blob, password=PASSWORD)
    except KvstackError as error:
        refused = error
    if refused is not None:
        assert len(refused.diagnostics) == 1
        assert service.list_vaults(operator) == ()
        return
    for vault in service.list_vaults(operator):
        service.delete_vault(operator, vault.name)
        with suppress(KvstackError):  # it may say it is protected from that
            service.purge_vault(operator, vault.name)
