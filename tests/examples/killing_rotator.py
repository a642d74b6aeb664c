"""A rotator that kills who asks it, once: before or after it has had the real one do what was asked.

Arguments: the phase, `before` or `after`, and the real rotator's command.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(phase: str, when: str, *real: str) -> int:
    content = sys.stdin.buffer.read()
    once = Path("killed-once")
    kills = json.loads(content)["phase"] == phase and not once.exists()
    if kills:
        once.touch()
    if kills and when == "before":
        os.kill(os.getppid(), signal.SIGKILL)
        return 0
    finished = subprocess.run(real, input=content, check=False)
    if kills:
        os.kill(os.getppid(), signal.SIGKILL)
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
