"""Tokens of another OpenID provider open the vault for those the operator named, and for nobody else."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient

from tests.server.identity.issuer import Issuer
from tests.server.identity.test_federation import PATH, command, configured
from tests.server.served import APP, READER, STRANGER, Served

AUDIENCE, TENANT, SUBJECT = "https://kv.example.com", "9d1a-example", "f:1234:alice"


class External(NamedTuple):
    """A server and a provider whose tokens it takes."""

    served: Served
    issuer: Issuer


@pytest.fixture
def external(stack: Path, tmp_path: Path) -> Iterator[External]:
    issuer = Issuer(tmp_path / "issuer")
    configured(stack, issuer.allowed | {"providers": [provider_of(issuer)]})
    served = Served(stack)
    yield External(served, issuer)
    served.kill()
    issuer.stop()


def provider_of(issuer: Issuer) -> dict[str, Any]:
    """What the operator says of it."""
    return {
        "issuer": issuer.url,
        "audience": AUDIENCE,
        "tenant": TENANT,
        "principals": {SUBJECT: APP.upper(), "reader": READER, "absent": "11111111-2222-4333-8444-555555555555"},
    }


def token(external: External, **more: Any) -> str:
    said = {"subject": SUBJECT, "aud": AUDIENCE, "tid": TENANT} | more
    return external.issuer.token(**said)


def status(external: External, given: str) -> int:
    return external.served.ask("GET", PATH, token=given).status


class Bearer:
    """A credential that has its token from somewhere else."""

    def __init__(self, given: str) -> None:
        self._given = given

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return it."""
        return AccessToken(self._given, int(time.time()) + 3600)


def test_azures_client_opens_the_vault_with_such_a_token(external: External) -> None:
    served = external.served
    with SecretClient(served.url(), Bearer(token(external)), **served.transport) as client:
        assert client.get_secret("greeting").value == "hello"
        client.set_secret("theirs", "v")
    assert external.issuer.asked() == 1
    tail = command(served.folder, "audit", "tail", "-n", "20", "--json").json["records"]
    assert {(one["caller"], one["caller_name"]) for one in tail if one["operation"] == "SecretSet"} >= {(APP, "app")}


def test_only_a_token_that_is_right_in_everything_is_taken(external: External) -> None:
    now = int(time.time())
    wrong: list[dict[str, Any]] = [
        {"aud": "https://other.example"},
        {"aud": None},
        {"tid": "another"},
        {"tid": None},
        {"subject": "mallory"},
        {"sub": None},
        {"sub": [SUBJECT]},
        {"subject": "absent"},
        {"iss": external.issuer.url + "/"},
        {"iss": "https://accounts.example"},
        {"iss": None},
        {"exp": None},
        {"exp": now - 61},
        {"exp": now + 90_000},
        {"iat": None},
        {"iat": now + 120},
        {"nbf": now + 120},
        {"kid": "k2"},
        {"header": {"alg": "none"}, "sign": lambda _: b""},
        {"header": {"alg": "HS256"}, "sign": lambda _: b"\1" * 32},
        {"header": {"alg": "ES256"}, "sign": lambda _: b"\1" * 64},
        {"header": {"alg": "RS256"}, "sign": lambda _: b"\1" * 256},
        {"header": {"crit": ["x"]}},
    ]
    for more in wrong:
        assert status(external, token(external, **more)) == 401, more
    assert status(external, token(external)) == 200
    assert status(external, token(external, aud=["x", AUDIENCE])) == 200
    assert status(external, external.served.token()) == 200, "the server's own tokens go on"


def test_a_token_of_this_server_is_not_made_by_the_other_one(external: External) -> None:
    """Its issuer's name in a token of the other's, and the other way round: the keys are each one's own."""
    served = external.served
    own = f"https://login.localhost/{served.tenant}/v2.0"
    claims = {"iss": own, "aud": "https://vault.localhost", "tid": served.tenant, "oid": APP, "credential": "external/"}
    assert status(external, token(external, **claims)) == 401
    assert status(external, token(external, credential="address/", oid=APP, subject="mallory")) == 401


def test_a_new_key_of_the_provider_is_found(external: External) -> None:
    assert status(external, token(external)) == 200
    external.issuer.turn("k2", "k3")
    given = token(external, kid="k2")
    # An issuer is asked twice a minute at most: what it signed with a new key right away has to wait so long.
    assert status(external, given) == 401
    assert external.issuer.asked() == 1


def test_rules_hold_for_such_tokens_too_and_at_once(external: External) -> None:
    served = external.served

    def rules(*said: str, expected: int, **more: Any) -> None:
        command(served.folder, "credential", "rules", APP, *said)
        given, until = token(external, **more), time.monotonic() + 1
        while status(external, given) != expected:
            assert time.monotonic() < until, said

    rules("--mfa", expected=401)
    rules("--mfa", expected=200, amr=["pwd", "mfa"])
    rules("--no-mfa", expected=200)
    rules("--session", "PT10M", expected=401, iat=int(time.time()) - 700)
    rules("--session", "PT10M", expected=200)
    rules("--network", "203.0.113.0/24", expected=401)
    rules("--any-network", expected=200)
    rules("--disabled", expected=401)
    rules("--enabled", expected=200)


def test_a_provider_that_is_down_opens_nothing_and_keeps_nobody_waiting(external: External) -> None:
    external.issuer.kill()
    began = time.monotonic()
    assert status(external, token(external)) == 401
    assert status(external, external.served.token(STRANGER)) == 403
    assert time.monotonic() - began < 5
    assert external.served.told("the keys of an issuer cannot be fetched")["issuer"] == external.issuer.url


def test_nobody_elses_token_is_taken_unless_the_operator_says_so(stack: Path, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "issuer")
    configured(stack, issuer.allowed)
    served = Served(stack)
    try:
        assert status(External(served, issuer), token(External(served, issuer))) == 401
        assert json.dumps(issuer.log.read_text()) == '""'
    finally:
        served.kill()
        issuer.stop()


def test_a_provider_is_taken_and_given_up_while_the_server_runs(external: External) -> None:
    served, issuer = external.served, external.issuer
    given = token(external)
    assert status(external, given) == 200
    for providers, expected in (([], 401), ([provider_of(issuer)], 200)):
        configured(served.folder, issuer.allowed | {"providers": providers})
        served.process.send_signal(signal.SIGHUP)
        served.told("configured")
        assert status(external, given) == expected
