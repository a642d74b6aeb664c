"""Client certificates: whoever has the private key signs in, once with each assertion, and nobody else does."""

import hmac
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.identity import CertificateCredential
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives import hashes

from tests.e2e.command_line import Ran, begun, ended
from tests.server.identity.assertions import Certified, assertion, certified
from tests.server.served import APP, READER, SHOP, Answered, Served

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OURS, ANOTHERS = certified(), certified()


def command(served: Served, *arguments: str, code: int = 0) -> Ran:
    ran = ended(begun(served.folder, *arguments))
    assert ran.code == code, ran
    return ran


def register(served: Served, by: Certified, client: str = APP) -> str:
    file = served.folder / f"{client}.pem"
    file.write_bytes(by.public_pem)
    ran = command(served, "credential", "certificate", client, "--file", str(file), "--json")
    return str(ran.json["id"])


@pytest.fixture(scope="module", autouse=True)
def registered(served: Served) -> None:
    register(served, OURS)
    register(served, ANOTHERS, READER)


def within_a_second(served: Served, token: str, status: int) -> Answered:
    """Ask until this is the answer, for a second at most."""
    until = time.monotonic() + 1
    while True:
        answer = served.ask("GET", "/secrets/greeting?api-version=7.4", token=token)
        if answer.status == status:
            return answer
        assert time.monotonic() < until, answer


def audience(served: Served) -> str:
    return f"https://{served.login}/{served.tenant}/oauth2/v2.0/token"


def sign_in(served: Served, given: str, client: str = APP, **more: str) -> Answered:
    return served.sign_in(client_id=client, client_assertion_type=TYPE, client_assertion=given, **more)


def made(served: Served, by: Certified = OURS, client: str = APP, **more: Any) -> str:
    return assertion(client, more.pop("aud", audience(served)), by, **more)


@pytest.mark.parametrize("chain", [False, True])
def test_azures_credential_opens_the_vault(served: Served, tmp_path: Path, chain: bool) -> None:
    file = tmp_path / "client.pem"
    file.write_bytes(OURS.pem)
    credential = CertificateCredential(
        served.tenant,
        APP,
        str(file),
        send_certificate_chain=chain,
        authority=f"https://{served.login}",
        disable_instance_discovery=True,
        **served.transport,
    )
    with credential, SecretClient(served.url(), credential, **served.transport) as client:
        assert client.get_secret("greeting").value == "hello"
        # MSAL shows one assertion again and again: each resource is another one.
        token = credential.get_token(f"https://managedhsm.localhost:{served.port}/.default")
    assert token.token


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "PS256", "x5t#S256": OURS.named(hashes.SHA256())},
        {"alg": "RS256", "x5t": OURS.named(hashes.SHA1())},
        {"alg": "RS256", "x5t#S256": OURS.named(hashes.SHA256()) + "=", "x5t": OURS.named(hashes.SHA1()) + "="},
    ],
)
def test_an_assertion_gives_a_token_that_opens_the_vault(served: Served, header: Any) -> None:
    answer = sign_in(served, made(served, header=header))
    assert answer.status == 200, answer
    got = served.ask("GET", "/secrets/greeting?api-version=7.4", token=answer.json["access_token"])
    assert got.json["value"] == "hello"


def test_an_assertion_is_good_once(served: Served) -> None:
    given = made(served)
    assert sign_in(served, given).status == 200
    assert sign_in(served, given).status == 401
    other = sign_in(served, given, scope=f"https://managedhsm.localhost:{served.port}/.default")
    assert other.status == 200, "for another resource it was not shown before"


@pytest.mark.parametrize(
    "more",
    [
        {"iss": READER},
        {"sub": READER},
        {"sub": None},
        {"iss": None},
        {"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"},
        {"aud": None},
        {"aud": ["https://login.localhost/x", "https://other"]},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 300},
        {"jti": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e400},
        {"exp": time.time() - 61},
        {"exp": time.time() + 172_800},
        {"nbf": time.time() + 86_400},
        {"nbf": "now"},
        {"iat": time.time() + 86_400},
        {"header": {"alg": "none", "x5t#S256": OURS.named(hashes.SHA256())}, "sign": lambda _: b""},
        {"header": {"alg": "RS512", "x5t#S256": OURS.named(hashes.SHA256())}},
        {"header": {"alg": "PS256"}},
        {"header": {"alg": "PS256", "x5t#S256": ANOTHERS.named(hashes.SHA256())}},
        {"header": {"alg": "PS256", "x5t#S256": OURS.named(hashes.SHA256()), "x5t": "AAAA"}},
        {"header": {"alg": "PS256", "x5t#S256": OURS.named(hashes.SHA256()), "crit": ["b64"]}},
        {"header": {"alg": "ES256", "x5t#S256": OURS.named(hashes.SHA256())}, "sign": lambda _: b"\1" * 64},
        {
            "header": {"alg": "HS256", "x5t#S256": OURS.named(hashes.SHA256())},
            "sign": lambda data: hmac.digest(OURS.public_pem, data, "sha256"),
        },
        {"by": ANOTHERS, "header": {"alg": "PS256", "x5t#S256": OURS.named(hashes.SHA256())}},
        {"by": ANOTHERS},
        {"by": certified()},
    ],
)
def test_an_assertion_with_anything_wrong_is_refused_as_a_wrong_secret_is(served: Served, more: dict[str, Any]) -> None:
    given = made(served, **more)
    answer = sign_in(served, given)
    assert answer.status == 401, answer
    assert answer.json["error_description"] == "AADSTS7000215: The client or its secret is not right."


def test_an_assertion_of_one_client_is_none_of_another(served: Served) -> None:
    assert sign_in(served, made(served), client=READER).status == 401
    assert sign_in(served, made(served, by=ANOTHERS, client=READER), client=READER).status == 200


@pytest.mark.parametrize("given", ["", "a.b.c", "x" * 20_000, "ä.b.c", "..", "e30.e30."])
def test_what_is_no_assertion_is_refused(served: Served, given: str) -> None:
    assert sign_in(served, given).status == 401


def test_an_assertion_comes_alone(served: Served) -> None:
    both = sign_in(served, made(served), client_secret=served.secret())
    assert (both.status, both.json["error"]) == (400, "invalid_request")
    other = served.sign_in(client_id=APP, client_assertion_type="urn:other", client_assertion=made(served))
    assert (other.status, other.json["error"]) == (400, "invalid_request")


def test_one_of_nobody_takes_as_long_as_a_wrong_one(served: Served) -> None:
    absent = "11111111-2222-4333-8444-555555555555"
    for client in (APP, absent):
        began = time.perf_counter()
        assert sign_in(served, made(served, by=certified(), client=client), client=client).status == 401
        assert time.perf_counter() - began >= 0.1


def test_a_certificate_that_was_deleted_ends_its_tokens_within_a_second(served: Served) -> None:
    by = certified()
    identifier = register(served, by)
    token = sign_in(served, made(served, by=by)).json["access_token"]
    assert served.ask("GET", "/secrets/greeting?api-version=7.4", token=token).status == 200
    command(served, "credential", "delete", APP, identifier, "--yes")
    refused = within_a_second(served, token, 401)
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert sign_in(served, made(served, by=by)).status == 401


def test_a_disabled_principal_is_out_within_a_second_and_back_when_enabled(served: Served) -> None:
    token = sign_in(served, made(served, by=ANOTHERS, client=READER), client=READER).json["access_token"]
    within_a_second(served, token, 200)
    command(served, "credential", "rules", READER, "--disabled")
    within_a_second(served, token, 401)
    assert sign_in(served, made(served, by=ANOTHERS, client=READER), client=READER).status == 401
    assert served.sign_in(client_id=READER, client_secret=served.secret(READER)).status == 401
    command(served, "credential", "rules", READER, "--enabled")
    within_a_second(served, token, 200)


def test_rules_say_from_where_and_for_how_long(served: Served) -> None:
    def signs_in() -> Answered:
        return served.sign_in(client_id=READER, client_secret=served.secret(READER))

    command(served, "credential", "rules", READER, "--network", "203.0.113.0/24")
    assert signs_in().status == 401
    shown = command(served, "credential", "rules", READER, "--network", "127.0.0.0/8", "--session", "PT10M", "--json")
    assert shown.json["session_seconds"] == 600
    assert signs_in().json["expires_in"] == 600
    command(served, "credential", "rules", READER, "--any-network", "--session", "PT1H")
    command(served, "credential", "rules", READER, "--mfa")
    assert signs_in().status == 401, "a program has one factor"
    command(served, "credential", "rules", READER, "--no-mfa")
    assert signs_in().json["expires_in"] == 3600


def test_a_certificate_with_its_key_is_not_taken(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(OURS.pem)
    ran = command(served, "credential", "certificate", APP, "--file", str(file), code=1)
    assert "holds a private key" in ran.told
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x82"):
        file.write_bytes(content)
        assert (
            "no X.509 certificate"
            in command(served, "credential", "certificate", APP, "--file", str(file), code=1).told
        )
    file.write_bytes(certified(ends=timedelta(hours=-1)).public_pem)
    assert "expired" in command(served, "credential", "certificate", APP, "--file", str(file), code=1).told


def test_all_kinds_are_listed_and_none_is_shown(served: Served) -> None:
    command(
        served,
        "credential",
        "federate",
        APP,
        "ci-main",
        "--issuer",
        "https://ci.example",
        "--subject",
        "repo:a/b:ref:main",
    )
    listed = command(served, "credential", "list", APP, "--json")
    assert {kind: bool(found) for kind, found in listed.json.items()} == {
        "client_secrets": True,
        "certificates": True,
        "federated": True,
        "people": False,
    }
    assert served.secret() not in listed.out
    assert "https://ci.example" in command(served, "credential", "list", APP).out
    assert SHOP not in listed.out
