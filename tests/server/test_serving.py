"""A server from its start to its end: alone on its vault, with commands beside it, and stopped without a loss."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kvstack.hsm.find import find_module
from kvstack.terms.secret import SecretValue
from kvstack.vault.founding import initialise_access
from kvstack.vault.initialise import initialise
from tests.e2e.command_line import ERROR, OK, begun, copied, ended, environment, write
from tests.e2e.forks import Forks
from tests.server.conftest import stocked
from tests.server.served import APP, SHOP, STRANGER, Served
from tests.vault.service.world import StartClock, World


@pytest.fixture
def own(stack: Path) -> Iterator[Served]:
    server = Served(stack)
    yield server
    server.kill()


def test_it_says_that_it_lives_and_that_it_is_ready(served: Served) -> None:
    here = f"localhost:{served.port}"
    assert served.ask("GET", "/health", host=here).json == {"status": "alive"}
    assert served.ask("GET", "/ready", host=here).json == {"status": "ready"}
    assert served.ask("GET", "/secrets", host=here).status == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_promptly_and_in_order(stack: Path, number: int) -> None:
    server = Served(stack)
    server.ask("GET", "/health", host="localhost")
    ran = server.stop(number)
    assert ran.code == OK, ran
    assert "stopped" in [json.loads(line)["event"] for line in ran.err.splitlines()]
    assert not (stack / ".kvstack" / "server" / "running.json").exists()


def test_one_server_runs_on_a_vault(own: Served) -> None:
    second = ended(begun(own.folder, "serve", "--port", "0"))
    assert second.code == ERROR
    assert "another server of the vault" in second.told


def test_a_port_that_is_taken_stops_the_start(stack: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = ended(begun(stack, "serve", "--port", str(taken.getsockname()[1])))
    assert ran.code == ERROR
    assert "cannot listen on 127.0.0.1" in ran.told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "here"), "no IP address"),
        (("--port", "70000"), "no port"),
        (("--domain", "under_score"), "no domain"),
        (("--due-every", "0"), "above 0"),
        (("--pin-fd", "9"), "needs none"),
    ],
)
def test_what_no_server_can_run_by_is_told_before_it_starts(stack: Path, options: tuple[str, str], words: str) -> None:
    ran = ended(begun(stack, "serve", *options))
    assert ran.code == ERROR
    assert words in ran.told
    assert not (stack / ".kvstack" / "server" / "running.json").exists()


def test_only_the_operator_serves(stack: Path) -> None:
    ran = ended(begun(stack, "--as", APP, "serve"))
    assert ran.code == ERROR
    assert "operator alone" in ran.told


def test_commands_and_the_server_see_each_others_changes_at_once(own: Served, forks: Forks) -> None:
    token = own.token()
    path = "/secrets/beside?api-version=7.4"
    assert own.ask("GET", path, token=token).status == 404
    (own.folder / "value").write_text("by hand")
    made = forks.run("-C", str(own.folder), "secret", "set", f"{SHOP}/beside", "--file", str(own.folder / "value"))
    assert made.code == OK, made
    assert own.ask("GET", path, token=token).json["value"] == "by hand"
    assert own.ask("PUT", path, token=token, json_body={"value": "by the server"}).status == 200
    shown = forks.run("-C", str(own.folder), "secret", "show", f"{SHOP}/beside", "--value")
    assert shown.out.rstrip("\n") == "by the server"
    assert forks.run("-C", str(own.folder), "audit", "verify").code == OK


def test_a_right_that_a_command_takes_away_is_gone_at_the_next_request(own: Served, forks: Forks) -> None:
    token = own.token()
    assert own.ask("GET", "/secrets/greeting?api-version=7.4", token=token).status == 200
    listed = forks.run("-C", str(own.folder), "access", "list", "--json").json
    (mine,) = [one for one in listed["role_assignments"] if one["principal_id"] == APP]
    gone = forks.run("-C", str(own.folder), "access", "revoke", mine["id"])
    assert gone.code == OK, gone
    answer = own.ask("GET", "/secrets/greeting?api-version=7.4", token=token)
    assert (answer.status, answer.code, answer.inner) == (403, "Forbidden", "ForbiddenByRbac")


def test_a_stack_is_applied_beside_a_running_server(own: Served, forks: Forks) -> None:
    write(
        own.folder,
        f"""
        stack: beside
        principals:
          stranger: {{type: service_principal, id: {STRANGER}}}
        vaults:
          beside:
            access:
              - {{principal: stranger, role: Key Vault Secrets User}}
            secrets:
              made: {{value_from: {{generate: {{length: 20}}}}}}
        """,
    )
    ran = forks.run("-C", str(own.folder), "apply", "--yes")
    assert ran.code == OK, ran
    answer = own.ask("GET", "/secrets/made?api-version=7.4", host=f"beside.{own.vaults}", token=own.token(STRANGER))
    assert len(answer.json["value"]) == 20


def test_tls_below_1_2_is_refused(served: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        served.connected("localhost", context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(served: Served, version: ssl.TLSVersion) -> None:
    context = served.context
    context.minimum_version = context.maximum_version = version
    served.connected("shop.vault.localhost", context).close()


def test_a_client_that_does_not_trust_the_authority_is_not_served(served: Served) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        served.connected("shop.vault.localhost", ssl.create_default_context())


def test_the_authority_is_shown_and_is_the_one_that_is_used(served: Served, forks: Forks) -> None:
    shown = forks.run("-C", str(served.folder), "trust", "show")
    assert shown.out == served.authority.read_text()
    document = forks.run("-C", str(served.folder), "trust", "show", "--json").json
    assert document["file"] == str(served.authority)


def test_without_a_server_there_is_no_environment(stack: Path, forks: Forks) -> None:
    ran = forks.run("-C", str(stack), "env")
    assert ran.code == ERROR
    assert "no server of this vault is running" in ran.told


def test_what_is_due_is_done_by_the_server_whoever_moves_the_clock(tmp_path: Path) -> None:
    unlocked = initialise(tmp_path, hsm=False, prepare=initialise_access, simulated_clock=True, clock=StartClock())
    world = World(unlocked)
    world.service.create_vault(world.operator, SHOP, soft_delete_retention_days=7)
    world.service.set_secret(world.operator, SHOP, "gone", SecretValue("v"))
    world.service.delete_secret(world.operator, SHOP, "gone")
    server = Served(tmp_path, "--due-every", "0.05")
    try:
        world.clock.advance(timedelta(days=8))
        done = server.told("done")
        assert (done["action"], done["vault"], done["name"]) == ("purge", SHOP, "gone")
        assert world.service.list_deleted_secrets(world.operator, SHOP) == ()
        assert server.stop().code == OK
    finally:
        server.kill()
        unlocked.close()


def test_the_proxy_leads_to_the_servers_hosts_and_nowhere_else(served: Served) -> None:
    def connect(target: str) -> bytes:
        with socket.create_connection(("127.0.0.1", served.proxy_port), timeout=30) as connection:
            connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            return connection.recv(200).split(b"\r\n")[0]

    assert connect(f"shop.{served.vaults}") == b"HTTP/1.1 200 Connection established"
    for target in ("example.com:443", "127.0.0.1:22", f"localhost:{served.port}", "", "shop.vault.localhost@evil:443"):
        assert connect(target) == b"HTTP/1.1 403 Forbidden", target
    with socket.create_connection(("127.0.0.1", served.proxy_port), timeout=30) as connection:
        connection.sendall(b"GET http://shop.vault.localhost/ HTTP/1.1\r\n\r\n")
        assert connection.recv(200).startswith(b"HTTP/1.1 405")


def test_the_pin_is_read_from_a_descriptor_and_is_neither_in_the_environment_nor_in_the_process_list(
    environment_pin: Path, tmp_path: Path
) -> None:
    folder = copied(environment_pin, tmp_path / "stack")
    reading, writing = os.pipe()
    os.write(writing, b"pin-canary-4711\n")
    os.close(writing)
    process = subprocess.Popen(
        [sys.executable, "-m", "kvstack.cli.main", "-C", str(folder), "serve", "--port", "0", "--pin-fd", str(reading)],
        env=environment(),
        pass_fds=(reading,),
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(reading)
    try:
        assert process.stderr is not None
        assert any('"serving"' in line for line in process.stderr)
        for name in ("environ", "cmdline"):
            assert b"pin-canary" not in Path(f"/proc/{process.pid}/{name}").read_bytes()
        process.send_signal(signal.SIGTERM)
        assert "pin-canary" not in process.stderr.read()
        assert process.wait(60) == OK
    finally:
        process.kill()
        process.communicate()


def test_a_wrong_pin_is_told_and_is_not_tried_twice(environment_pin: Path) -> None:
    ran = ended(begun(environment_pin, "serve", "--port", "0"))
    assert ran.code == ERROR
    assert "SHOP_PIN" in ran.told


@pytest.mark.slow
def test_tokens_are_signed_in_the_hsm_where_there_is_one(tmp_path: Path) -> None:
    if find_module() is None:
        pytest.skip("no PKCS#11 module: install SoftHSM2, or name one in KVSTACK_PKCS11_MODULE")
    folder = tmp_path / "stack"
    folder.mkdir()
    stocked(folder, hsm=True)
    server = Served(folder)
    try:
        answer = server.ask("GET", "/secrets/greeting?api-version=7.4", token=server.token())
        assert answer.json["value"] == "hello"
    finally:
        assert server.stop().code == OK
