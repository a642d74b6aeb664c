"""A rotator as a program of a test's: it does what its arguments say, and keeps what it was asked in a file.

Arguments: the file, and a mode for each phase as `PHASE=MODE`; all others take what they are asked.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

PRINTS: dict[str, Callable[[str], str]] = {
    "quiet": lambda _: "",
    "garbage": lambda text: "{not json " + text,
    "list": lambda _: "[]",
    "number": lambda _: '{"value": 5}',
    "empty": lambda _: '{"value": ""}',
    "huge": lambda _: json.dumps({"value": "x" * 26_000}),
}
ENDS = {"fails": 1, "refuses": 65}


def flood(_: str) -> None:
    for _line in range(4000):
        sys.stdout.write("x" * 1000)
        sys.stderr.write("y" * 1000 + "\n")


def hang(text: str) -> None:
    sys.stderr.write(f"waiting with {text}\n")
    sys.stderr.flush()
    leave(text)
    time.sleep(600)


def leave(_: str) -> None:
    subprocess.Popen(["sleep", "600"])  # holds the output open


def tell(text: str) -> None:
    spelled = [
        text,
        json.dumps(text),
        repr(text),
        quote(text, safe=""),
        base64.b64encode(text.encode()).decode(),
        base64.b64encode(f"user:{text}".encode()).decode(),
        base64.urlsafe_b64encode(f"a:{text}:b".encode()).decode(),
        text.encode().hex(),
    ]
    sys.stderr.write("Traceback\nset the password to " + " or ".join(spelled) + " in vain\n")


ACTS: dict[str, Callable[[str], object]] = {
    "takes": lambda _: None,
    "floods": flood,
    "long": lambda text: sys.stderr.write("a line that ends with it " + "z" * 20_000 + text),
    "dies": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": hang,
    "leaves": leave,
    "deaf": lambda _: sys.stdin.close(),
    "tells": tell,
}


def main(file: str, *modes: str) -> int:
    call = json.load(sys.stdin)
    with open(file, "a", encoding="utf-8") as log:
        log.write(json.dumps({**call, "argv": sys.argv, "environ": dict(os.environ), "pid": os.getpid()}) + "\n")
    mode = dict(one.split("=", 1) for one in modes).get(call["phase"], "takes")
    pending = call["pending"]["value"]
    text = pending if isinstance(pending, str) else base64.b64decode(pending["base64"]).decode("latin-1")
    if mode == "takes" and call["phase"] == "create":
        sys.stdout.write(json.dumps({"value": f"made-{text}"}))
    if mode in PRINTS:
        sys.stdout.write(PRINTS[mode](text))
        return 0
    if mode in ENDS:
        return ENDS[mode]
    ACTS[mode](text)
    return 1 if mode in ("long", "tells") else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
