"""Runs one process and tells its time and memory; a program of its own, as small as can be.

The kernel counts a process's peak memory from what its parent held when it was started, so that a large parent would be
measured instead. Arguments: seconds it may take, the file its output goes to, the program, the program's arguments.
Standard output: seconds, peak memory as the system counts it, exit code (negative: the signal).
"""

import os
import signal
import sys
import time


def main(limit: float, output: str, arguments: list[str]) -> None:
    """Run, wait, tell."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            os.execv(arguments[0], arguments)
        except OSError as error:
            os.write(2, f"{arguments[0]}: {error.strerror}\n".encode())
        os._exit(127)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, limit)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    print(seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3:])
