"""The generated pages are what the code says."""

import subprocess
import sys

from tests.docs.shell import ROOT


def test_the_generated_pages_are_fresh() -> None:
    finished = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 0, finished.stderr
