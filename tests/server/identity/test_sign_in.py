"""Signing in: a client secret gives a token; a wrong one, an absent one and anybody else's give one refusal."""

import base64
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.served import APP, READER, SHOP, STRANGER, Served

ABSENT = "11111111-2222-4333-8444-555555555555"


def error(served: Served, **fields: str) -> tuple[int, str, int]:
    answer = served.sign_in(**fields)
    return answer.status, answer.json["error"], answer.json["error_codes"][0]


def test_a_client_secret_gives_a_token_that_opens_the_vault(served: Served) -> None:
    answer = served.sign_in(client_id=APP, client_secret=served.secret())
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 3600
    assert answer.headers["cache-control"].startswith("no-store")
    got = served.ask("GET", "/secrets/greeting?api-version=7.4", token=answer.json["access_token"])
    assert got.json["value"] == "hello"


def test_the_secret_may_come_in_the_header_and_the_resource_as_it_was_before_scopes(served: Served) -> None:
    basic = base64.b64encode(f"{APP}:{served.secret()}".encode()).decode()
    answer = served.ask(
        "POST",
        f"/{served.tenant}/oauth2/token",
        host=served.login,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"},
        body=f"grant_type=client_credentials&resource=https://{served.vaults}".encode(),
    )
    assert answer.status == 200
    assert answer.json["resource"] == "https://vault.localhost"


def test_what_java_asks_for_beside_a_resource_is_left_alone(served: Served) -> None:
    scope = "openid profile offline_access https://vault.localhost/.default"
    answer = served.sign_in(client_id=APP, client_secret=served.secret(), scope=scope)
    assert (answer.status, answer.json["resource"]) == (200, "https://vault.localhost")
    assert "id_token" not in answer.json


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": APP, "client_secret": "wrong"},
        {"client_id": ABSENT, "client_secret": "wrong"},
        {"client_id": "no id", "client_secret": "wrong"},
        {"client_id": "' OR ''='", "client_secret": "wrong"},
    ],
)
def test_whatever_is_wrong_with_the_credentials_is_one_refusal(served: Served, fields: dict[str, str]) -> None:
    answer = served.sign_in(**fields)
    assert answer.status == 401
    assert {k: v for k, v in answer.json.items() if k in ("error", "error_description", "error_codes")} == {
        "error": "invalid_client",
        "error_description": "AADSTS7000215: The client or its secret is not right.",
        "error_codes": [7000215],
    }


def test_somebody_elses_secret_is_nobodys(served: Served) -> None:
    assert error(served, client_id=APP, client_secret=served.secret(READER))[0] == 401


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"scope": "https://vault.localhost"}, (400, "invalid_scope", 70011)),
        ({"scope": ""}, (400, "invalid_scope", 70011)),
        ({"scope": "openid profile"}, (400, "invalid_scope", 70011)),
        (
            {"scope": "https://vault.localhost/.default https://managedhsm.localhost/.default"},
            (400, "invalid_scope", 70011),
        ),
        ({"scope": "https://vault.azure.net/.default"}, (400, "invalid_resource", 500011)),
        ({"client_secret": ""}, (401, "invalid_client", 7000216)),
    ],
)
def test_what_is_wrong_with_the_request_is_told(
    served: Served, fields: dict[str, str], expected: tuple[int, str, int]
) -> None:
    given = {"client_id": APP, "client_secret": served.secret()} | fields
    assert error(served, **given) == expected


def test_another_tenant_is_not_here(served: Served) -> None:
    answer = served.sign_in(tenant=ABSENT, client_id=APP, client_secret=served.secret())
    assert (answer.status, answer.json["error"]) == (400, "invalid_tenant")


@pytest.mark.parametrize("body", [b"\xff", b"a&" * 100, b"client_id=a&client_id=b", b""])
def test_a_body_that_is_none_is_refused_in_the_protocols_words(served: Served, body: bytes) -> None:
    answer = served.ask(
        "POST",
        f"/{served.tenant}/oauth2/v2.0/token",
        host=served.login,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=body,
    )
    assert answer.status in (400, 401)
    assert answer.json["error"] in ("invalid_request", "invalid_client")


def test_a_wrong_secret_takes_as_long_as_an_absent_client(served: Served) -> None:
    def seconds(client: str) -> float:
        began = time.perf_counter()
        assert served.sign_in(client_id=client, client_secret="wrong").status == 401
        return time.perf_counter() - began

    both: dict[str, list[float]] = {APP: [], ABSENT: []}
    for _ in range(8):
        for client, found in both.items():
            found.append(seconds(client))
    assert min(min(found) for found in both.values()) >= 0.1
    assert abs(statistics.median(both[APP]) - statistics.median(both[ABSENT])) < 0.02


def test_the_documents_lead_from_the_authority_to_the_keys(served: Served) -> None:
    def get(path: str) -> Any:
        answer = served.ask("GET", path, host=served.login)
        assert answer.status == 200, path
        return answer.json

    tenant = served.tenant
    for path in (f"/{tenant}/v2.0/.well-known/openid-configuration", f"/{tenant}/.well-known/openid-configuration"):
        document = get(path)
        assert document["issuer"] == f"https://{served.login}/{tenant}/v2.0"
        assert document["token_endpoint"] == f"https://{served.login}/{tenant}/oauth2/v2.0/token"
        keys = get(document["jwks_uri"].removeprefix(f"https://{served.login}"))["keys"]
        assert [key["alg"] for key in keys] == ["ES256"]
        assert not {"d", "k", "p", "q"} & keys[0].keys()
    instance = get("/common/discovery/instance?api-version=1.1")
    assert instance["tenant_discovery_endpoint"].endswith(f"/{tenant}/v2.0/.well-known/openid-configuration")
    assert served.ask("GET", f"/{ABSENT}/v2.0/.well-known/openid-configuration", host=served.login).status == 400
    assert served.ask("GET", f"/{tenant}/oauth2/v2.0/token", host=served.login).status == 405


def test_every_sign_in_is_audited_and_holds_no_secret(served: Served) -> None:
    from tests.e2e.command_line import begun, ended

    served.sign_in(client_id=STRANGER, client_secret=served.secret(STRANGER))
    served.sign_in(client_id=STRANGER, client_secret="canary-of-a-secret")
    ran = ended(begun(served.folder, "audit", "tail", "-n", "50", "--json"))
    told = [one for one in ran.json["records"] if one["operation"] == "SignIn" and one["caller"] == STRANGER]
    assert {one["result"] for one in told} == {"Success", "invalid_client"}
    assert "canary" not in ran.out
    assert served.secret(STRANGER) not in ran.out


def test_a_token_for_managed_hsms_opens_no_vault(served: Served) -> None:
    answer = served.sign_in(
        client_id=APP, client_secret=served.secret(), scope=f"https://managedhsm.localhost:{served.port}/.default"
    )
    token = answer.json["access_token"]
    assert served.ask("GET", "/secrets/greeting?api-version=7.4", token=token).status == 401
    vault_token = served.token()
    host = f"{SHOP}.managedhsm.localhost:{served.port}"
    assert served.ask("GET", "/keys?api-version=7.4", host=host, token=vault_token).status == 401


@pytest.mark.parametrize("home", ["stocked_vault", pytest.param("hsm_stocked_vault", marks=pytest.mark.slow)])
def test_a_new_signing_key_is_taken_at_once_and_ends_every_token_where_that_is_wanted(
    request: pytest.FixtureRequest, tmp_path: Path, home: str
) -> None:
    from tests.e2e.command_line import begun, copied, ended

    stack = copied(request.getfixturevalue(home), tmp_path / "stack")
    path = "/secrets/greeting?api-version=7.4"
    server = Served(stack)
    try:
        before = server.token()
        assert server.ask("GET", path, token=before).status == 200
        assert ended(begun(stack, "credential", "turn-signing-key")).code == 0
        assert server.ask("GET", path, token=server.token()).status == 200
        keys = server.ask("GET", f"/{server.tenant}/discovery/v2.0/keys", host=server.login).json["keys"]
        assert len(keys) == 2
        assert server.ask("GET", path, token=before).status == 200
        assert ended(begun(stack, "credential", "turn-signing-key", "--at-once", "--yes")).code == 0
        after = server.token()
        assert server.ask("GET", path, token=after).status == 200
        until = time.monotonic() + 1
        while server.ask("GET", path, token=before).status != 401:
            assert time.monotonic() < until
        assert server.ask("GET", path, token=after).status == 200
    finally:
        server.kill()
