"""The certificate of a running server is changed without a request lost; one that does not do changes nothing."""

import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvstack.server.names import ServerNames
from kvstack.server.trust import ready_trust, trust_files
from kvstack.vault.layout import layout
from tests.e2e.command_line import ERROR, OK, begun, ended
from tests.e2e.forks import Forks
from tests.server.certificates import Company
from tests.server.served import SHOP, Served

NAMES = ServerNames("localhost").certified


def shown(server: Served) -> bytes:
    """The certificate a new client is shown."""
    with server.connected("shop.vault.localhost") as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found


def hang_up(server: Served) -> None:
    server.process.send_signal(signal.SIGHUP)


def given(stack: Path, tmp_path: Path) -> tuple[Company, Served]:
    company = Company(tmp_path, datetime.now(UTC))
    files = company.made(NAMES)
    server = Served(stack, "--certificate", str(files.certificate), "--key", str(files.key))
    server.authority = company.authority
    return company, server


def test_a_given_certificate_is_served_and_the_environment_does_not_name_the_servers_own_authority(
    stack: Path, tmp_path: Path, forks: Forks
) -> None:
    _, server = given(stack, tmp_path)
    try:
        assert server.ask("GET", "/secrets/greeting?api-version=7.6", token=server.token()).json["value"] == "hello"
        environment = forks.run("-C", str(stack), "env", "--json").json
        assert "REQUESTS_CA_BUNDLE" not in environment
        assert "SSL_CERT_FILE" not in environment
        assert "NODE_EXTRA_CA_CERTS" not in environment
        assert server.stop().code == OK
        assert not trust_files(layout(stack).root).authority.exists()
    finally:
        server.kill()


def test_a_server_does_not_start_with_a_certificate_that_does_not_do(stack: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    files = Company(tmp_path, now).made(("www.example.com",), begins=now - timedelta(days=13))
    ran = ended(begun(stack, "serve", "--port", "0", "--certificate", str(files.certificate), "--key", str(files.key)))
    assert ran.code == ERROR
    assert "is not for" in ran.told
    assert "ended on" in ran.told


def test_what_a_renewed_file_holds_is_served_after_a_hang_up(stack: Path, tmp_path: Path) -> None:
    company, server = given(stack, tmp_path)
    try:
        before = shown(server)
        company.made(NAMES, days=5)
        hang_up(server)
        server.told("certificate")
        assert shown(server) != before
        assert server.stop().code == OK
    finally:
        server.kill()


def test_a_file_that_does_not_do_is_told_and_the_certificate_before_goes_on(stack: Path, tmp_path: Path) -> None:
    company, server = given(stack, tmp_path)
    try:
        before = shown(server)
        company.made(("www.example.com",))
        hang_up(server)
        told = server.told("the certificate was not changed; the one before goes on")
        assert "is not for" in told["problems"][0]
        assert shown(server) == before
    finally:
        server.kill()


def test_the_servers_own_certificate_is_made_anew_while_it_runs(stack: Path) -> None:
    server = Served(stack)
    try:
        before = shown(server)
        # As it is after eleven months.
        files = trust_files(layout(stack).root)
        files.certificate.unlink()
        ready_trust(files, "localhost", NAMES, datetime.now(UTC) - timedelta(days=345))
        hang_up(server)
        until = datetime.fromisoformat(server.told("certificate")["until"])
        assert until - datetime.now(UTC) > timedelta(days=390)
        assert shown(server) != before
    finally:
        server.kill()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_no_request_is_lost_while_the_certificate_is_changed_under_load(stack: Path, processes: int) -> None:
    server = Served(stack, workers=processes)
    token, failed, answered = server.token(), list[str](), [0] * 6
    done = threading.Event()

    def load(worker: int) -> None:
        while not done.is_set():
            try:
                answer = server.ask("GET", "/secrets/greeting?api-version=7.6", token=token)
            except OSError as error:
                failed.append(repr(error))
                continue
            if answer.status != 200:
                failed.append(str(answer.status))
            answered[worker] += 1

    def kept(worker: int) -> None:
        """Ask by a connection that is kept until the server says that it closes it."""
        host = f"{SHOP}.{server.vaults}"
        request = (
            f"GET /secrets/greeting?api-version=7.6 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        while not done.is_set():
            with server.connected("shop.vault.localhost") as connection:
                while not done.is_set():
                    connection.sendall(request.encode())
                    received = connection.recv(65536)
                    if not received.startswith(b"HTTP/1.1 200"):
                        failed.append(repr(received))
                        break
                    answered[worker] += 1
                    if b"connection: close" in received.lower():
                        break

    workers = [threading.Thread(target=load if one < 3 else kept, args=(one,)) for one in range(6)]
    try:
        for worker in workers:
            worker.start()
        for _ in range(4):
            trust_files(layout(stack).root).certificate.unlink()
            hang_up(server)
            server.told("certificate")
        done.set()
        for worker in workers:
            worker.join()
        assert failed == []
        assert min(answered) > 20
        assert server.stop().code == OK
    finally:
        done.set()
        server.kill()
