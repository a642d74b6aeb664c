"""A store of its own for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstack.vault.store import Store
from tests.vault.foundation.things import close_all, new_store


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    """No test leaves a store open."""
    yield
    close_all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store lies."""
    return tmp_path / "vault.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A new store, open."""
    made = new_store(path)
    yield made
    made.close()
