"""Managed identities: who has an identity's header, or reaches its address, is that identity and no other."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.command_line import begun, copied, ended
from tests.server.identity.test_federation import command, give
from tests.server.served import SHOP, Answered, Served, client_program

PATH = "/secrets/greeting?api-version=7.4"
METADATA = "/metadata/identity/oauth2/token"


class Identities(NamedTuple):
    """A server with two managed identities. header: that of the first; place: the address that stands for it."""

    served: Served
    batch: dict[str, Any]
    other: dict[str, Any]
    header: str
    place: tuple[str, int]


@pytest.fixture(scope="module")
def identities(stocked_vault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    folder = copied(stocked_vault, tmp_path_factory.mktemp("identities") / "stack")
    made = [command(folder, "identity", "create", name, "--json").json for name in ("batch", "other")]
    give(folder, "batch", "Key Vault Secrets User")
    header = command(folder, "credential", "create", "batch", "--json").json["value"]
    served = Served(folder, "--imds", "batch=127.0.0.2:0")
    (told,) = [one for one in served.lines if one["event"] == "whoever reaches this address is this identity"]
    host, _, port = told["address"].partition(":")
    yield Identities(served, made[0], made[1], header, (host, int(port)))
    served.kill()


def app_service(identities: Identities, header: str | None = None, **query: str) -> Answered:
    served = identities.served
    asked = {"api-version": "2019-08-01", "resource": f"https://{served.vaults}"} | query
    return served.ask(
        "GET",
        f"/msi/token?{'&'.join(f'{name}={value}' for name, value in asked.items())}",
        host=served.login,
        headers={"X-IDENTITY-HEADER": identities.header if header is None else header},
    )


def metadata(identities: Identities, path: str = METADATA, method: str = "GET", **headers: str | None) -> Answered:
    """Ask the metadata service. A header that is None is left out."""
    host, port = identities.place
    connection = http.client.HTTPConnection(host, port, timeout=30)
    given = {"Metadata": "true"} | {name.replace("_", "-"): value for name, value in headers.items()}
    query = "" if "?" in path else f"?api-version=2018-02-01&resource=https://{identities.served.vaults}"
    try:
        connection.request(method, path + query, headers={k: v for k, v in given.items() if v is not None})
        response = connection.getresponse()
        return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


_PROGRAM = """
import os
from azure.identity import {kind}
from azure.keyvault.secrets import SecretClient

with {kind}({arguments}) as credential, SecretClient(os.environ["AZURE_KEYVAULT_URL"], credential) as client:
    print(client.get_secret("greeting").value)
"""


@pytest.mark.parametrize("kind", ["ManagedIdentityCredential", "DefaultAzureCredential"])
@pytest.mark.parametrize("endpoint", ["app service", "metadata"])
@pytest.mark.parametrize("named", [False, True])
def test_azures_credentials_open_the_vault(identities: Identities, kind: str, endpoint: str, named: bool) -> None:
    served = identities.served
    if endpoint == "app service":
        where = {"IDENTITY_ENDPOINT": f"https://{served.login}/msi/token", "IDENTITY_HEADER": identities.header}
    else:
        where = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://{}:{}".format(*identities.place), "NO_PROXY": "127.0.0.2"}
    word = "client_id" if kind == "ManagedIdentityCredential" else "managed_identity_client_id"
    arguments = f'{word}="{identities.batch["client_id"]}"' if named else ""
    program = _PROGRAM.format(kind=kind, arguments=arguments)
    ran = client_program(served, program, secret=False, **where)
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr


def test_both_endpoints_say_of_a_token_what_clients_read(identities: Identities) -> None:
    for answer in (app_service(identities), metadata(identities)):
        assert answer.status == 200, answer
        assert answer.headers["cache-control"] == "no-store"
        document = answer.json
        assert document["client_id"] == identities.batch["client_id"]
        assert (document["token_type"], document["resource"]) == ("Bearer", "https://vault.localhost")
        assert int(document["expires_in"]) == 3600
        assert abs(int(document["expires_on"]) - time.time() - 3600) < 60
        got = identities.served.ask("GET", PATH, token=document["access_token"])
        assert got.json["value"] == "hello"


def test_an_identity_is_asked_for_by_any_of_its_ids_and_by_no_other(identities: Identities) -> None:
    served, batch, other, *_ = identities
    for query in ({"client_id": batch["client_id"].upper()}, {"object_id": batch["principal_id"]}):
        assert app_service(identities, **query).status == 200
    for query in (
        {"client_id": other["client_id"]},
        {"client_id": "x"},
        {"object_id": other["principal_id"]},
        {"mi_res_id": "/subscriptions/x"},
    ):
        assert app_service(identities, **query).status in (400, 401)
        (name, value), *_ = query.items()
        asked = f"{METADATA}?api-version=2018-02-01&resource=https://{served.vaults}&{name}={value}"
        assert metadata(identities, asked).status == 400


def test_without_the_right_header_nobody_is_anybody(identities: Identities) -> None:
    ours, _, secret = identities.header.partition(".")
    others = identities.other["principal_id"]
    for header in ("", "x", secret, f"{ours}.", f"{ours}.x", f"{others}.{secret}", identities.header + "x"):
        began = time.perf_counter()
        answer = app_service(identities, header)
        assert (answer.status, answer.json["statusCode"]) == (401, 401)
        assert time.perf_counter() - began >= 0.1
    assert identities.served.sign_in(client_id=ours, client_secret=identities.header).status == 401
    assert identities.served.sign_in(client_id=identities.batch["client_id"], client_secret=secret).status == 401


def test_what_is_asked_wrongly_is_told(identities: Identities) -> None:
    for query in ({"api-version": "2017-09-01"}, {"resource": "https://vault.azure.net"}, {"resource": ""}):
        answer = app_service(identities, **query)
        assert answer.status == 400
        assert answer.json["message"]


def test_the_header_is_shown_once_and_kept_nowhere(identities: Identities) -> None:
    served = identities.served
    listed = command(served.folder, "credential", "list", "batch", "--json")
    (one,) = listed.json["client_secrets"]
    secret = identities.header.partition(".")[2]
    assert one["hint"] == secret[:4]
    assert secret not in listed.out
    for file in (served.folder / ".kvstack").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_a_header_that_was_deleted_ends_its_tokens(identities: Identities) -> None:
    served = identities.served
    made = command(served.folder, "credential", "create", "batch", "--json").json
    token = app_service(identities, made["value"]).json["access_token"]
    assert served.ask("GET", PATH, token=token).status == 200
    command(served.folder, "credential", "delete", "batch", made["id"], "--yes")
    until = time.monotonic() + 1
    while served.ask("GET", PATH, token=token).status != 401:
        assert time.monotonic() < until
    assert app_service(identities, made["value"]).status == 401
    assert app_service(identities).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Metadata": None},
        {"Metadata": "false"},
        {"Metadata": ""},
        {"X_Forwarded_For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Origin": "http://evil.example"},
        {"Referer": "http://evil.example/"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "169.254.169.254"},
    ],
)
def test_a_page_or_a_proxy_gets_no_token_from_the_address(identities: Identities, headers: dict[str, Any]) -> None:
    answer = metadata(identities, **headers)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", METADATA, 405),
        ("GET", "/", 404),
        ("GET", "/metadata/identity/oauth2/token/", 404),
        ("GET", "/metadata/instance?api-version=2021-02-01", 404),
        ("GET", f"{METADATA}?api-version=1999-01-01&resource=https://vault.localhost", 400),
        ("GET", f"{METADATA}?api-version=2018-02-01&resource=https://vault.azure.net", 400),
        ("GET", f"{METADATA}?api-version=2018-02-01", 400),
        ("GET", f"{METADATA}?%ff", 400),
    ],
)
def test_there_is_nothing_else_at_the_address(identities: Identities, method: str, path: str, status: int) -> None:
    answer = metadata(identities, path, method)
    assert answer.status == status
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("batch=0.0.0.0:8180", "no loopback address"),
        ("batch=192.0.2.1:8180", "no loopback address"),
        ("batch=169.254.169.254:80", "no loopback address"),
        ("batch=[::]:8180", "no loopback address"),
        ("batch=localhost:8180", "no IP address"),
        ("batch", "is not IDENTITY=ADDRESS:PORT"),
        ("batch=127.0.0.2", "is not IDENTITY=ADDRESS:PORT"),
        ("batch=127.0.0.2:99999", "is not IDENTITY=ADDRESS:PORT"),
        ("nobody=127.0.0.2:0", "knows no principal `nobody`"),
    ],
)
def test_an_address_that_others_reach_stands_for_nobody(stack: Path, written: str, words: str) -> None:
    ran = ended(begun(stack, "serve", "--port", "0", "--imds", written))
    assert ran.code == 1
    assert words in ran.told


def test_an_address_stands_for_one_identity(stack: Path) -> None:
    both = ("--imds", "batch=127.0.0.2:8180", "--imds", "other=127.0.0.2:8180")
    assert "two identities one address" in ended(begun(stack, "serve", "--port", "0", *both)).told


def test_there_is_no_such_address_unless_the_operator_says_so(identities: Identities, stack: Path) -> None:
    served = Served(stack)
    try:
        assert "whoever reaches this address is this identity" not in [one["event"] for one in served.lines]
        answer = served.ask("GET", METADATA, host=f"{SHOP}.{served.vaults}", headers={"Metadata": "true"})
        assert answer.status == 401
        assert served.ask("GET", METADATA, host=f"localhost:{served.port}").status == 404
    finally:
        assert served.stop().code == 0
    assert metadata(identities).status == 200


def test_a_server_with_such_an_address_stops_as_any_other(stack: Path) -> None:
    command(stack, "identity", "create", "batch")
    served = Served(stack, "--imds", "batch=127.0.0.3:0")
    assert served.stop().code == 0
