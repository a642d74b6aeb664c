"""What happens to a server: killed under load, stopped with work in hand, its firewall held; and what it tells."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.e2e.command_line import OK, write
from tests.e2e.forks import Forks
from tests.server.served import APP, READER, SHOP, Served

V = "api-version=7.6"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_every_change_that_was_answered_survives_a_kill_under_load(stack: Path, forks: Forks, processes: int) -> None:
    server = Served(stack, workers=processes)
    token = server.token()
    acknowledged: list[str] = []

    def write_on(worker: int) -> None:
        for number in range(10_000):
            name = f"w{worker}-{number}"
            try:
                answer = server.ask("PUT", f"/secrets/{name}?{V}", token=token, json_body={"value": name})
            except OSError:
                return
            assert answer.status == 200
            acknowledged.append(name)

    workers = [threading.Thread(target=write_on, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    while len(acknowledged) < 60:
        workers[0].join(0.01)
    for process in (server.process.pid, *server.workers):
        os.kill(process, signal.SIGKILL)
    for worker in workers:
        worker.join()
    server.kill()
    again = Served(stack)
    try:
        token = again.token()
        for name in acknowledged:
            assert again.ask("GET", f"/secrets/{name}?{V}", token=token).json["value"] == name
        assert again.stop().code == OK
    finally:
        again.kill()
    assert forks.run("-C", str(stack), "audit", "verify").code == OK


def test_a_request_that_was_begun_is_answered_before_the_server_stops(stack: Path) -> None:
    server = Served(stack)
    try:
        body = b'{"kty": "RSA", "key_size": 4096}'
        with server.connected("shop.vault.localhost") as connection:
            connection.sendall(
                f"POST /keys/slow/create?{V} HTTP/1.1\r\nHost: {SHOP}.{server.vaults}\r\n"
                f"Authorization: Bearer {server.token()}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            # By the time that another connection was made and answered, this one is being worked on.
            assert server.ask("GET", "/ready", host="localhost").status == 200
            server.process.send_signal(signal.SIGTERM)
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert server.stop().code == OK
    finally:
        server.kill()


def test_a_vaults_firewall_is_held_against_the_address_of_the_caller(stack: Path, forks: Forks) -> None:
    write(
        stack,
        f"""
        stack: closed
        principals:
          reader: {{type: service_principal, id: {READER}}}
        vaults:
          closed:
            network: {{default_action: deny, ip_rules: [203.0.113.0/24]}}
            access:
              - {{principal: reader, role: Key Vault Secrets User}}
            secrets:
              inside: {{value_from: {{generate: {{length: 20}}}}}}
        """,
    )
    assert forks.run("-C", str(stack), "apply", "--yes").code == OK
    server = Served(stack)
    try:
        host = f"closed.{server.vaults}"
        answer = server.ask("GET", f"/secrets/inside?{V}", host=host, token=server.token(READER))
        assert (answer.status, answer.code, answer.inner) == (403, "Forbidden", "ForbiddenByFirewall")
        assert "127.0.0.1" in answer.json["error"]["message"]
    finally:
        server.kill()


def test_the_audit_says_who_asked_from_where_by_which_program(stack: Path, forks: Forks) -> None:
    server = Served(stack)
    try:
        mine = {"User-Agent": "shop/1.0", "x-ms-client-request-id": "11111111-2222-4333-8444-555555555555"}
        server.ask("GET", f"/secrets/greeting?{V}", token=server.token(), headers=mine)
        ran = forks.run("-C", str(stack), "audit", "tail", "-n", "20", "--json")
        (record,) = [one for one in ran.json["records"] if one["operation"] == "SecretGet" and one["caller"] == APP]
    finally:
        server.kill()
    told = json.dumps(record)
    assert record["caller_name"] == "app"
    for part in ("127.0.0.1", "shop/1.0", mine["x-ms-client-request-id"], f"{SHOP}.{server.vaults}/secrets/greeting"):
        assert part in told, part


@pytest.mark.slow
def test_no_value_is_in_what_the_server_tells_or_leaves(stack: Path) -> None:
    canary = "canary-5b1f0c3d9e7a"
    server = Served(stack)
    token = server.token()
    for method, path, body in (
        ("PUT", f"/secrets/canary?{V}", {"value": canary}),
        ("GET", f"/secrets/canary?{V}", None),
        ("PUT", f"/secrets/canary?{V}", {"value": canary, "attributes": {"exp": "x"}}),
        ("PUT", f"/secrets/{canary}?{V}", [canary]),
        ("PUT", f"/secrets/a_b?{V}", {"value": canary}),
        ("PUT", f"/secrets/canary?{V}", {"value": canary * 3000}),
        ("PUT", f"/keys/canary?{V}", {"key": {"kty": "oct", "k": canary, "d": canary}}),
        ("POST", f"/keys/canary/encrypt?{V}", {"alg": "A256GCM", "value": canary}),
        ("POST", f"/certificates/c/import?{V}", {"value": canary, "pwd": canary}),
        ("POST", f"/secrets/restore?{V}", {"value": canary}),
    ):
        answer = server.ask(method, path, token=token, json_body=body)
        if answer.status >= 400 and canary not in path:
            assert canary.encode() not in answer.body, path
    ran = server.stop()
    assert ran.code == OK
    told = ran.out + ran.err + json.dumps(server.lines)
    assert canary not in told
    assert token not in told
    assert server.secret() not in told
    for file in (stack / ".kvstack").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert token.encode() not in content, file
            assert server.secret().encode() not in content, file
            # A name is no value: it may stand in the audit.
            assert f'"{canary}"'.encode() not in content, file
