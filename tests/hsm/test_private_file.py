"""Private files are private from the first byte, and whole."""

import os
import stat
from pathlib import Path

import pytest

from kvstack.hsm.private_file import private_folder, readable_by_others, write_private


def test_nobody_else_can_read_it_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "file", b"x")
        private_folder(tmp_path / "folder")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_it_takes_no_others_place_unless_told_to(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"one")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    write_private(tmp_path / "file", b"two", replace=True)
    assert (tmp_path / "file").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_laid_in_its_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "file", b"x")
    write_private(tmp_path / "file", b"x", replace=True)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("mode", "open_to_all"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_what_everybody_can_read_is_told(tmp_path: Path, mode: int, open_to_all: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    assert readable_by_others(tmp_path / "file") is open_to_all
