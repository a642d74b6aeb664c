"""Where secret values come from, and what is said when they do not."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from kvstack.apply.values import Values
from kvstack.resources.value_source import Generate, ValueFrom
from kvstack.terms import limits
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.generator import CHARACTERS, Characters, Generator, generated


def stream(seed: str = "") -> Callable[[int], bytes]:
    """Return reproducible random bytes."""
    counter = [0]

    def draw(length: int) -> bytes:
        drawn = b""
        while len(drawn) < length:
            counter[0] += 1
            drawn += hashlib.sha256(f"{seed}{counter[0]}".encode()).digest()
        return drawn[:length]

    return draw


def values(folder: Path, *, allow_files: bool = False, **environ: str) -> Values:
    return Values(folder, environ=environ, allow_files=allow_files)


def why(call: Callable[[], object]) -> str:
    with pytest.raises(KvstackError) as caught:
        call()
    return str(caught.value)


def test_an_environment_variable_is_the_value_byte_for_byte(tmp_path: Path) -> None:
    for text in ("hunter2", "", " a\n", "пароль", "\udcff"):
        found = values(tmp_path, DB=text).offered(ValueFrom(env="DB"))
        assert found is not None
        assert found.reveal() == text.encode("utf-8", "surrogateescape")


def test_a_variable_that_is_not_set_is_no_value_and_named_at_apply(tmp_path: Path) -> None:
    none = values(tmp_path)
    assert none.offered(ValueFrom(env="DB")) is None
    assert "the environment variable DB is not set" in why(lambda: none.made(ValueFrom(env="DB")))
    assert [found.summary for found in none.problems(ValueFrom(env="DB"))] == ["the environment variable DB is not set"]


def test_a_file_is_the_value_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\0\xff line\n")
    found = values(tmp_path).offered(ValueFrom(file="token"))
    assert found is not None
    assert found.reveal() == b"\0\xff line\n"


def test_a_file_that_is_not_there_is_no_value_and_named_at_apply(tmp_path: Path) -> None:
    assert values(tmp_path).offered(ValueFrom(file="token")) is None
    assert "there is no file token" in why(lambda: values(tmp_path).made(ValueFrom(file="token")))


def test_a_file_outside_the_folder_is_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("hunter2")
    inside = tmp_path / "stack"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "outside")
    for file in ("../outside", str(tmp_path / "outside"), "link"):
        assert "outside the stack's folder" in why(lambda file=file: values(inside).offered(ValueFrom(file=file)))  # type: ignore[misc]
        found = values(inside, allow_files=True).offered(ValueFrom(file=file))
        assert found is not None
        assert found.reveal() == b"hunter2"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    assert "cannot be read" in why(lambda: values(tmp_path).offered(ValueFrom(file="token")))


@pytest.mark.parametrize("source", [ValueFrom(env="DB"), ValueFrom(file="db")])
def test_a_value_beyond_what_a_vault_takes_is_told_before_anything_is_touched(
    tmp_path: Path, source: ValueFrom
) -> None:
    for length, fits in (
        (limits.SECRET_BYTES, True),
        (limits.SECRET_BYTES + 1, False),
        (10 * limits.SECRET_BYTES, False),
    ):
        (tmp_path / "db").write_text("x" * length)
        found = values(tmp_path, DB="x" * length).problems(source)
        assert (found == ()) == fits
        assert all("too long" in problem.summary for problem in found)


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "db").open("wb") as file:
        file.truncate(1 << 34)
    found = values(tmp_path).offered(ValueFrom(file="db"))
    assert found is not None
    assert len(found) == limits.SECRET_BYTES + 1


# Generated


@pytest.mark.parametrize("characters", get_args(Characters))
@pytest.mark.parametrize("length", [1, 2, 48, 257, 5000])
def test_a_generated_value_has_the_length_and_the_characters_asked_for(characters: Characters, length: int) -> None:
    drawn = generated(Generator(length=length, characters=characters), stream()).reveal().decode()
    assert len(drawn) == length
    assert set(drawn) <= set(CHARACTERS[characters])


@pytest.mark.parametrize("characters", get_args(Characters))
def test_every_character_is_equally_likely(characters: Characters) -> None:
    alphabet = CHARACTERS[characters]
    count = 2000 * len(alphabet)
    counted = Counter(generated(Generator(length=count, characters=characters), stream(characters)).reveal())
    expected = count / len(alphabet)
    chi_square = sum((counted[ord(character)] - expected) ** 2 / expected for character in alphabet)
    degrees = len(alphabet) - 1
    # Five standard deviations above the mean: a fair draw is beyond once in millions, a folded one by far.
    assert chi_square < degrees + 5 * (2 * degrees) ** 0.5


def test_a_fold_of_the_random_byte_would_be_noticed() -> None:
    # The test above, tested: byte modulo 62 favours the first 8 characters.
    alphabet = CHARACTERS["alphanumeric"]
    draw = stream("fold")
    counted = Counter(alphabet[byte % len(alphabet)] for byte in draw(2000 * len(alphabet)))
    chi_square = sum((counted[character] - 2000) ** 2 / 2000 for character in alphabet)
    assert chi_square > len(alphabet) - 1 + 5 * (2 * (len(alphabet) - 1)) ** 0.5


def test_no_two_values_are_alike(tmp_path: Path) -> None:
    source = ValueFrom(generate=Generate(length=32))
    assert len({values(tmp_path).made(source).reveal() for _ in range(50)}) == 50


# Commands


def test_a_commands_output_less_one_newline_is_the_value(tmp_path: Path) -> None:
    for printed, expected in (
        ("a", b"a"),
        ("a\\n", b"a"),
        ("a\\n\\n", b"a\n"),
        ("a\\r\\n", b"a"),
        ("\\n", b""),
        (" a ", b" a "),
    ):
        source = ValueFrom(command=("printf", printed))
        assert values(tmp_path).made(source).reveal() == expected


def test_a_command_runs_in_the_stacks_folder_without_a_shell_or_input(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("found")
    assert values(tmp_path).made(ValueFrom(command=("cat", "here"))).reveal() == b"found"
    assert values(tmp_path).made(ValueFrom(command=("echo", "$HOME;", "`id`"))).reveal() == b"$HOME; `id`"
    assert values(tmp_path).made(ValueFrom(command=("cat",))).reveal() == b""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"), "failed with exit code 3"),
        (("no-such-program-here",), "cannot be run: No such file or directory"),
        (("/",), "cannot be run: Permission denied"),
        (("",), "cannot be run"),
    ],
)
def test_a_command_that_fails_says_so_and_shows_nothing_it_printed(
    tmp_path: Path, command: tuple[str, ...], expected: str
) -> None:
    found = why(lambda: values(tmp_path).made(ValueFrom(command=command)))
    assert expected in found
    assert "hunter2" not in found


def test_a_command_runs_at_no_other_time_than_apply(tmp_path: Path) -> None:
    source = ValueFrom(command=("touch", "ran"))
    assert values(tmp_path).offered(source) is None
    assert values(tmp_path).problems(source) == ()
    assert not (tmp_path / "ran").exists()
