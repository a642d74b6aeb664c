"""`python -m benchmarks.server`: what `kvstack serve` answers in a second, over TLS, in a closed loop by wrk.

A vault is made in a folder, with as many secrets as asked for, software keys and, where there is a PKCS#11 module,
keys in the HSM. wrk and the server share this machine's processors. Beside it, in the same run, whatever addresses
BENCH_BESIDE names, `NAME=URL` separated by blanks: each is asked by GET, with the token in BENCH_BESIDE_TOKEN.
"""

import argparse
import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.serving import APP, VAULT, Server, stocked

CONNECTIONS: Final = (1, 8)
# Requests a second with eight connections, on two cores shared with the client.
GOALS: Final = {"secret get": 11_000, "durable set": 2_000, "RS256": 2_000, "ES256": 8_000, "list page": 5_000}
_VERSION: Final = "api-version=7.4"
_DIGEST: Final = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_MIDDLE: Final = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
_SLOWEST: Final = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_FAILED: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_MILLISECONDS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Asked(msgspec.Struct, frozen=True):
    """One request. url: with the path; headers: beside the token; body: empty for none."""

    name: str
    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class Answered(msgspec.Struct, frozen=True):
    """Medians of the rounds: requests a second, milliseconds; failed: how many had an error."""

    per_second: float
    middle_ms: float
    slowest_ms: float
    failed: int


def questions(server: Server, token: str, secret: str, *, hsm: bool) -> list[Asked]:
    """Return what is asked."""
    at = f"https://127.0.0.1:{server.port}"
    vault = (("Host", f"{VAULT}.vault.localhost:{server.port}"), ("Authorization", f"Bearer {token}"))
    sent = (*vault, ("Content-Type", "application/json"))
    signed = [("RS256", "RSA"), ("ES256", "EC")]
    if hsm:
        signed += [("RS256 in the HSM", "RSA-HSM"), ("ES256 in the HSM", "EC-HSM")]
    form = {"grant_type": "client_credentials", "client_id": APP, "client_secret": secret}
    form["scope"] = f"https://vault.localhost:{server.port}/.default"
    login = (("Host", f"login.localhost:{server.port}"), ("Content-Type", "application/x-www-form-urlencoded"))
    return [
        Asked("secret get", f"{at}/secrets/s0?{_VERSION}", headers=vault),
        Asked("durable set", f"{at}/secrets/set?{_VERSION}", "PUT", sent, json.dumps({"value": "x" * 32})),
        *(
            Asked(
                name,
                f"{at}/keys/{key}//sign?{_VERSION}",
                "POST",
                sent,
                json.dumps({"alg": name.split()[0], "value": _DIGEST}),
            )
            for name, key in signed
        ),
        Asked("list page", f"{at}/secrets?maxresults=25&{_VERSION}", headers=vault),
        Asked("token", f"{at}/{server.tenant}/oauth2/v2.0/token", "POST", login, urllib.parse.urlencode(form)),
        Asked("health", f"{at}/health"),
    ]


def beside() -> list[Asked]:
    """Return what is asked of other servers."""
    token = os.environ.get("BENCH_BESIDE_TOKEN", "")
    headers = (("Authorization", f"Bearer {token}"),) if token else ()
    pairs = (one.partition("=") for one in os.environ.get("BENCH_BESIDE", "").split())
    return [Asked(name, url, headers=headers) for name, _, url in pairs]


def token_of(server: Server, secret: str) -> str:
    """Return a token for the vault."""
    asked = next(one for one in questions(server, "", secret, hsm=False) if one.name == "token")
    # The loop is about speed: what is trusted, and why, tests/server holds.
    trusting = ssl._create_unverified_context()
    request = urllib.request.Request(asked.url, asked.body.encode(), dict(asked.headers))
    with urllib.request.urlopen(request, context=trusting) as answer:
        return str(json.load(answer)["access_token"])


def answered(asked: Asked, connections: int, seconds: int, rounds: int, work: Path) -> Answered:
    """Ask in a closed loop."""
    script = work / "ask.lua"
    lines = [f"wrk.method = {json.dumps(asked.method)}", *(f"wrk.body = {json.dumps(asked.body)}",) * bool(asked.body)]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in asked.headers]
    script.touch(0o600)  # there is a token in it
    script.write_text("\n".join(lines))
    found = [_wrk(asked.url, connections, seconds, script) for _ in range(rounds)]
    script.unlink()
    return Answered(
        statistics.median(one.per_second for one in found),
        statistics.median(one.middle_ms for one in found),
        statistics.median(one.slowest_ms for one in found),
        sum(one.failed for one in found),
    )


def _wrk(url: str, connections: int, seconds: int, script: Path) -> Answered:
    printed = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return read(printed)


def read(printed: str) -> Answered:
    """Return what wrk printed. Raises RuntimeError where it measured nothing."""
    rate, failed = _RATE.search(printed), _FAILED.search(printed)
    if rate is None:
        raise RuntimeError(printed)
    return Answered(
        float(rate[1]),
        _milliseconds(_MIDDLE, printed),
        _milliseconds(_SLOWEST, printed),
        int(failed[1]) if failed else 0,
    )


def _milliseconds(pattern: re.Pattern[str], printed: str) -> float:
    found = pattern.search(printed)
    return float(found[1]) * _MILLISECONDS[found[2]] if found is not None else float("nan")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--secrets", type=int, default=1_000, help="how many are in the vault")
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="what is asked, by name")
    parser.add_argument("--no-hsm", action="store_true")
    parser.add_argument("--workers", type=int, default=1, help="as `kvstack serve` has it")
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        sys.stderr.write("benchmarks.server: wrk is not installed: `apt-get install wrk`\n")
        return 1
    from kvstack.hsm.find import find_module

    hsm = not options.no_hsm and find_module() is not None
    with tempfile.TemporaryDirectory(prefix="kvstack-bench-") as folder:
        work = Path(folder)
        secret = stocked(work, options.secrets, hsm=hsm)
        server = Server(work, options.workers, os.environ)
        try:
            token = token_of(server, secret)
            print(f"started in {server.seconds_to_start:.2f} s, {server.memory():.0f} MiB\n")
            print("| requests a second | 1 connection | 8 connections | p50, ms | p99, ms | server's CPU, us | goal |")
            print("|---|---|---|---|---|---|---|")
            for asked in (*questions(server, token, secret, hsm=hsm), *beside()):
                if options.only and asked.name not in options.only:
                    continue
                alone = answered(asked, CONNECTIONS[0], options.seconds, options.rounds, work)
                before = server.processor_seconds()
                many = answered(asked, CONNECTIONS[1], options.seconds, options.rounds, work)
                used = (server.processor_seconds() - before) / (many.per_second * options.seconds * options.rounds)
                print(
                    f"| {asked.name} | {alone.per_second:,.0f} | {many.per_second:,.0f} | {many.middle_ms:.2f} | "
                    f"{many.slowest_ms:.2f} | {used * 1e6:.0f} | {GOALS.get(asked.name, '')} |"
                    + (f" {alone.failed + many.failed} failed" if alone.failed + many.failed else ""),
                    flush=True,
                )
            print(f"\n{server.memory():.0f} MiB afterwards")
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
