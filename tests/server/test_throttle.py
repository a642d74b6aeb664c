"""Requests are counted as Azure counts them: by vault and by kind, in windows of time, by all processes together."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from azure.keyvault.administration import KeyVaultAccessControlClient
from hypothesis import given
from hypothesis import strategies as st

from kvstack.server.data_plane.plane import HSM_ROUTES, ROUTES
from kvstack.server.shared_counters import OWNERS, WRITERS, SharedCounters
from kvstack.server.throttle import Throttle, TooMany, too_many
from kvstack.server.throttle_limits import (
    HSM_CREATION,
    KEYS,
    LIMITS,
    LOCAL_ROLES,
    REST,
    SOFTWARE_CREATION,
    STORING,
    WHOLE,
    Charge,
    Limit,
    charge,
)
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from tests.e2e.command_line import copied, environment
from tests.server.data_plane.hsms import NAMES, ROLES, TREASURY, custodian, host, hsm_token, url, with_managed_hsms
from tests.server.served import OTHER, Served

NOW = 1_800_000_003.25
V = "api-version=2025-07-01"
RSA = {size: KeySpecification("RSA", size) for size in (2048, 3072, 4096)}
RSA_HSM = {size: KeySpecification("RSA-HSM", size) for size in (2048, 3072, 4096)}
EC, EC_HSM = KeySpecification("EC", None, "P-256"), KeySpecification("EC-HSM", None, "P-384")


class Numbers:
    """Counters in a dictionary."""

    def __init__(self) -> None:
        self.there: Counter[tuple[str, int, int]] = Counter()

    def used(self, owner: str, kind: int, window: int, now: float) -> int:
        return self.there[owner, kind, window]

    def add(self, owner: str, kind: int, window: int, units: int, now: float) -> None:
        self.there[owner, kind, window] += units


@pytest.mark.parametrize(
    ("name", "key", "limit", "in_ten_seconds"),
    [
        ("CreateKey", RSA_HSM[4096], HSM_CREATION, 10),
        ("CreateKey", EC, SOFTWARE_CREATION, 20),
        ("RotateKey", RSA_HSM[2048], HSM_CREATION, 10),
        ("RotateKey", RSA[2048], SOFTWARE_CREATION, 20),
        ("sign", RSA_HSM[2048], KEYS, 2000),
        ("sign", RSA_HSM[3072], KEYS, 500),
        ("sign", RSA_HSM[4096], KEYS, 250),
        ("sign", EC_HSM, KEYS, 2000),
        ("GetKey", RSA[2048], KEYS, 4000),
        ("GetKey", RSA[3072], KEYS, 1000),
        ("GetKey", RSA[4096], KEYS, 500),
        ("GetKey", EC, KEYS, 4000),
        ("DeleteKey", EC, KEYS, 4000),
        ("GetDeletedKey", RSA[4096], KEYS, 500),
        ("GetKey", None, REST, 4000),
        ("GetKeys", None, REST, 4000),
        ("RestoreKey", None, REST, 4000),
        ("GetSecret", None, REST, 4000),
        ("CreateCertificate", None, REST, 4000),
        ("SetSecret", None, STORING, 300),
        ("ImportKey", None, STORING, 300),
        ("ImportCertificate", None, STORING, 300),
    ],
)
def test_a_vault_takes_what_azure_documents(
    name: str, key: KeySpecification | None, limit: Limit, in_ten_seconds: int
) -> None:
    operation = next(one for one in ROUTES.operations if one.id == name)
    found = charge(operation, key, managed_hsm=False)
    assert found is not None
    assert (found.limit, limit.most // found.cost, limit.seconds) == (limit, in_ten_seconds, 10)
    throttle = Throttle(Numbers())
    taken = 0
    while throttle.counted("v", found, NOW) is None:
        taken += 1
    assert taken == in_ten_seconds


def test_a_managed_hsm_counts_its_administration_only() -> None:
    counted = {
        one.id: found.limit
        for one in HSM_ROUTES.operations
        if (found := charge(one, RSA_HSM[2048], managed_hsm=True)) is not None
    }
    roles = {name for name, limit in counted.items() if limit is LOCAL_ROLES}
    assert roles == {one.id for one in HSM_ROUTES.operations if one.id.startswith("Role")}
    assert {name for name, limit in counted.items() if limit is WHOLE} == {
        "FullBackup", "PreFullBackup", "FullRestoreOperation", "PreFullRestoreOperation", "SelectiveKeyRestoreOperation"
    }  # fmt: skip
    assert (LOCAL_ROLES.most, WHOLE.most, LOCAL_ROLES.seconds) == (5, 1, 1)


def test_all_kinds_of_keys_draw_on_one_sum() -> None:
    throttle, expensive, cheap = Throttle(Numbers()), Charge(KEYS, 16), Charge(KEYS, 2)
    assert all(throttle.counted("v", expensive, NOW) is None for _ in range(248))
    assert all(throttle.counted("v", cheap, NOW) is None for _ in range(16))
    assert throttle.counted("v", cheap, NOW) == TooMany("VaultRequestTypeLimitReached", 7)
    # What is refused counts for nothing, and takes nothing away from another kind.
    assert throttle.counted("v", Charge(REST), NOW) is None
    assert throttle.counted("other", cheap, NOW) is None


def test_with_the_next_window_there_is_room_again_and_not_before() -> None:
    throttle, one = Throttle(Numbers()), Charge(HSM_CREATION)
    for _ in range(10):
        assert throttle.counted("v", one, NOW) is None
    found = throttle.counted("v", one, NOW)
    assert found is not None
    assert throttle.counted("v", one, NOW + found.seconds - 1) is not None
    assert throttle.counted("v", one, NOW + found.seconds) is None


def test_five_vaults_full_are_the_subscriptions_limit() -> None:
    throttle, one = Throttle(Numbers()), Charge(HSM_CREATION)
    for vault in range(5):
        assert all(throttle.counted(f"v{vault}", one, NOW) is None for _ in range(10))
    assert throttle.counted("v5", one, NOW) == TooMany("SubscriptionRequestTypeLimitReached", 7)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(LIMITS),
            st.integers(1, 16),
            st.floats(0, 60, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_never_is_more_taken_than_the_limit_and_what_is_refused_would_have_been_too_much(
    asked: list[tuple[str, Limit, int, float]],
) -> None:
    numbers = Numbers()
    throttle = Throttle(numbers)
    taken: Counter[tuple[str, int, int]] = Counter()
    for vault, limit, cost, later in asked:
        window = int((NOW + later) // limit.seconds)
        key = (vault, limit.number, window)
        found = throttle.counted(vault, Charge(limit, cost), NOW + later)
        whole = sum(units for (_, kind, when), units in taken.items() if (kind, when) == key[1:])
        if found is None:
            taken[key] += cost
            assert taken[key] <= limit.most
        else:
            assert taken[key] + cost > limit.most or (limit.shared and whole + cost > 5 * limit.most)
            assert 1 <= found.seconds <= limit.seconds


def test_the_refusal_is_azures() -> None:
    answer = too_many(TooMany("VaultRequestTypeLimitReached", 7))
    assert answer.status == 429
    assert (b"retry-after", b"7") in answer.headers
    assert answer.body == (
        b'{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received. '
        b'Reason: VaultRequestTypeLimitReached"}}'
    )


# The counters of several processes

_ADDING = """
import sys
from pathlib import Path
from kvstack.server.shared_counters import SharedCounters
counters = SharedCounters(Path(sys.argv[1]), 7)
print(counters.writer, flush=True)
sys.stdin.readline()
for _ in range(20_000):
    counters.add("v", 2, 180_000_000, 3, 1_800_000_003.25)
print(counters.used("v", 2, 180_000_000, 1_800_000_003.25), flush=True)
sys.stdin.readline()
"""


def adding(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _ADDING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def line(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_count_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    processes = [adding(path) for _ in range(3)]
    try:
        assert sorted(map(line, processes)) == [0, 1, 2]
        for one in processes:
            go(one)
        assert max(map(line, processes)) == 3 * 20_000 * 3
        own = SharedCounters(path, 7)
        assert own.writer == 3
        assert own.used("v", 2, 180_000_000, NOW) == 3 * 20_000 * 3
        assert own.used("v", 2, 180_000_001, NOW) == own.used("v", 3, 180_000_000, NOW) == 0
        # One that was killed is taken over by the next, with what it has counted.
        processes[1].kill()
        processes[1].wait()
        again = adding(path)
        processes.append(again)
        assert line(again) in (0, 1, 2)
        assert own.used("v", 2, 180_000_000, NOW) == 3 * 20_000 * 3
        own.close()
    finally:
        for one in processes:
            one.kill()
            one.communicate()
    assert path.stat().st_mode & 0o077 == 0


def test_a_new_window_begins_at_nothing(tmp_path: Path) -> None:
    counters = SharedCounters(tmp_path / "counters", 2)
    counters.add("v", 1, 5, 4, 50)
    counters.add("v", 1, 5, 4, 50)
    assert counters.used("v", 1, 5, 50) == 8
    counters.add("v", 1, 6, 1, 60)
    assert (counters.used("v", 1, 6, 60), counters.used("v", 1, 5, 60)) == (1, 0)
    counters.close()


def test_places_are_for_whoever_counts_now(tmp_path: Path) -> None:
    counters = SharedCounters(tmp_path / "counters", 1)
    for owner in range(OWNERS):
        counters.add(f"first-{owner}", 0, 1, 1, 100)
    # All are in use: one more shares with somebody, and is counted all the same.
    counters.add("late", 0, 1, 1, 101)
    assert counters.used("late", 0, 1, 101) >= 1
    # A minute later their places are free for others.
    for owner in range(OWNERS):
        counters.add(f"second-{owner}", 0, 2, 1, 200)
    assert all(counters.used(f"second-{owner}", 0, 2, 200) == 1 for owner in range(0, OWNERS, 97))
    counters.close()


def test_a_file_of_another_shape_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    path.write_bytes(b"something else")
    counters = SharedCounters(path, 2)
    counters.add("v", 1, 5, 4, 50)
    counters.close()
    other = SharedCounters(path, 3)
    assert other.used("v", 1, 5, 50) == 0
    other.close()
    with pytest.raises(KvstackError, match="cannot be counted"):
        SharedCounters(tmp_path / "absent" / "counters", 2)
    assert WRITERS > 64  # workers at most


# A server that counts


def test_a_server_refuses_what_is_too_much_and_no_more(stack: Path) -> None:
    served = Served(stack, "--throttle", "--workers", "3")
    try:
        token, made = served.token(), 0
        while True:
            answer = served.ask(
                "POST", f"/keys/k{made}/create?{V}", token=token, json_body={"kty": "EC", "crv": "P-256"}
            )
            if answer.status != 200:
                break
            made += 1
            # There may be the end of a window in between. Each process answers some of the requests.
            assert made <= 2 * SOFTWARE_CREATION.most
        assert made >= SOFTWARE_CREATION.most
        assert (answer.status, answer.code) == (429, "Throttled")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert answer.headers["x-ms-keyvault-region"] == "local"
        # Other kinds and other vaults have limits of their own; who says nothing of himself is asked first.
        assert served.ask("GET", f"/keys/k0?{V}", token=token).status == 200
        assert served.ask("GET", f"/secrets/greeting?{V}", token=token).status == 200
        create = f"/keys/k/create?{V}"
        other = served.ask(
            "POST", create, host=f"{OTHER}.{served.vaults}", token=token, json_body={"kty": "EC", "crv": "P-256"}
        )
        assert other.status == 403
        assert served.ask("POST", create, json_body={"kty": "EC"}).status == 401
        assert served.ask("GET", f"/keys/k?{V}", host=f"absent.{served.vaults}", token=token).status == 403
        for body in (b"", b"[" * 20_000, b"{", b'{"kty":"\xff"}'):
            assert served.ask("POST", create, token=token, body=body).status in (400, 415, 429)
    finally:
        served.kill()


def test_roles_of_a_managed_hsm_are_counted_by_the_second(hsm_stocked_vault: Path, tmp_path: Path) -> None:
    served = Served(with_managed_hsms(copied(hsm_stocked_vault, tmp_path / "stack")), "--throttle")
    try:
        token = hsm_token(served)
        path = f"/providers/Microsoft.Authorization/roleDefinitions?{V}"
        custodians = {"certificates": [custodian(name).jwk for name in NAMES], "required": 2}
        activated = served.ask(
            "POST", f"/securitydomain/download?{V}", host=host(served), token=token, json_body=custodians
        )
        assert activated.status == 202
        # Azure's client waits as it is told, and gets through.
        more = {name: value for name, value in served.transport.items() if name != "retry_total"}
        with KeyVaultAccessControlClient(url(served), served.credential(), **more) as patient:
            assert len([one for _ in range(12) for one in patient.list_role_definitions("/")]) == 12 * len(ROLES)
        answers = (served.ask("GET", path, host=host(served, TREASURY), token=token) for _ in range(200))
        answer = next(one for one in answers if one.status == 429)
        assert (answer.code, answer.headers["retry-after"]) == ("Throttled", "1")
    finally:
        served.kill()
