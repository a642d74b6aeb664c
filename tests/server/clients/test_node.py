"""Azure's clients for Node, unmodified: secrets, keys with what they are used for, certificates."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.clients.installed import HERE

pytestmark = pytest.mark.toolchain


def test_a_program_for_node_needs_nothing_but_the_environment(
    client_run: Callable[..., Any], installed: Callable[[str], Path], tmp_path: Path
) -> None:
    # A program finds packages beside it.
    (tmp_path / "node_modules").symlink_to(installed("node") / "node_modules")
    shutil.copy(HERE / "node" / "program.mjs", tmp_path)
    ran = client_run("node", str(tmp_path / "program.mjs"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["secrets hello", "keys RSA", "certificates CN=node.example.com"]


def test_without_the_servers_authority_it_trusts_nobody(
    client_run: Callable[..., Any], installed: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(installed("node") / "node_modules")
    shutil.copy(HERE / "node" / "program.mjs", tmp_path)
    ran = client_run("node", str(tmp_path / "program.mjs"), NODE_EXTRA_CA_CERTS="")
    assert ran.returncode != 0
    assert "certificate" in ran.stderr
