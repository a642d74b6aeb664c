"""Azure's clients for Go, unmodified: secrets, keys with what they are used for, certificates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.toolchain


def test_a_program_for_go_needs_nothing_but_the_environment(
    client_run: Callable[..., Any], installed: Callable[[str], Path]
) -> None:
    ran = client_run(str(installed("go") / "program"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["secrets hello", "keys EC", "certificates CN=go.example.com"]
