"""Azure's clients for Java, unmodified: secrets, and a key with what it is used for."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.toolchain


def test_a_program_for_java_needs_the_environment_and_a_store_of_whom_it_trusts(
    client_run: Callable[..., Any],
    client_environment: dict[str, str],
    installed: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    folder, store = installed("java"), tmp_path / "trust.p12"
    authority = client_environment["SSL_CERT_FILE"]
    taken = ["keytool", "-importcert", "-noprompt", "-alias", "kvstack", "-file", authority]
    subprocess.run([*taken, "-keystore", str(store), "-storepass", "kvstack"], check=True, capture_output=True)
    ran = client_run(
        "java",
        "-Djava.net.useSystemProxies=true",
        f"-Djavax.net.ssl.trustStore={store}",
        "-Djavax.net.ssl.trustStorePassword=kvstack",
        "-cp",
        f"{folder / 'classes'}:{folder / 'lib'}/*",
        "Program",
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["secrets hello", "keys RSA"]
