"""What events cost: putting ten thousand into the outbox with their changes, and posting them to a local webhook."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.figures import Events

COUNT = 10_000
_TOGETHER = 1_000
_YES = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nWebHook-Allowed-Origin: *\r\n\r\n"


def events(environment: Mapping[str, str], work: Path) -> Events | str:
    """Measure in processes of their own: the receiver takes no time of the vault's. Returns the figures, or why there
    are none."""
    folder = work / "events"
    folder.mkdir()
    receiver = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.events", str(folder), "receive"],
        cwd=Path(__file__).parents[1],
        env=dict(environment),
        stdout=subprocess.PIPE,
    )
    try:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        found = subprocess.run(
            [sys.executable, "-m", "benchmarks.events", str(folder), "send", str(port)],
            cwd=Path(__file__).parents[1],
            env=dict(environment),
            capture_output=True,
            check=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        return str((error.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1])
    finally:
        receiver.kill()
        receiver.wait()
        if receiver.stdout is not None:
            receiver.stdout.close()
    return msgspec.json.decode(found, type=Events)


def send(folder: Path, port: int) -> Events:
    """Set secrets without and with a subscriber, then deliver what that made."""
    from kvstack.terms.secret import SecretValue
    from kvstack.vault.caller import SYSTEM
    from kvstack.vault.founding import initialise_access
    from kvstack.vault.initialise import initialise
    from kvstack.vault.service import VaultService

    unlocked = initialise(folder, hsm=False, prepare=initialise_access)
    service = VaultService(unlocked)
    me = service.operator
    service.create_vault(me, "benchmark")

    def changed() -> float:
        start = time.perf_counter()
        for first in range(0, COUNT, _TOGETHER):
            with service.batch():
                for number in range(first, first + _TOGETHER):
                    service.set_secret(me, "benchmark", f"s-{number}", SecretValue("a value"))
        return time.perf_counter() - start

    changed()
    without = changed()
    host = f"127.0.0.1:{port}"
    unlocked.paths.events.write_text(json.dumps({"allow": [host], "http": [host]}))
    unlocked.paths.events.chmod(0o600)
    service.set_secret(me, "benchmark", "signing", SecretValue("a key"))
    service.put_subscription(me, "hook", webhook=f"http://{host}/", secret=("benchmark", "signing"))
    recorded = changed()
    start = time.perf_counter()
    report = service.deliver_events(SYSTEM)
    delivered = time.perf_counter() - start
    unlocked.close()
    if report.delivered != COUNT:
        raise RuntimeError(f"{report.delivered} were delivered, not {COUNT}")
    return Events(COUNT, without, recorded, delivered)


async def receive() -> None:
    """Say yes to everything, on a port that is printed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, found, rest = head.partition(b"content-length:")
                await reader.readexactly(int(rest.split(b"\r\n")[0]) if found else 0)
                writer.write(_YES)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(folder: Path, step: str, *more: str) -> None:
    """Do one step in a process of its own."""
    if step == "receive":
        asyncio.run(receive())
        return
    sys.stdout.buffer.write(msgspec.json.encode(send(folder, int(more[0]))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
