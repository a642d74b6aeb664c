"""How a server is to run, from its options and the operator's file; what is changed holds without a start."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from kvstack.server.configuration import ServerConfiguration
from kvstack.server.options import ServerOptions, changed, server_configuration
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.layout import Layout, layout
from tests.e2e.command_line import ERROR, OK, begun, ended
from tests.server.served import SHOP, Served

V = "api-version=7.6"


def write(paths: Layout, said: Any, mode: int = 0o600) -> None:
    """Write the operator's file."""
    paths.root.mkdir(exist_ok=True)
    paths.server.write_text(json.dumps(said))
    paths.server.chmod(mode)


def hang_up(server: Served) -> None:
    server.process.send_signal(signal.SIGHUP)


def test_without_anything_said_a_server_is_as_it_is_by_default(tmp_path: Path) -> None:
    assert server_configuration(ServerOptions(), layout(tmp_path)) == ServerConfiguration()


def test_the_file_says_what_no_option_says(tmp_path: Path) -> None:
    write(layout(tmp_path), {"port": 9000, "workers": 3, "domain": "KV.example.com.", "imds": ["batch=127.0.0.2:81"]})
    found = server_configuration(ServerOptions(port=9001), layout(tmp_path))
    assert (found.port, found.workers, found.domain) == (9001, 3, "kv.example.com")
    assert [(one.identity, one.port) for one in found.imds] == [("batch", 81)]


def test_files_it_names_lie_in_the_projects_folder_and_those_of_options_where_one_is(tmp_path: Path) -> None:
    write(layout(tmp_path), {"certificate": "tls.pem", "key": "/etc/tls.key"})
    found = server_configuration(ServerOptions(key="here.key"), layout(tmp_path)).certificate
    assert found is not None
    assert (found.certificate, found.key) == (tmp_path / "tls.pem", Path("here.key"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"prot": 8443}, "unknown field `prot`"),
        ({"port": "8443"}, "at `$.port`"),
        ({"port": 70000}, "no port"),
        ({"workers": 0}, "1 to 64"),
        ({"due_every": 0}, "above 0"),
        ({"seconds_to_send": -1}, "above 0"),
        ({"longest_body": 10}, "a number of bytes"),
        ({"certificate": "tls.pem"}, "go together"),
        ({"imds": ["batch=10.0.0.1:80"]}, "no loopback address"),
        ([], "server.json"),
    ],
)
def test_what_no_server_can_run_by_is_told(tmp_path: Path, said: Any, words: str) -> None:
    write(layout(tmp_path), said)
    with pytest.raises(KvstackError) as raised:
        server_configuration(ServerOptions(), layout(tmp_path))
    assert words in " ".join(f"{one.summary} {one.detail}" for one in raised.value.diagnostics)


def test_a_file_that_others_can_change_is_not_believed(tmp_path: Path) -> None:
    write(layout(tmp_path), {"workers": 2}, 0o644)
    with pytest.raises(KvstackError, match="by others"):
        server_configuration(ServerOptions(), layout(tmp_path))


def test_what_is_wrong_in_the_file_stops_the_start(stack: Path) -> None:
    write(layout(stack), {"prot": 1})
    ran = ended(begun(stack, "serve"))
    assert ran.code == ERROR
    assert "unknown field `prot`" in ran.told


def test_where_a_server_listens_holds_to_its_end_and_the_rest_does_not() -> None:
    before = ServerConfiguration(port=1, workers=2)
    now, waiting = changed(before, ServerConfiguration(port=2, workers=2, longest_body=1 << 21))
    assert (now.port, now.longest_body) == (1, 1 << 21)
    assert waiting == ("port",)


# A body that is announced and does not come: refused for its length at once, or after this while.
SOON = {"seconds_to_send": 0.2}


def statuses(server: Served) -> set[bytes]:
    """What several processes answer to who announces a body of 300,000 bytes."""
    sent = (
        f"PUT /secrets/long?{V} HTTP/1.1\r\nHost: {SHOP}.{server.vaults}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: 300000\r\n\r\n"
    )
    return {server.raw(sent.encode())[9:12] for _ in range(10)}


def test_what_the_file_says_anew_holds_in_every_process_after_a_hang_up(stack: Path) -> None:
    paths = layout(stack)
    write(paths, SOON)
    server = Served(stack, workers=2)
    try:
        assert statuses(server) == {b"408"}
        # The port was named on the command line, which wins: nothing has to wait for a start.
        write(paths, SOON | {"longest_body": 200_000, "port": 1})
        hang_up(server)
        server.told("configured")
        assert server.told("certificate")
        assert statuses(server) == {b"413"}
        write(paths, SOON | {"longest_body": 400_000, "domain": "example.com"})
        hang_up(server)
        assert server.told("these options hold from the next start on")["options"] == ["domain"]
        server.told("certificate")
        assert statuses(server) == {b"408"}
        assert server.stop().code == OK
    finally:
        server.kill()


def test_what_cannot_be_is_told_and_what_was_before_goes_on(stack: Path) -> None:
    paths = layout(stack)
    write(paths, SOON | {"longest_body": 200_000})
    server = Served(stack, workers=2)
    try:
        for file, said in ((paths.server, {"longest_body": 1}), (paths.identity, {"allow": "everybody"})):
            file.write_text(json.dumps(said))
            file.chmod(0o600)
            hang_up(server)
            server.told("the configuration was not changed; the one before goes on")
            server.told("certificate")
            assert statuses(server) == {b"413"}
            file.unlink()
        assert server.stop().code == OK
    finally:
        server.kill()
