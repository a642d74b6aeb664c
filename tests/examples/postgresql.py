"""A real PostgreSQL server of a test's own: in a folder, on a socket in it, run by somebody who is not root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

ABSENT = (
    "no PostgreSQL server is found: install postgresql (scripts/postgresql.sh), or name its folder of programs in PGBIN"
)


def programs() -> Path | None:
    """Return the folder with `initdb` and `postgres`, None where there is none."""
    named = os.environ.get("PGBIN")
    initdb = shutil.which("initdb")
    found = [
        *([Path(named)] if named else []),
        *([Path(initdb).resolve().parent] if initdb else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *sorted(Path("/usr/pgsql").glob("*/bin"), reverse=True),
        *sorted(Path("/opt/homebrew/opt").glob("postgresql*/bin"), reverse=True),
    ]
    return next((folder for folder in found if all((folder / name).exists() for name in ("initdb", "postgres"))), None)


class Server:
    """A running server. folder: its socket is in it; log: all that was ever executed."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self.password = password

    @property
    def environment(self) -> dict[str, str]:
        """What tells libpq to connect as the rotator's administrator: a file with the password, as people have it."""
        return {
            "PGHOST": str(self.folder / "socket"),
            "PGUSER": "rotator",
            "PGDATABASE": "app",
            "PGPASSFILE": str(self.folder / "pgpass"),
        }

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def superuser(self, dbname: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.folder / "socket"), user="postgres", password=self.password, dbname=dbname, autocommit=True
        )

    def verifier(self, user: str) -> str | None:
        """Return what the server keeps of a user's password."""
        with self.superuser() as connection:
            row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (user,)).fetchone()
        return None if row is None or row[0] is None else str(row[0])


@contextmanager
def serving(bin_: Path, roles: Path) -> Iterator[Server]:
    """Run a server with these roles in it. bin_: its programs; roles: SQL."""
    # The path of a socket has to be short.
    folder = Path(tempfile.mkdtemp(prefix="kv-pg-"))
    password = os.urandom(12).hex()
    try:
        (folder / "socket").mkdir()
        (folder / "password").write_text(password)
        as_somebody = _handed_over(folder)
        data = str(folder / "data")
        made = ("-D", data, "-U", "postgres", "--pwfile", str(folder / "password"), "--no-sync")
        how = ("--auth=scram-sha-256", "--locale=C", "--encoding=UTF8")
        _run([*as_somebody, str(bin_ / "initdb"), *made, *how], folder)
        options = f"-k {folder}/socket -c listen_addresses= -c fsync=off -c log_statement=all -c log_connections=on"
        control = [*as_somebody, str(bin_ / "pg_ctl"), "-D", data, "-w"]
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"], folder)
        try:
            server = Server(folder, password)
            _set_up(server, roles)
            yield server
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder)


def _set_up(server: Server, roles: Path) -> None:
    with server.superuser() as connection:
        for statement in roles.read_text().split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        verifier = connection.pgconn.encrypt_password(server.password.encode(), b"rotator", b"scram-sha-256").decode()
        connection.execute(f"ALTER ROLE rotator PASSWORD '{verifier}'".encode())
    file = server.folder / "pgpass"
    file.touch(0o600)
    file.write_text(f"*:*:*:rotator:{server.password}\n")


def _handed_over(folder: Path) -> list[str]:
    """Give the folder to somebody who may run a server: it refuses root. Returns what a command of his begins with."""
    if os.geteuid():
        return []
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = names.get("postgres") or names["nobody"]
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]


def _run(command: list[str], folder: Path) -> None:
    # What the server's own processes print would keep a pipe open for as long as they run.
    with (folder / "output").open("ab") as output:
        subprocess.run(
            command, cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=True, timeout=60
        )
