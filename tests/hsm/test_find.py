"""A module is found where it was named, else where packages put it."""

from pathlib import Path

from kvstack.hsm.find import find_module


def test_the_named_module_wins_even_where_it_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "usual.so").touch()
    environ = {"KVSTACK_PKCS11_MODULE": "/nowhere/named.so"}
    assert find_module(environ, (str(tmp_path / "usual.so"),)) == Path("/nowhere/named.so")


def test_the_first_usual_place_that_has_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "two.so").touch()
    (tmp_path / "three.so").touch()
    places = tuple(str(tmp_path / name) for name in ("one.so", "two.so", "three.so"))
    assert find_module({}, places) == tmp_path / "two.so"


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert find_module({"KVSTACK_PKCS11_MODULE": ""}, (str(tmp_path / "one.so"),)) is None
