"""What wrk prints is read as it is meant, errors among it; what is asked of the server is what it answers."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.server import Answered, Asked, answered, questions, read, token_of
from benchmarks.serving import Server, stocked

PRINTED = """Running 4s test @ https://127.0.0.1:8443/secrets/s0?api-version=7.4
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.53ms    1.12ms  30.11ms   91.02%
    Req/Sec     5.24k   507.05     6.05k    80.00%
  Latency Distribution
     50%  980.00us
     75%    1.81ms
     90%    2.42ms
     99%    1.20s
  20915 requests in 4.00s, 12.11MB read
Requests/sec:   5228.11
Transfer/sec:      3.03MB
"""


def test_what_wrk_prints_is_read_in_milliseconds_with_what_failed() -> None:
    assert read(PRINTED) == Answered(5228.11, 0.98, 1200.0, 0)
    assert read(PRINTED + "  Non-2xx or 3xx responses: 7\n").failed == 7


def test_where_nothing_was_measured_that_is_told() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        read("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.slow
def test_everything_that_is_asked_is_answered_without_an_error(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed: `apt-get install wrk`")
    secret = stocked(tmp_path, 30, hsm=False)
    server = Server(tmp_path, 1, os.environ)
    try:
        asked: list[Asked] = questions(server, token_of(server, secret), secret, hsm=False)
        found = {one.name: answered(one, 2, 1, 1, tmp_path) for one in asked}
        assert {name: one.failed for name, one in found.items()} == dict.fromkeys(found, 0)
        assert all(one.per_second > 0 for one in found.values())
        assert server.memory() > 0
        assert not list(tmp_path.glob("*.lua")), "it holds a token"
    finally:
        server.stop()
