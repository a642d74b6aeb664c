"""Where Azure's clients for other languages lie once `scripts/clients.sh` has installed them: in the user's cache, each
in a folder that is named for what is pinned. `python -m tests.server.clients.installed NAME` prints it."""

import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# What a folder is made of: where any of it changes, there is another folder.
PINNED = {
    "az": (ROOT / "requirements" / "az.txt",),
    "node": (HERE / "node" / "package.json", HERE / "node" / "package-lock.json"),
    "go": (HERE / "go" / "go.mod", HERE / "go" / "go.sum", HERE / "go" / "main.go"),
    "java": (HERE / "java" / "pom.xml", HERE / "java" / "Program.java"),
}
# Tests have a home of their own: whose cache it is, is asked before.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvstack"


def folder(name: str) -> Path:
    """Return a client's folder, which may not be there."""
    pinned = hashlib.sha256(b"\0".join(file.read_bytes() for file in PINNED[name])).hexdigest()
    return CACHE / f"{name}-{pinned[:16]}"


def is_installed(name: str) -> bool:
    """Tell whether all of a client is there."""
    return (folder(name) / ".complete").exists()


if __name__ == "__main__":
    sys.stdout.write(f"{folder(sys.argv[1])}\n")
