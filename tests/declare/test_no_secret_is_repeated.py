"""A secret written by mistake is not said again: not in a problem, wherever in a secret it stands and however."""

from pathlib import Path

import pytest

from tests.declare.stacks import problems

CANARY = "hunter2Xy7"


@pytest.mark.parametrize(
    "body",
    [
        f"{{value: {CANARY}}}",
        f"{{value: '{CANARY}'}}",
        f"{{value: {{text: {CANARY}}}}}",
        f"{{value: [{CANARY}]}}",
        f"{{value: !{CANARY} x}}",
        f"{{value: !{CANARY}}}",
        f"{{value: *{CANARY}}}",
        f"{{value: &{CANARY} x, value: *{CANARY}}}",
        f"{{value: '${{{CANARY}}}'}}",
        f"{{value: 'a${{{CANARY}'}}",
        f'{{value: "{CANARY}\\0"}}',
        f'{{value: "{CANARY}\\q"}}',
        f"{{value: {CANARY}: x}}",
        f"{{value: 'a'{CANARY}}}",
        f"{{value: @{CANARY}}}",
        f"{{value: %{CANARY}}}",
        f"{{value: `{CANARY}}}",
        f"{{value: [{CANARY}}}",
        f"{{Value: {CANARY}}}",
        f"{{value_from: {CANARY}}}",
        f"{{value_from: [{CANARY}]}}",
        f"{{value_from: {{{CANARY}}}}}",
        f"{{value_from: {{{CANARY}: {CANARY}}}}}",
        f"{{value_from: {{value: {CANARY}}}}}",
        f"{{value_from: {{text: {CANARY}}}}}",
        f"{{value_from: {{env: [{CANARY}]}}}}",
        f"{{value_from: {{env: {{{CANARY}: x}}}}}}",
        f"{{value_from: {{generate: {CANARY}}}}}",
        f"{{value_from: {{generate: {{length: {CANARY}}}}}}}",
        f"{{value_from: {{generate: {{characters: {CANARY}}}}}}}",
        f"{{value_from: {{generate: {{{CANARY}: 1}}}}}}",
        f"{{value_from: {{command: {CANARY}}}}}",
        f"{{value_from: {{env: A, file: {CANARY}}}}}",
        f"{{value_from: {{file: ../{CANARY}}}}}",
        f'{{value_from: {{file: "{CANARY}\\0"}}}}',
        f"{{value_from: {{env: '${{{CANARY}}}'}}}}",
        CANARY,
        f"[{CANARY}]",
        f"'${{{CANARY}}}'",
        f"!{CANARY} x",
        f"*{CANARY}",
    ],
)
def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path, body: str) -> None:
    for text in (
        f"stack: s\nvaults:\n  dev:\n    secrets:\n      a: {body}\n",
        f"stack: s\ndefaults:\n  secret: {body}\nvaults: {{dev: {{secrets: {{a: {{}}}}}}}}\n",
    ):
        found = problems(tmp_path, text)
        assert found
        for diagnostic in found:
            assert CANARY not in str(diagnostic), diagnostic
            assert CANARY not in str(diagnostic.document())
            assert diagnostic.place is not None


def test_a_literal_value_is_told_what_to_write_instead(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, f"stack: s\nvaults: {{dev: {{secrets: {{a: {{value: {CANARY}}}}}}}}}\n")
    assert found.summary == "a secret has no `value` in a file"
    assert "value_from: {env: NAME}" in found.detail
    assert "change the value that was written here" in found.detail
