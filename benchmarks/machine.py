"""Where figures were measured: without it they mean nothing."""

import os
import platform
from pathlib import Path


def described(folder: Path) -> dict[str, str]:
    """Return what tells one machine from another. folder: where stacks and states are written."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "File system": _file_system(folder),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    """Return the kind of the file system a folder is on: a durable write costs nothing on tmpfs."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    mounts = {Path(fields[1]): fields[2] for line in lines if len(fields := line.split()) > 2}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "unknown")
