"""A stack has as many things as it says, and is wrong exactly where it says."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmarks.stacks import SECRETS_ONLY, Stack, Written, write_kvstack, write_terraform


def things(file: Path) -> Counter[str]:
    counted: Counter[str] = Counter()
    for vault in yaml.safe_load(file.read_text(encoding="utf-8"))["vaults"].values():
        counted["vaults"] += 1
        for collection in ("access", "keys", "secrets"):
            counted[collection] += len(vault.get(collection, ()))
    return counted


@pytest.mark.parametrize("size", [10, 11, 1_000])
def test_a_stack_has_as_many_things_as_asked_for(size: int, tmp_path: Path) -> None:
    counted = things(write_kvstack(Stack(size), tmp_path).file)
    assert counted.total() == size
    assert counted["secrets"] == round((size - 2) * 0.6)
    assert counted["keys"] == round((size - 2) * 0.2)


def test_a_stack_of_secrets_has_nothing_else(tmp_path: Path) -> None:
    assert things(write_kvstack(Stack(100, SECRETS_ONLY), tmp_path).file) == Counter(
        {"vaults": 2, "secrets": 98, "access": 0, "keys": 0}
    )


def test_terraform_gets_as_many_resources(tmp_path: Path) -> None:
    text = write_terraform(Stack(1_000), tmp_path).file.read_text(encoding="utf-8")
    assert text.count('resource "terraform_data"') == 1_000


def test_no_two_assignments_are_the_same(tmp_path: Path) -> None:
    stack = yaml.safe_load(write_kvstack(Stack(1_000), tmp_path).file.read_text(encoding="utf-8"))
    for vault in stack["vaults"].values():
        assert len({(entry["principal"], entry["scope"]) for entry in vault["access"]}) == len(vault["access"])


@pytest.mark.parametrize("write", [write_kvstack, write_terraform])
def test_three_lines_are_wrong_and_no_others(write: Callable[[Stack, Path], Written], tmp_path: Path) -> None:
    (tmp_path / "right").mkdir()
    right = write(Stack(100), tmp_path / "right")
    wrong = write(Stack(100, faults=True), tmp_path)
    assert right.fault_lines == ()
    lines = zip(
        right.file.read_text(encoding="utf-8").splitlines(),
        wrong.file.read_text(encoding="utf-8").splitlines(),
        strict=True,
    )
    assert tuple(number for number, (here, there) in enumerate(lines, 1) if here != there) == wrong.fault_lines
    assert len(wrong.fault_lines) == 3
