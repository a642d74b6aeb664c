"""Records are handed over at least once, in order; a receiver that is gone loses nothing and holds nobody up."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.audit_destinations import Destination, Unreachable, destinations
from kvstack.vault.audit_forwarding import Forwarded, forwarded, forwarding_alone
from tests.vault.service.audited import Audited

FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    """Records 1-3 made the vault, 4 set `a`."""
    made = Audited.made(tmp_path / "vault")
    made.used("a")
    return made


def handed_over(audited: Audited, to: str, *, name: str = "siem", form: str = "jsonl") -> Forwarded:
    assert form in ("jsonl", "azure")
    with audited.open() as service:
        return forwarded(service._audit, Destination(name, to, "azure" if form == "azure" else "jsonl"))


class Receiver:
    """Takes what comes over a stream; each connection by itself. takes: how many bytes before it hangs up; path: of a
    socket in the file system, over the network where there is none."""

    def __init__(self, *, takes: int | None = None, path: Path | None = None) -> None:
        if path is None:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.port = self.server.getsockname()[1]
        else:
            self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.server.bind(str(path))
            self.server.listen()
        self.takes = takes
        self.seen: list[bytes] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                content = b""
                while piece := connection.recv(self.takes or 65536):
                    content += piece
                    if self.takes is not None:
                        # Closed with unread data: what TCP answers is a reset.
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                        break
                self.seen.append(content)

    def close(self) -> None:
        # A socket that somebody waits at is there until it is shut down.
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.server.close()


@contextmanager
def receiving(*, takes: int | None = None, path: Path | None = None) -> Iterator[Receiver]:
    receiver = Receiver(takes=takes, path=path)
    try:
        yield receiver
    finally:
        receiver.close()


def positions(content: bytes) -> list[int]:
    return [json.loads(line)["position"] for line in content.splitlines()]


def test_a_file_gets_each_record_once_and_only_its_owner_reads_it(audited: Audited, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert handed_over(audited, f"file://{file}").records == 4
    assert handed_over(audited, f"file://{file}").records == 0
    audited.used("b", "c")
    assert handed_over(audited, f"file://{file}").records == 2
    assert positions(file.read_bytes()) == [1, 2, 3, 4, 5, 6]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_comes_again_as_a_whole(audited: Audited, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b'{"position":1,"ti')
    handed_over(audited, f"file://{file}")
    first, *whole = file.read_bytes().splitlines()
    assert first == b'{"position":1,"ti'
    assert [json.loads(line)["position"] for line in whole] == [1, 2, 3, 4]


def test_destinations_are_at_places_of_their_own(audited: Audited, tmp_path: Path) -> None:
    handed_over(audited, f"file://{tmp_path}/one", name="one")
    audited.used("b")
    handed_over(audited, f"file://{tmp_path}/two", name="two", form="azure")
    handed_over(audited, f"file://{tmp_path}/one", name="one")
    assert positions((tmp_path / "one").read_bytes()) == [1, 2, 3, 4, 5]
    azure = [json.loads(line) for line in (tmp_path / "two").read_bytes().splitlines()]
    assert [one["category"] for one in azure] == ["AuditEvent"] * 5


def test_a_stream_gets_lines_in_order(audited: Audited) -> None:
    with receiving() as receiver:
        assert handed_over(audited, f"tcp://127.0.0.1:{receiver.port}").records == 4
    assert [positions(content) for content in receiver.seen] == [[1, 2, 3, 4]]


def test_a_socket_in_the_file_system_is_a_stream_like_others(audited: Audited, tmp_path: Path) -> None:
    with receiving(path=tmp_path / "socket") as receiver:
        assert handed_over(audited, f"unix://{tmp_path}/socket").records == 4
    assert positions(receiver.seen[0]) == [1, 2, 3, 4]


def test_syslog_over_a_stream_counts_its_octets(audited: Audited) -> None:
    with receiving() as receiver:
        assert handed_over(audited, f"syslog+tcp://127.0.0.1:{receiver.port}").records == 4
    (rest,) = receiver.seen
    found = []
    while rest:
        length, _, rest = rest.partition(b" ")
        message, rest = rest[: int(length)], rest[int(length) :]
        matched = re.fullmatch(
            rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([!-~]+) kvstack - ([!-~]{1,32}) - (\{.*\})",
            message,
        )
        assert matched is not None, message
        found.append((int(matched[1]), matched[4], json.loads(matched[5])["position"]))
    assert found[-1] == (13 * 8 + 6, b"SecretSet", 4)
    assert [position for *_, position in found] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_syslog_by_datagrams_is_a_message_each(audited: Audited, tmp_path: Path, kind: str) -> None:
    family = socket.AF_INET if kind == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0) if kind == "udp" else str(tmp_path / "log"))
        server.settimeout(10)
        to = f"syslog+udp://127.0.0.1:{server.getsockname()[1]}" if kind == "udp" else f"syslog+unix://{tmp_path}/log"
        assert handed_over(audited, to).records == 4
        messages = [server.recv(65536) for _ in range(4)]
    assert [json.loads(message[message.index(b"{") :])["position"] for message in messages] == [1, 2, 3, 4]


def test_a_receiver_that_is_gone_loses_nothing(audited: Audited) -> None:
    with receiving() as receiver:
        to = f"tcp://127.0.0.1:{receiver.port}"
    found = handed_over(audited, to)
    assert (found.records, found.position) == (0, 0)
    assert isinstance(found.failure, Unreachable)
    audited.used("b")
    with receiving() as receiver:
        assert handed_over(audited, f"tcp://127.0.0.1:{receiver.port}").records == 5
    assert [positions(content) for content in receiver.seen] == [[1, 2, 3, 4, 5]]


def test_a_receiver_that_hangs_up_in_the_middle_gets_all_of_it_again(audited: Audited) -> None:
    with receiving(takes=40) as receiver:
        found = handed_over(audited, f"tcp://127.0.0.1:{receiver.port}")
    assert (found.records, isinstance(found.failure, Unreachable)) == (0, True)
    with receiving() as receiver:
        handed_over(audited, f"tcp://127.0.0.1:{receiver.port}")
    assert positions(receiver.seen[0]) == [1, 2, 3, 4]


def test_nothing_is_archived_that_was_not_forwarded(audited: Audited, tmp_path: Path) -> None:
    configured(audited, [{"name": "siem", "to": f"file://{tmp_path}/out"}])
    segment = str(tmp_path / "segment")
    with audited.open() as service, pytest.raises(KvstackError, match=r"1 to 4 were not forwarded to `siem`"):
        service.archive_audit(service.operator, FAR, segment)
    assert not Path(segment).exists()
    handed_over(audited, f"file://{tmp_path}/out")
    with audited.open() as service:
        service.audit_anchor(service.operator)
        with pytest.raises(KvstackError, match="not forwarded"):
            service.archive_audit(service.operator, FAR, segment)
    handed_over(audited, f"file://{tmp_path}/out")
    with audited.open() as service:
        moment = service._clock.now()
        service.archive_audit(service.operator, moment, segment)
    assert handed_over(audited, f"file://{tmp_path}/out").failure is None
    found = positions((tmp_path / "out").read_bytes())
    assert found == list(range(1, len(found) + 1))


def test_a_destination_that_was_away_while_records_were_archived_is_told_which(
    audited: Audited, tmp_path: Path
) -> None:
    handed_over(audited, f"file://{tmp_path}/out")
    audited.used("b")
    with audited.open() as service:
        service.archive_audit(service.operator, FAR, str(tmp_path / "segment"))
    found = handed_over(audited, f"file://{tmp_path}/out")
    assert (found.records, found.position) == (0, 4)
    assert "5 to 5 were archived" in str(found.failure)
    assert handed_over(audited, f"file://{tmp_path}/new", name="new").records == 1


def test_a_place_that_was_put_back_or_forward_is_refused(audited: Audited, tmp_path: Path) -> None:
    handed_over(audited, f"file://{tmp_path}/out")
    audited.by_hand("DELETE FROM audit_forwarded")
    with pytest.raises(KvstackError, match="removed"):
        handed_over(audited, f"file://{tmp_path}/out")


def test_one_process_forwards_at_a_time(audited: Audited) -> None:
    with audited.open() as service, forwarding_alone(service._paths):
        with pytest.raises(KvstackError, match="another"), forwarding_alone(service._paths):
            pass
        assert (audited.folder / ".kvstack" / "forward.lock").stat().st_mode & 0o777 == 0o600


# The configuration


def configured(audited: Audited, there: object, mode: int = 0o600) -> Path:
    file = audited.folder / ".kvstack" / "forward.json"
    file.write_text(json.dumps({"destinations": there}))
    file.chmod(mode)
    return file


def read(audited: Audited) -> tuple[Destination, ...]:
    with audited.open() as service:
        return destinations(service._paths)


def test_nothing_is_forwarded_where_nothing_is_configured(audited: Audited) -> None:
    assert read(audited) == ()
    configured(audited, [{"name": "siem", "to": "syslog+udp://[::1]:514"}])
    assert read(audited) == (Destination("siem", "syslog+udp://[::1]:514"),)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ([{"name": "x", "to": "http://example.org"}], "nowhere"),
        ([{"name": "x", "to": "tcp://example.org"}], "nowhere"),
        ([{"name": "x", "to": "tcp://example.org:99999"}], "nowhere"),
        ([{"name": "x", "to": "file://relative/path"}], "nowhere"),
        ([{"name": "x", "to": ""}], "nowhere"),
        ([{"name": "", "to": "file:///x"}], "name of its own"),
        ([{"name": "x", "to": "file:///x"}, {"name": "x", "to": "file:///y"}], "name of its own"),
        ([{"name": "x"}], "missing"),
        ([{"name": "x", "to": "file:///x", "password": "y"}], "unknown field"),
        ([{"name": "x", "to": "file:///x", "format": "xml"}], "format"),
        ("x", "Expected"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_an_example(audited: Audited, there: object, words: str) -> None:
    configured(audited, there)
    with pytest.raises(KvstackError) as caught:
        read(audited)
    (diagnostic,) = caught.value.diagnostics
    assert words in diagnostic.summary
    assert "syslog+tcp://" in diagnostic.detail


def test_a_configuration_others_can_change_is_refused(audited: Audited) -> None:
    configured(audited, [], 0o666)
    with pytest.raises(KvstackError, match="by others"):
        read(audited)
