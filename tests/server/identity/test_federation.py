"""Workload identity: a token of a real issuer stands for a principal where issuer, subject and audience are exactly
those that were said, and for nobody otherwise."""

import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.identity import WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

from tests.e2e.command_line import Ran, begun, ended
from tests.server.identity.assertions import certified
from tests.server.identity.issuer import AUDIENCE, Issuer, public_jwk
from tests.server.served import APP, READER, SHOP, Answered, Served

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SUBJECT = "system:serviceaccount:shop:api"
PATH = "/secrets/greeting?api-version=7.4"


class Federated(NamedTuple):
    """A server and an issuer whose tokens it takes. credential: the id of the federated credential."""

    served: Served
    issuer: Issuer
    credential: str


def command(folder: Path, *arguments: str) -> Ran:
    ran = ended(begun(folder, *arguments))
    assert ran.code == 0, ran
    return ran


def give(folder: Path, principal: str, role: str) -> None:
    command(folder, "access", "assign", "--principal", principal, "--role", role, "--scope", f"vault/{SHOP}")


def configured(folder: Path, said: dict[str, Any]) -> None:
    file = folder / ".kvstack" / "identity.json"
    file.write_text(json.dumps(said))
    file.chmod(0o600)


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    found = Issuer(tmp_path / "issuer")
    yield found
    found.stop()


@pytest.fixture
def federated(stack: Path, issuer: Issuer) -> Iterator[Federated]:
    configured(stack, issuer.allowed)
    made = command(
        stack, "credential", "federate", APP, "cluster", "--issuer", issuer.url, "--subject", SUBJECT, "--json"
    )
    served = Served(stack)
    yield Federated(served, issuer, made.json["id"])
    served.kill()


def sign_in(served: Served, token: str, client: str = APP) -> Answered:
    return served.sign_in(client_id=client, client_assertion_type=TYPE, client_assertion=token)


def test_azures_workload_identity_opens_the_vault_and_a_deleted_credential_ends_it(
    federated: Federated, tmp_path: Path
) -> None:
    served, issuer, identifier = federated
    file = tmp_path / "token"
    file.write_text(issuer.token(SUBJECT))
    credential = WorkloadIdentityCredential(
        tenant_id=served.tenant,
        client_id=APP,
        token_file_path=str(file),
        authority=f"https://{served.login}",
        disable_instance_discovery=True,
        **served.transport,
    )
    with credential, SecretClient(served.url(), credential, **served.transport) as client:
        assert client.get_secret("greeting").value == "hello"
        # Its workload shows the same token again for as long as it lives.
        other = credential.get_token(f"https://managedhsm.localhost:{served.port}/.default")
        token = credential.get_token(f"https://{served.vaults}/.default").token
    assert other.token
    assert issuer.asked() == 1, "keys are kept"
    command(served.folder, "credential", "delete", APP, identifier, "--yes")
    until = time.monotonic() + 1
    while served.ask("GET", PATH, token=token).status != 401:
        assert time.monotonic() < until
    assert sign_in(served, issuer.token(SUBJECT)).status == 401


def test_only_a_token_that_is_right_in_everything_is_taken(federated: Federated) -> None:
    served, issuer, _ = federated
    anothers = certified().key
    now = int(time.time())
    wrong: list[dict[str, Any]] = [
        {"subject": SUBJECT + "x"},
        {"subject": SUBJECT.upper()},
        {"iss": issuer.url + "/"},
        {"iss": "https://token.actions.githubusercontent.com"},
        {"iss": None},
        {"sub": None},
        {"sub": [SUBJECT]},
        {"aud": "https://vault.localhost"},
        {"aud": None},
        {"aud": [7]},
        {"exp": None},
        {"exp": now - 61},
        {"exp": now + 90_000},
        {"exp": True},
        {"nbf": now + 120},
        {"iat": now + 120},
        {"kid": "k2"},
        {"header": {"alg": "none"}, "sign": lambda _: b""},
        {"header": {"alg": "HS256"}, "sign": lambda data: hmac.digest(b"", data, "sha256")},
        {"header": {"alg": "ES256"}, "sign": lambda _: b"\1" * 64},
        {"header": {"alg": "PS256"}},  # the key is published for another algorithm
        {"header": {"jku": "http://127.0.0.1:1/keys"}, "sign": lambda data: b"\1" * 256},
        {"header": {"jwk": public_jwk("k1", anothers)}, "sign": lambda data: b"\1" * 256},
        {"header": {"crit": ["x"]}},
    ]
    for more in wrong:
        given = issuer.token(**({"subject": SUBJECT} | more))
        answer = sign_in(served, given)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client"), more
    assert sign_in(served, issuer.token(SUBJECT), client=READER).status == 401
    assert sign_in(served, issuer.token(SUBJECT, aud=AUDIENCE)).status == 200
    assert sign_in(served, issuer.token(SUBJECT, header={"kid": None})).status == 200, "it has one key only"
    skews: list[dict[str, Any]] = [{"nbf": now + 30, "iat": now + 30}, {"exp": now - 30}]
    for skewed in skews:
        assert sign_in(served, issuer.token(SUBJECT, **skewed)).status == 200, "clocks differ by a minute"


def test_made_up_key_ids_do_not_make_the_server_ask_again_and_again(federated: Federated) -> None:
    served, issuer, _ = federated
    for number in range(10):
        assert sign_in(served, issuer.token(SUBJECT, kid=f"made-up-{number}")).status == 401
    assert sign_in(served, issuer.token(SUBJECT)).status == 200
    assert issuer.asked() == 1


def test_an_issuer_nobody_configured_is_never_asked(federated: Federated, tmp_path: Path) -> None:
    served, _, _ = federated
    stranger = Issuer(tmp_path / "stranger")
    try:
        assert sign_in(served, stranger.token(SUBJECT)).status == 401
        assert stranger.log.read_text() == ""
    finally:
        stranger.stop()


def test_an_issuer_in_a_private_network_is_asked_only_where_the_operator_allows_it(stack: Path, issuer: Issuer) -> None:
    command(stack, "credential", "federate", APP, "cluster", "--issuer", issuer.url, "--subject", SUBJECT)
    served = Served(stack)
    try:
        answer = sign_in(served, issuer.token(SUBJECT))
        assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
        assert "may not be" in served.told("the keys of an issuer cannot be fetched")["why"]
        assert issuer.log.read_text() == ""
    finally:
        served.kill()


@pytest.mark.parametrize("wrong", ["issuer", "redirect", "private key", "huge", "nothing", "jwks_uri", "no json"])
def test_an_issuer_whose_documents_are_not_right_is_not_believed(federated: Federated, wrong: str) -> None:
    served, issuer, _ = federated
    match wrong:
        case "issuer":
            issuer.configure(issuer="https://accounts.example")
        case "redirect":
            (issuer.folder / ".well-known" / "redirect").write_text("http://169.254.169.254/")
        case "private key":
            issuer.publish([public_jwk("k1", issuer.keys["k1"]) | {"d": "AQAB"}])
        case "huge":
            issuer.publish([public_jwk("k1", issuer.keys["k1"]) | {"x": "A" * 300_000}])
        case "nothing":
            (issuer.folder / "keys").unlink()
        case "jwks_uri":
            issuer.configure(jwks_uri="http://169.254.169.254/latest/meta-data")
        case _:
            (issuer.folder / "keys").write_text("<html>")
    answer = sign_in(served, issuer.token(SUBJECT))
    assert answer.status == 503, answer
    assert served.told("the keys of an issuer cannot be fetched")["issuer"] == issuer.url
    assert served.ask("GET", PATH, token=served.token()).status == 200, "others are not kept waiting"


def test_an_issuer_is_spoken_to_over_tls_that_is_verified(stack: Path, tmp_path: Path) -> None:
    from tests.server.identity.assertions import server_certificate

    pem, certificate = server_certificate("localhost")
    issuer = Issuer(tmp_path / "issuer", pem)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate)
    command(stack, "credential", "federate", APP, "cluster", "--issuer", issuer.url, "--subject", SUBJECT)
    try:
        for said, status in (({}, 503), ({"ca_file": str(ca)}, 200)):
            configured(stack, issuer.allowed | said)
            served = Served(stack)
            try:
                assert sign_in(served, issuer.token(SUBJECT)).status == status
            finally:
                served.kill()
    finally:
        issuer.stop()


def test_a_managed_identity_may_have_federated_credentials_under_its_client_id(stack: Path, issuer: Issuer) -> None:
    configured(stack, issuer.allowed)
    made = command(stack, "identity", "create", "batch", "--json").json
    command(stack, "credential", "federate", "batch", "cluster", "--issuer", issuer.url, "--subject", SUBJECT, "--json")
    give(stack, "batch", "Key Vault Secrets User")
    served = Served(stack)
    try:
        answer = sign_in(served, issuer.token(SUBJECT), client=made["client_id"])
        token = answer.json["access_token"]
        assert served.ask("GET", PATH, token=token).json["value"] == "hello"
        assert sign_in(served, issuer.token(SUBJECT), client=made["principal_id"]).status == 401
        command(stack, "identity", "delete", "batch", "--yes")
        until = time.monotonic() + 1
        while served.ask("GET", PATH, token=token).status != 401:
            assert time.monotonic() < until
    finally:
        served.kill()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"allow": "localhost"}, "is not as it has to be"),
        ({"allowed": []}, "is not as it has to be"),
        ({"providers": [{"issuer": "ftp://x", "audience": "a", "principals": {}}]}, "begins with https://"),
        ({"providers": [{"issuer": "https://x", "audience": "", "principals": {}}]}, "not empty"),
        ({"providers": [{"issuer": "https://x", "audience": "a", "principals": {"x": "no id"}}]}, "a GUID"),
    ],
)
def test_a_configuration_nobody_could_mean_stops_the_start(stack: Path, said: dict[str, Any], words: str) -> None:
    configured(stack, said)
    ran = ended(begun(stack, "serve", "--port", "0"))
    assert ran.code == 1
    assert words in ran.told
    assert "Traceback" not in ran.told


def test_a_configuration_that_others_can_change_is_not_believed(stack: Path) -> None:
    configured(stack, {})
    (stack / ".kvstack" / "identity.json").chmod(0o666)
    ran = ended(begun(stack, "serve", "--port", "0"))
    assert ran.code == 1
    assert "can be read or changed by others" in ran.told


def test_what_is_no_issuer_is_not_taken_as_one(stack: Path) -> None:
    for issuer in ("", "x", "https://", "https://a.example/?q", "https://u@a.example", "https://a.example:99999"):
        ran = ended(begun(stack, "credential", "federate", APP, "cluster", "--issuer", issuer, "--subject", "s"))
        assert ran.code == 1, issuer
        assert "issuer:" in ran.told
