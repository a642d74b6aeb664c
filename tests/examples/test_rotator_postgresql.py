"""The rotator for PostgreSQL, on a real server: no consumer fails while passwords change, whatever is killed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kvstack.vault.service import VaultService
from kvstack.vault.unlock import unlock
from tests.docs.blocks import agrees, blocks
from tests.docs.shell import Shell
from tests.e2e.command_line import ERROR, OK, ROOT, Ran, begun, ended, environment
from tests.e2e.fixtures import forks
from tests.e2e.forks import Forks
from tests.examples.postgresql import ABSENT, Server, programs, serving

__all__ = ["forks"]

EXAMPLE = ROOT / "examples" / "rotator-postgresql"
KILLER = Path(__file__).with_name("killing_rotator.py")
VAULT, NAME = "rotator-app", "rotator-app/database"
KILLED = -9
BEGAN = datetime.now(UTC)
CALL = {
    "vault": VAULT,
    "secret": "database",
    "id": "1",
    "current": {"version": "0", "value": "drawn"},
    "pending": {"version": "1", "value": "drawn-password-1"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = programs()
    if folder is None:
        pytest.skip(ABSENT)
    with serving(folder, EXAMPLE / "roles.sql") as running:
        yield running


def login(server: Server, value: str) -> str:
    """Log in as a consumer does. Returns whom it acts as."""
    with psycopg.connect(**json.loads(value)) as connection:
        found = connection.execute("SELECT current_user::text").fetchone()
    assert found is not None
    return str(found[0])


class Stack:
    """The example in a folder of its own, in a vault whose clock is moved."""

    def __init__(self, folder: Path, forks: Forks, server: Server) -> None:
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".kvstack"), dirs_exist_ok=True)
        self.folder = folder
        self._forks = forks
        self.server = server
        # `python3` is the one that runs the tests: it has psycopg.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {**server.environment, "PATH": path}
        self.good("init", "--no-hsm", "--simulated-clock")
        self.good("apply", "--yes")

    def run(self, *arguments: str) -> Ran:
        return self._forks.run("-C", str(self.folder), *arguments, environ=self.environ)

    def good(self, *arguments: str) -> Ran:
        ran = self.run(*arguments)
        assert ran.code == OK, str(ran)
        return ran

    def at(self, days: float) -> tuple[str, ...]:
        return "run-due", "--at", (BEGAN + timedelta(days=days)).isoformat(), "--json"

    def asking(self, *command: str) -> None:
        """Have another program asked."""
        file = self.folder / "kvstack.yaml"
        text = file.read_text()
        first, rest = text.split("rotator: {command: ", 1)
        after = rest.partition("]}")[2]
        file.write_text(f"{first}rotator: {{command: {json.dumps(command)}}}{after}")
        self.good("apply", "--yes")

    @property
    def value(self) -> str:
        return self.good("secret", "show", NAME, "--value").out

    @property
    def versions(self) -> int:
        return len(self.good("secret", "list-versions", NAME, "--json").json["versions"])


@pytest.fixture
def stack(tmp_path: Path, forks: Forks, server: Server) -> Stack:
    with server.superuser() as connection:
        connection.execute("ALTER ROLE app_a NOLOGIN PASSWORD NULL")
        connection.execute("ALTER ROLE app_b NOLOGIN PASSWORD NULL")
    return Stack(tmp_path / "stack", forks, server)


class Consumer:
    """Reads the secret without a version and logs in with it, again and again."""

    def __init__(self, stack: Stack) -> None:
        self._unlocked = unlock(stack.folder)
        self._service = VaultService(self._unlocked)
        self._server = stack.server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._consume)
        self.users: list[str] = []
        self.failed: list[str] = []

    def __enter__(self) -> "Consumer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=30)
        self._unlocked.close()

    def _consume(self) -> None:
        while not self._ended.wait(0.01):
            try:
                found = self._service.get_secret(self._service.operator, VAULT, "database").value
                assert found is not None
                assert login(self._server, found.reveal().decode()) == "app_owner"
                self.users.append(json.loads(found.reveal())["user"])
            except Exception as error:  # noqa: BLE001  # whatever it is, it counts
                self.failed.append(repr(error))


@pytest.mark.slow
def test_no_consumer_ever_fails_while_passwords_change(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    assert json.loads(stack.value)["user"] == "app_a"
    with Consumer(stack) as consumer:
        for month in range(1, 7):
            seen = len(consumer.users)
            done = stack.good(*stack.at(31 * month)).json["done"]
            assert ("rotate", "database") in {(one["action"], one["name"]) for one in done}
            while len(consumer.users) < seen + 10 and not consumer.failed:
                threading.Event().wait(0.01)
    assert consumer.failed == []
    changes = [user for before, user in zip(["", *consumer.users], consumer.users, strict=False) if user != before]
    assert changes == ["app_a", "app_b", "app_a", "app_b", "app_a", "app_b", "app_a"]
    assert stack.versions == 8
    stack.good("plan", "--detailed-exitcode")
    stack.good("drift")


@pytest.mark.slow
def test_no_password_reaches_the_servers_log_or_is_kept_in_clear(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    stack.good(*stack.at(31))
    password = json.loads(stack.value)["password"]
    assert len(password) == 40
    log = stack.server.log
    assert "ALTER ROLE" in log
    assert password not in log
    assert (stack.server.verifier("app_b") or "").startswith("SCRAM-SHA-256$")
    assert not any(password.encode() in path.read_bytes() for path in stack.folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_test_that_fails_leaves_the_old_password_working(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    before = stack.value
    with stack.server.superuser() as connection:
        connection.execute("ALTER ROLE app_b RESET role")  # it does not act as the owner any more
    try:
        failed = stack.run(*stack.at(31))
        assert failed.code == ERROR
        assert "did not take `test`: ended with 65: app_b does not act as app_owner: see roles.sql" in failed.out
        assert (stack.value, stack.versions) == (before, 2)
        assert login(stack.server, before) == "app_owner"
        assert stack.server.verifier("app_b") is None
        status = stack.good("secret", "rotation-status", NAME, "--json").json
        assert (status["phase"], status["given_up"]) == ("waiting", 1)
    finally:
        with stack.server.superuser() as connection:
            connection.execute("ALTER ROLE app_b SET role = app_owner")
    assert stack.good(*stack.at(31.1)).json["failed"] == []
    assert json.loads(stack.value)["user"] == "app_b"
    assert login(stack.server, stack.value) == "app_owner"


@pytest.mark.slow
def test_while_the_server_is_away_it_is_tried_again(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    before, host = stack.value, stack.environ["PGHOST"]
    stack.environ["PGHOST"] = "/nowhere"
    failed = stack.run(*stack.at(31))
    assert failed.code == ERROR
    assert "did not take `create`: ended with 1" in failed.out
    stack.environ["PGHOST"] = host
    assert (stack.value, login(stack.server, before)) == (before, "app_owner")
    assert stack.good(*stack.at(31.01)).json["failed"] == []
    assert (json.loads(stack.value)["user"], stack.versions) == ("app_b", 3)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("phase", ["create", "set", "test", "finish", "rollback"])
def test_killed_around_any_call_it_is_taken_up(stack: Stack, phase: str, when: str) -> None:
    stack.good("secret", "rotate", NAME)
    before = stack.value
    owner = "pg_monitor" if phase == "rollback" else "app_owner"  # whom neither user acts as
    real = ("python3", "rotate.py", "--owner", owner, "app_a", "app_b")
    stack.asking("python3", str(KILLER), phase, when, *real)
    killed = begun(stack.folder, *stack.at(31), **stack.environ)
    assert ended(killed).code == KILLED
    assert login(stack.server, stack.value) == "app_owner"
    if phase == "rollback":
        assert stack.good(*stack.at(31.01)).json["failed"] == []
        assert stack.good("secret", "rotation-status", NAME, "--json").json["phase"] == "waiting"
        assert (stack.value, stack.versions) == (before, 2)
        stack.asking("python3", "rotate.py", "--owner", "app_owner", "app_a", "app_b")
        assert stack.good(*stack.at(31.2)).json["failed"] == []
    else:
        assert stack.versions == (3 if phase == "finish" else 2)
        assert stack.good(*stack.at(31.01)).json["failed"] == []
    assert (json.loads(stack.value)["user"], stack.versions) == ("app_b", 3)
    assert login(stack.server, stack.value) == "app_owner"
    assert stack.good("secret", "rotation-status", NAME, "--json").json["phase"] is None
    assert stack.good(*stack.at(31.3)).json["done"] == []


@pytest.mark.slow
def test_of_several_runs_at_once_one_rotates(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    running = [begun(stack.folder, *stack.at(31), **stack.environ) for _ in range(4)]
    finished = [ended(one) for one in running]
    assert {one.code for one in finished} == {OK}, [str(one) for one in finished]
    done = sorted(thing["action"] for one in finished for thing in one.json["done"])
    assert done == ["disable-previous", "rotate"]
    assert stack.versions == 3
    assert login(stack.server, stack.value) == "app_owner"


@pytest.mark.slow
def test_one_that_prints_the_password_is_masked_and_one_that_hangs_is_ended(stack: Stack) -> None:
    stack.good("secret", "rotate", NAME)
    before = stack.value
    stack.asking("sh", "-c", "cat >&2; exit 1")
    told = stack.run("secret", "rotate", NAME)
    assert told.code == ERROR
    assert "****" in told.err
    assert json.loads(before)["password"] not in str(told)
    stack.asking("sh", "-c", "cat > /dev/null; sleep 600")
    file = stack.folder / ".kvstack" / "events.json"
    file.write_text('{"rotator_seconds": 0.5}')
    file.chmod(0o600)
    assert "did not finish in 0.5 seconds" in stack.run("secret", "rotate", NAME).told
    file.unlink()
    stack.asking("python3", "rotate.py", "--owner", "app_owner", "app_a", "app_b")
    stack.good("secret", "rotate", NAME)
    assert json.loads(stack.value)["user"] == "app_b"
    assert (stack.versions, login(stack.server, stack.value)) == (3, "app_owner")


# The program by itself


def asked(server: Server, phase: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "rotate.py"), "--owner", "app_owner", "app_a", "app_b"],
        input=json.dumps({**CALL, "phase": phase, **more}),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment(**server.environment),
    )


def test_each_call_is_the_same_twice_as_once(server: Server) -> None:
    first, second = asked(server, "create"), asked(server, "create")
    assert first.stdout == second.stdout
    pending = {"version": "1", "value": json.loads(first.stdout)["value"]}
    for phase in ("set", "set", "test", "test", "finish", "finish", "test", "rollback", "rollback"):
        assert asked(server, phase, pending=pending).returncode == 0, phase
    assert asked(server, "test", pending=pending).returncode == 1


@pytest.mark.parametrize(
    ("pending", "current", "why"),
    [
        ({"user": "postgres", "password": "x"}, {}, "names none of the users"),
        ({"user": "app_a"}, {}, "has no password"),
        ({"user": "app_a", "password": "x"}, {"user": "app_a"}, "is the one that is used now"),
    ],
)
def test_it_touches_no_user_but_the_one_whose_turn_it_is(
    server: Server, pending: object, current: object, why: str
) -> None:
    before = server.verifier("postgres"), server.verifier("app_a")
    values = {
        "pending": {"version": "1", "value": json.dumps(pending)},
        "current": {"version": "0", "value": json.dumps(current)},
    }
    refused = asked(server, "set", **values)
    assert (refused.returncode, why in refused.stderr) == (65, True)
    assert asked(server, "rollback", **values).returncode == 0
    assert server.verifier("postgres") == before[0]
    if current:
        assert server.verifier("app_a") == before[1]


@pytest.mark.slow
def test_the_page_beside_it_shows_what_happens(tmp_path: Path, server: Server) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "shop", ignore=shutil.ignore_patterns(".kvstack")))
    shell = Shell(folder)
    page = EXAMPLE / "README.md"
    wrong: list[str] = []
    try:
        for name, value in server.environment.items():
            shell.run(f"export {name}={shlex.quote(value)}")
        shell.run(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
        for block in blocks(page):
            for command in block.commands() if block.language == "console" else ():
                code, shown = shell.run(command.text)
                if code != command.code or not agrees(command.output, shown):
                    wrong.append("\n".join((command.text, f"exits with {code}", *shown)))
    finally:
        shell.close()
    assert not wrong, "\n\n".join(wrong)
