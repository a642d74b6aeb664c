"""The HSM's configuration: comes back as it was, moves with its folder, and knows where the PIN is."""

from pathlib import Path

import pytest

from kvstack.hsm.configuration import HsmConfiguration, PinSource, pin, read_configuration, write_configuration
from kvstack.hsm.protocol import HsmUnavailable


def example(folder: Path) -> HsmConfiguration:
    return HsmConfiguration(
        module="/usr/lib/softhsm/libsofthsm2.so",
        token_label="kvstack",
        token_serial="51160d3e116af0fe",
        pin_source=PinSource(file=str(folder / "pin")),
        kek="898c14cabb1c8e1228096815c567a8ac",
        root="1ee31bc7e13537059b2fcec83abffbd1",
        lock=str(folder / "lock"),
        tokens=str(folder / "tokens"),
        environment={"P11_DEBUG": "none"},
    )


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    write_configuration(example(tmp_path), tmp_path / "hsm.json")
    assert read_configuration(tmp_path / "hsm.json") == example(tmp_path)


def test_it_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    write_configuration(example(tmp_path / "before"), tmp_path / "before" / "hsm.json")
    (tmp_path / "before").rename(tmp_path / "after")
    assert read_configuration(tmp_path / "after" / "hsm.json") == example(tmp_path / "after")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"module": "m"}', '{"modul": "m"}', "\ud800"], ids=repr)
def test_what_is_no_configuration_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "hsm.json"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(HsmUnavailable, match=str(path)):
        read_configuration(path)


def test_the_pin_is_read_where_it_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    (tmp_path / "pin").chmod(0o600)
    assert pin(PinSource(file=str(tmp_path / "pin")), {}).reveal() == b"1234"
    assert pin(PinSource(environment="HSM_PIN"), {"HSM_PIN": "5678"}).reveal() == b"5678"


@pytest.mark.parametrize(
    ("source", "mode", "message"),
    [
        (PinSource(environment="HSM_PIN"), 0o600, "HSM_PIN is not set"),
        (PinSource(file="missing"), 0o600, "missing cannot be read"),
        (PinSource(file="empty"), 0o600, "empty is empty"),
        (PinSource(file="pin"), 0o644, "can be read by everybody"),
    ],
)
def test_a_missing_pin_says_where_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: PinSource, mode: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("empty", "\n"), ("pin", "secret-pin")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    with pytest.raises(HsmUnavailable, match=message) as failure:
        pin(source, {})
    assert "secret-pin" not in str(failure.value)


def test_the_examples_of_the_page_are_configurations(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "hsm.md").read_text()
    examples = [part.split("```", 1)[0] for part in page.split("```json\n")[1:]]
    assert len(examples) == 4
    for number, text in enumerate(examples):
        file = tmp_path / f"{number}.json"
        file.write_text(text)
        found = read_configuration(file)
        assert found.lock == str(tmp_path / "lock")
        assert (found.keys == "token") == (not found.root)
