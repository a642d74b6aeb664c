"""A list in pages is the list: each thing once, whatever the size of a page, and none that was taken away unnoticed."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import Forbidden, VaultError
from kvstack.vault.faults import TamperedRow
from kvstack.vault.pages import Item
from tests.vault.service.world import World

VAULT = "payments-dev"


def pages(world: World, size: int, *, deleted: bool = False, looks_at: int | None = None) -> list[list[Item]]:
    """Return all pages of the secrets, one after the other."""
    found, after = [], 0
    while True:
        page = world.service.list_page(
            world.operator, VAULT, "secrets", deleted=deleted, after=after, size=size, looks_at=looks_at
        )
        found.append(list(page.items))
        if page.after is None:
            return found
        after = page.after


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    deeds=st.lists(
        st.tuples(st.sampled_from(["set", "delete", "recover", "purge"]), st.sampled_from("abcdefgh")), max_size=30
    ),
    size=st.integers(1, 9),
)
def test_all_pages_together_are_the_list(dev: World, deeds: list[tuple[str, str]], size: int) -> None:
    service, me = dev.service, dev.operator
    for deed, name in deeds:
        try:
            match deed:
                case "set":
                    service.set_secret(me, VAULT, name, SecretValue("v"))
                case "delete":
                    service.delete_secret(me, VAULT, name)
                case "recover":
                    service.recover_secret(me, VAULT, name)
                case _:
                    service.purge_secret(me, VAULT, name)
        except VaultError:
            continue
    for deleted, listed in ((False, service.list_secrets(me, VAULT)), (True, service.list_deleted_secrets(me, VAULT))):
        found = pages(dev, size, deleted=deleted)
        assert sorted((one for page in found for one in page), key=lambda one: one.folded) == list(listed)
        assert all(len(page) == size for page in found[:-1])
        assert 0 < len(found[-1]) <= size or not listed


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(gone=st.sets(st.integers(0, 29)), size=st.integers(1, 9), looks_at=st.integers(1, 20))
def test_pages_that_look_at_little_each_are_the_same_list(dev: World, gone: set[int], size: int, looks_at: int) -> None:
    service, me = dev.service, dev.operator
    for number in range(30):
        name = f"n{number}"
        if name in {one.name for one in service.list_deleted_secrets(me, VAULT)}:
            service.recover_secret(me, VAULT, name)
        service.set_secret(me, VAULT, name, SecretValue("v"))
        if number in gone:
            service.delete_secret(me, VAULT, name)
    for deleted in (False, True):
        expected = [one for page in pages(dev, 100, deleted=deleted) for one in page]
        found = pages(dev, size, deleted=deleted, looks_at=looks_at)
        assert [one for page in found for one in page] == expected
        assert all(len(page) <= size for page in found)
        # A page goes through no more than was said, and what one read of the table holds beside it.
        assert len(found) >= 30 // (looks_at + size + 1)


def test_what_is_made_between_two_pages_moves_nothing_else(dev: World) -> None:
    service, me = dev.service, dev.operator
    for number in range(6):
        service.set_secret(me, VAULT, f"s{number}", SecretValue("v"))
    first = service.list_page(me, VAULT, "secrets", size=3)
    assert first.after is not None
    service.set_secret(me, VAULT, "a-first-by-name", SecretValue("v"))
    service.set_secret(me, VAULT, "s1", SecretValue("again"))
    service.delete_secret(me, VAULT, "s4")
    second = service.list_page(me, VAULT, "secrets", after=first.after, size=9)
    assert [one.name for one in (*first.items, *second.items)] == ["s0", "s1", "s2", "s3", "s5", "a-first-by-name"]
    assert second.after is None


def test_keys_and_certificates_have_pages_and_what_is_pending_is_in_none(dev: World) -> None:
    service, me = dev.service, dev.operator
    service.create_key(me, VAULT, "k", specification=KeySpecification("EC", curve="P-256"))
    assert [one.name for one in service.list_page(me, VAULT, "keys").items] == ["k"]
    assert service.list_page(me, VAULT, "certificates").items == ()
    assert service.list_page(me, VAULT, "keys", deleted=True).items == ()


def test_who_may_not_list_gets_no_page(dev: World) -> None:
    with pytest.raises(Forbidden):
        dev.service.list_page(dev.person(), VAULT, "secrets")


def test_a_secret_that_was_taken_out_of_the_file_is_missed_by_the_first_page(stocked: World) -> None:
    assert len(pages(stocked, 25)[0]) == 2
    with closing(sqlite3.connect(stocked.service._paths.database)) as database:
        database.execute("DELETE FROM secrets WHERE folded = 'api-token'")
        database.commit()
    with pytest.raises(TamperedRow, match="1 rows where the vault wrote 2"):
        pages(stocked, 1)


def test_a_table_that_was_taken_out_of_the_file_is_missed_by_the_first_page(stocked: World) -> None:
    with closing(sqlite3.connect(stocked.service._paths.database)) as database:
        database.execute("DROP TABLE secrets")
        database.commit()
    with pytest.raises(TamperedRow, match="0 rows where the vault wrote 2"):
        pages(stocked, 1)
