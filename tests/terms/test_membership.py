"""Groups: who is in them, who acts in them, and on which way; loops do no harm."""

from kvstack.terms.membership import Memberships
from kvstack.terms.principal import Principal


def group(name: str, *members: str) -> Principal:
    return Principal(name, "group", name, frozenset(members))


NESTED = Memberships([group("all", "team", "carol"), group("team", "ann", "bob"), group("bare")])
LOOP = Memberships([group("a", "b", "ann"), group("b", "a")])


def test_a_member_is_in_the_groups_its_groups_are_in() -> None:
    assert NESTED.ways("ann") == {"team": ("team",), "all": ("team", "all")}
    assert NESTED.ways("carol") == {"all": ("all",)}
    assert NESTED.ways("nobody") == {}


def test_who_acts_in_a_group_are_its_members_down_to_people() -> None:
    assert NESTED.within("all") == {"ann", "bob", "carol"}
    assert NESTED.within("ann") == {"ann"}


def test_a_group_whose_members_are_not_known_stands_for_itself() -> None:
    assert NESTED.within("bare") == {"bare"}


def test_a_loop_of_groups_ends() -> None:
    assert LOOP.ways("ann") == {"a": ("a",), "b": ("a", "b")}
    assert LOOP.within("b") == {"ann"}
