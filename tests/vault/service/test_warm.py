"""What was read a moment ago is believed only as long as nobody has written to the database."""

from collections.abc import Callable

import pytest

from kvstack.terms.key import specification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import Forbidden, NotFound
from kvstack.vault.faults import Tampered
from tests.vault.foundation.things import by_hand, flipped
from tests.vault.service.world import World

VAULT = "payments-dev"


@pytest.fixture
def warm(dev: World) -> World:
    """A vault with a secret and a key that were both used."""
    dev.service.set_secret(dev.operator, VAULT, "password", SecretValue("one"))
    dev.service.create_key(dev.operator, VAULT, "signing", specification=specification("EC", None, None))
    use_secret(dev)
    use_key(dev)
    return dev


def use_secret(world: World) -> bytes:
    found = world.service.get_secret(world.operator, VAULT, "password").value
    assert found is not None
    return found.reveal()


def use_key(world: World) -> bytes:
    return world.service.sign(world.operator, VAULT, "signing", algorithm="ES256", digest=bytes(32)).value


@pytest.mark.parametrize(
    ("table", "use"), [("secret_versions", use_secret), ("secrets", use_secret), ("key_versions", use_key)]
)
@pytest.mark.parametrize("column", ["body", "mac", "generation"])
def test_a_row_edited_after_it_was_used_is_refused(
    warm: World, table: str, use: Callable[[World], bytes], column: str
) -> None:
    with by_hand(warm.unlocked.store.path) as database:
        rows = database.execute(f"SELECT number, {column} FROM {table}").fetchall()
        for number, value in rows:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE number = ?", (flipped(value), number))
    assert rows
    with pytest.raises(Tampered):
        use(warm)


def test_a_secret_set_again_is_read_anew(warm: World) -> None:
    warm.service.set_secret(warm.operator, VAULT, "password", SecretValue("two"))
    assert use_secret(warm) == b"two"


def set_in_a_batch_that_fails(world: World) -> None:
    with world.service.batch():
        world.service.set_secret(world.operator, VAULT, "password", SecretValue("two"))
        assert use_secret(world) == b"two"
        raise ZeroDivisionError


def test_what_a_batch_set_and_undid_is_not_remembered(warm: World) -> None:
    with pytest.raises(ZeroDivisionError):
        set_in_a_batch_that_fails(warm)
    assert use_secret(warm) == b"one"


def test_a_secret_disabled_or_deleted_after_it_was_used_is_refused(warm: World) -> None:
    warm.service.update_secret(warm.operator, VAULT, "password", enabled=False)
    with pytest.raises(Forbidden):
        use_secret(warm)
    warm.service.delete_secret(warm.operator, VAULT, "password")
    with pytest.raises(NotFound):
        use_secret(warm)
