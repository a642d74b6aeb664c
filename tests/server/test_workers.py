"""Several processes answer as one server: each gets its part, none is missed when it ends, none outlives the first."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import ERROR, OK, begun, copied, ended, environment
from tests.e2e.forks import Forks
from tests.server.conftest import PIN
from tests.server.served import APP, SHOP, Served

GREETING = "/secrets/greeting?api-version=7.6"


@pytest.fixture
def two(stack: Path) -> Iterator[Served]:
    """A server whose first process has one beside it."""
    server = Served(stack, workers=2)
    yield server
    server.kill()


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Tell whether something becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
    return False


def lives(process: int) -> bool:
    """Tell whether a process is there, and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connections(process: int, port: int) -> int:
    """How many connections of a port a process has accepted."""
    established = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "01":
            established.add(f"socket:[{fields[9]}]")
    found = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += str(descriptor.readlink()) in established
        except OSError:
            continue  # closed meanwhile
    return found


def test_each_process_gets_its_part_of_the_connections(two: Served) -> None:
    (worker,) = two.workers
    opened = [two.connected("shop.vault.localhost") for _ in range(40)]
    try:
        parts = [connections(process, two.port) for process in (two.process.pid, worker)]
        assert sum(parts) == len(opened)
        assert min(parts) >= 5  # one in fifty thousand servers would be this unlucky
    finally:
        for one in opened:
            one.close()
    assert two.stop().code == OK
    assert not lives(worker)


def test_what_one_process_changes_the_others_answer_at_once(two: Served) -> None:
    token = two.token()
    for number in range(30):
        put = two.ask("PUT", "/secrets/counted?api-version=7.6", token=token, json_body={"value": str(number)})
        assert put.status == 200
        for _ in range(4):
            assert two.ask("GET", "/secrets/counted?api-version=7.6", token=token).json["value"] == str(number)


def test_a_right_and_a_credential_that_are_taken_away_are_gone_in_every_process(two: Served, forks: Forks) -> None:
    folder = str(two.folder)
    token = two.token()

    def statuses() -> set[int]:
        return {two.ask("GET", GREETING, token=token).status for _ in range(12)}

    assert statuses() == {200}
    listed = forks.run("-C", folder, "access", "list", "--json").json
    (mine,) = [one for one in listed["role_assignments"] if one["principal_id"] == APP]
    assert forks.run("-C", folder, "access", "revoke", mine["id"]).code == OK
    assert statuses() == {403}
    (secret,) = forks.run("-C", folder, "credential", "list", APP, "--json").json["client_secrets"]
    assert forks.run("-C", folder, "credential", "delete", APP, secret["id"], "--yes").code == OK
    time.sleep(1)
    assert statuses() == {401}


def test_one_that_is_killed_is_missed_by_nobody_who_comes_after_and_another_takes_its_place(two: Served) -> None:
    token, (worker,) = two.token(), two.workers
    os.kill(worker, signal.SIGKILL)
    assert two.told("a worker ended by itself and is started again")["code"] == -signal.SIGKILL
    assert {two.ask("GET", GREETING, token=token).status for _ in range(20)} == {200}
    again = two.told("a worker answers")["process"]
    assert again != worker
    assert {two.ask("GET", GREETING, token=token).status for _ in range(20)} == {200}
    assert two.stop().code == OK
    assert not lives(again)


@pytest.mark.slow
def test_one_that_is_terminated_answers_what_it_was_asked_and_is_followed_by_another(two: Served) -> None:
    token, (worker,) = two.token(), two.workers
    body = b'{"kty": "RSA", "key_size": 4096}'
    opened = [two.connected("shop.vault.localhost") for _ in range(8)]
    try:
        assert connections(worker, two.port) > 0
        for number, connection in enumerate(opened):
            connection.sendall(
                f"POST /keys/slow{number}/create?api-version=7.6 HTTP/1.1\r\nHost: {SHOP}.{two.vaults}\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
        # By the time that other connections were made and answered, these are being worked on.
        assert {two.ask("GET", GREETING, token=token).status for _ in range(10)} == {200}
        os.kill(worker, signal.SIGTERM)
        for connection in opened:
            assert connection.recv(12) == b"HTTP/1.1 200"
    finally:
        for connection in opened:
            connection.close()
    assert two.told("a worker ended by itself and is started again")["code"] == 0
    assert two.told("a worker answers")["process"] != worker


def test_none_outlives_the_first_process_and_the_port_is_free_for_the_next(two: Served) -> None:
    (worker,) = two.workers
    os.kill(two.process.pid, signal.SIGKILL)
    two.process.wait()
    assert within(10, lambda: not lives(worker))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", two.port))
    again = Served(two.folder, workers=2)
    try:
        assert again.ask("GET", GREETING, token=again.token()).json["value"] == "hello"
        assert again.stop().code == OK
    finally:
        again.kill()


def test_another_server_does_not_share_the_port(two: Served, stocked_vault: Path, tmp_path: Path) -> None:
    other = copied(stocked_vault, tmp_path / "other")
    ran = ended(begun(other, "serve", "--port", str(two.port), "--workers", "2"))
    assert ran.code == ERROR
    assert "cannot listen on 127.0.0.1" in ran.told


@pytest.mark.parametrize("workers", ["0", "-1", "1000"])
def test_a_number_of_workers_nobody_could_mean_is_refused(stack: Path, workers: str) -> None:
    ran = ended(begun(stack, "serve", "--port", "0", "--workers", workers))
    assert ran.code == ERROR
    assert f"--workers {workers}" in ran.told


def test_the_pin_reaches_every_worker_also_a_later_one_and_is_in_no_environment_and_no_process_list(
    environment_pin: Path, tmp_path: Path
) -> None:
    folder = copied(environment_pin, tmp_path / "stack")
    reading, writing = os.pipe()
    os.write(writing, PIN.encode() + b"\n")
    os.close(writing)
    options = ["serve", "--port", "0", "--workers", "2", "--pin-fd", str(reading)]
    process = subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), *options],
        env=environment(),
        pass_fds=(reading,),
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(reading)
    served = Served.__new__(Served)
    served.folder, served.process, served.lines = folder, process, []
    try:
        worker = served.told("a worker answers")["process"]
        os.kill(worker, signal.SIGKILL)
        later = served.told("a worker answers")["process"]
        for name in ("environ", "cmdline"):
            for one in (process.pid, later):
                assert PIN.encode() not in Path(f"/proc/{one}/{name}").read_bytes()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
        assert process.returncode == OK
        assert PIN not in told + str(served.lines)
    finally:
        process.kill()
        process.communicate()


def test_a_worker_that_nobody_starts_does_nothing(stack: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-P", "-m", "kvstack.server.worker", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE, env=environment())
        theirs.close()
        ours.close()
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, b"")
    assert SHOP not in told.decode()
