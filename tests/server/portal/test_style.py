"""The style: every colour is a variable, and text stands out from its ground as WCAG 2.2 AA asks, light and dark."""

import re

import pytest

from kvstack.server.portal.style import style, style_name

TEXT, PART = 4.5, 3.0
# What is written on what: success criterion 1.4.3.
TEXTS = (
    *((text, ground) for text in ("text", "muted", "accent") for ground in ("page", "surface")),
    ("on-accent", "accent"),
    ("on-danger", "danger"),
    *((tone, f"{tone}-ground") for tone in ("bad", "warn", "good", "calm")),
)
# What has to be seen to use a page: the edges of fields and buttons, the focus, and what a notice is about; 1.4.11.
PARTS = (
    *((part, ground) for part in ("edge", "accent", "danger", "bad", "warn", "good") for ground in ("page", "surface")),
    *((tone, f"{tone}-ground") for tone in ("bad", "warn", "good", "calm")),
)
CSS = style().decode()


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", block))


LIGHT = colours(CSS.partition("@media (prefers-color-scheme: dark)")[0])
DARK = LIGHT | colours(CSS.partition("@media (prefers-color-scheme: dark)")[2].partition("\n}")[0])


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_written_can_be_read(scheme: dict[str, str]) -> None:
    found = {(text, ground): contrast(scheme[text], scheme[ground]) for text, ground in TEXTS}
    assert {pair: ratio for pair, ratio in found.items() if ratio < TEXT} == {}


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_used_can_be_seen(scheme: dict[str, str]) -> None:
    found = {(part, ground): contrast(scheme[part], scheme[ground]) for part, ground in PARTS}
    assert {pair: ratio for pair, ratio in found.items() if ratio < PART} == {}


def test_dark_changes_every_colour() -> None:
    assert {name for name in LIGHT if LIGHT[name] == DARK[name]} == set()


def test_no_colour_is_written_but_as_a_variable() -> None:
    rules = re.sub(r"--[a-z-]+:\s*#[0-9a-f]{6};", "", CSS)
    assert re.findall(r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsl", rules) == []
    used = set(re.findall(r"var\(--([a-z-]+)\)", CSS))
    assert used == set(LIGHT)


def test_nothing_comes_from_elsewhere() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_focus_is_seen_and_nothing_takes_that_away() -> None:
    assert re.search(r":focus-visible \{ outline: [^;]*var\(--accent\)", CSS)
    assert "outline: none" not in CSS
    assert "outline: 0" not in CSS


def test_its_name_is_of_its_content() -> None:
    assert re.fullmatch(r"style-[0-9a-f]{16}\.css", style_name())
